"""The shelf keeps the contract, and Soma works with it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from soma_shelf.index import ShelfIndex
from soma_shelf.shelf import Shelf

from contracts.journal import MODEL, Journal
from contracts.vector_index import ALL, DEFAULT, EAST, VectorIndexContract
from domain.errors import IndexUnavailable
from domain.ports import CanonicalStore, VectorIndex
from domain.vector import unit_vector

HERE = Path(__file__).resolve().parent
TIMEOUT_SECONDS = 60


class TestShelf(VectorIndexContract):
    """All that Soma demands of a vector index, and two things that this one adds."""

    @asynccontextmanager
    async def following(self, store: CanonicalStore) -> AsyncIterator[VectorIndex]:
        """Give an index with an empty shelf."""
        with TemporaryDirectory() as folder:
            yield ShelfIndex(store, Shelf(Path(folder) / "shelf.db"), MODEL, 3)

    async def test_another_process_goes_on_where_this_one_stopped(
        self, store: CanonicalStore, journal: Journal, tmp_path: Path
    ) -> None:
        shelf = Shelf(tmp_path / "shelf.db")
        await journal.remember("a", own=EAST)
        await ShelfIndex(store, shelf, MODEL, 3).catch_up(DEFAULT)

        kept = shelf.these(["a"])
        await journal.remember("b", own=EAST)
        found = await ShelfIndex(store, shelf, MODEL, 3).nominate(
            unit_vector(EAST), DEFAULT, ALL, limit=2
        )

        assert ["a"] == [point.id for point in kept]
        assert (("a", 1.0), ("b", 1.0)) == found.own

    async def test_a_file_that_cannot_be_used_is_said_in_the_words_of_the_core(
        self, store: CanonicalStore, tmp_path: Path
    ) -> None:
        (tmp_path / "shelf.db").write_bytes(b"this is no database" * 100)
        index = ShelfIndex(store, Shelf(tmp_path / "shelf.db"), MODEL, 3)

        with pytest.raises(IndexUnavailable):
            await index.reset()


def test_soma_recalls_by_meaning_from_the_shelf(tmp_path: Path) -> None:
    soma_shelf(tmp_path, "remember", "The kettle whistles at six")

    answer = json.loads(soma_shelf(tmp_path, "recall", "when is tea made?", "--json"))

    [file] = tmp_path.glob("shelf-*.db")
    with sqlite3.connect(file) as db:
        assert [(1,)] == db.execute("SELECT count(*) FROM points").fetchall()
    assert [] == answer["degraded"]
    assert "semantic" in answer["hits"][0]["parts"]


def soma_shelf(data: Path, *arguments: str) -> str:
    """Run one command of `soma-shelf` on a data directory."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SOMA_")}
    done = subprocess.run(
        [sys.executable, "-m", "soma_shelf.program", *arguments, "--data", str(data)],
        cwd=HERE,
        env=kept,
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
