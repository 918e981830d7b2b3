"""Files of large namespaces: what they are trusted with, and what they must not keep."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from adapters.fastcore import fast_core as fast_core_module
from adapters.fastcore import keeping, loading, shelf
from adapters.fastcore.budget import Budget
from adapters.fastcore.fast_core import FastCore
from adapters.fastcore.segment import Segment
from adapters.fastcore.snapshots import Snapshots
from adapters.given_embedder import GivenEmbedder
from adapters.sqlite.store import SqliteStore
from contracts.journal import MODEL, Journal
from domain.draft import Draft
from domain.filter import Filter
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope
from domain.ports import Transaction
from domain.vector import Vector, unit_vector
from tests.end_to_end.embedded import ACTOR, installation

DEFAULT = Scope(Namespace("default"))
ALL = Filter()
DIMENSION = 16


@pytest.fixture(autouse=True)
def crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let forty vectors be many."""
    monkeypatch.setattr(shelf, "SMALL", 8)
    monkeypatch.setattr(shelf, "LARGE", 32)
    monkeypatch.setattr(keeping, "_WRITTEN_MIN", 1)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A store with forty memories."""
    opened = SqliteStore(tmp_path / "soma.db")
    await opened.open()
    journal = Journal(opened)
    rows = np.random.default_rng(5).normal(size=(40, DIMENSION))
    for number, row in enumerate(rows):
        context = rows[number - 1].tolist() if number % 3 else None
        tags = ("third",) if number % 3 == 0 else ()
        await journal.remember(f"m{number:02}", own=row.tolist(), context=context, tags=tags)
    yield opened
    await opened.close()


def opened(store: SqliteStore, folder: Path, model: str = MODEL, exact_rows: int = 10) -> FastCore:
    return FastCore(
        store,
        model,
        DIMENSION,
        budget=Budget(10**8),
        exact_rows=exact_rows,
        snapshots=Snapshots(folder / "fastcore"),
    )


async def written(store: SqliteStore, folder: Path) -> Path:
    index = opened(store, folder)
    await index.catch_up(DEFAULT)
    await index.close()
    [path] = (folder / "fastcore").iterdir()
    return path


async def best(index: FastCore, filter: Filter = ALL) -> list[MemoryId]:
    query = unit_vector([1.0] * DIMENSION)
    found = await index.nominate(query, DEFAULT, filter, limit=5)
    return [id for id, _ in (*found.own, *found.context)]


def loads(monkeypatch: pytest.MonkeyPatch) -> list[Namespace]:
    """Count from now on how often a namespace is read out of the store."""
    seen: list[Namespace] = []
    load = loading.load

    async def noted(tx: Transaction, namespace: Namespace, segment: Segment) -> None:
        seen.append(namespace)
        await load(tx, namespace, segment)

    monkeypatch.setattr(fast_core_module, "load", noted)
    return seen


async def test_what_was_written_answers_as_before_without_reading_the_store(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await written(store, tmp_path)
    third = Filter(tags=("third",))
    expected = [await best(opened(store, tmp_path / "none"), one) for one in (ALL, third)]
    seen = loads(monkeypatch)

    restarted = opened(store, tmp_path)

    assert expected == [await best(restarted, one) for one in (ALL, third)]
    assert seen == []
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_follows_the_feed_from_where_it_was_written(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await written(store, tmp_path)
    journal = Journal(store)
    await journal.remember("new", own=[1.0] * DIMENSION)
    seen = loads(monkeypatch)

    index = opened(store, tmp_path)
    await index.catch_up(DEFAULT)

    assert "new" == (await best(index))[0]
    assert seen == []


@pytest.mark.parametrize("place", [0, 9, 30, -1, -100])
async def test_a_damaged_file_is_thrown_away(
    store: SqliteStore, tmp_path: Path, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await written(store, tmp_path)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(bytes(data))
    seen = loads(monkeypatch)

    expected = await best(opened(store, tmp_path / "none"))
    assert expected == await best(opened(store, tmp_path))
    assert len(seen) == 2


@pytest.mark.parametrize("length", [0, 20, 1000])
async def test_a_file_that_was_cut_off_is_thrown_away(
    store: SqliteStore, tmp_path: Path, length: int
) -> None:
    path = await written(store, tmp_path)
    path.write_bytes(path.read_bytes()[:length])

    assert await best(opened(store, tmp_path))


async def test_a_file_of_another_epoch_or_model_is_thrown_away(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await written(store, tmp_path)
    read = Snapshots(path.parent).read(
        Namespace("default"), Segment("other", DIMENSION, "epoch", 0)
    )
    assert read is None
    assert not path.exists()

    await written(store, tmp_path)
    async with store.writing() as tx:
        await tx.settings.set("epoch", "another")
    seen = loads(monkeypatch)
    assert await best(opened(store, tmp_path))
    assert seen == [Namespace("default")]


async def test_nothing_comes_of_what_was_being_written_when_it_was_discarded(
    store: SqliteStore, tmp_path: Path
) -> None:
    index = opened(store, tmp_path)
    await index.catch_up(DEFAULT)
    await index.close()
    files = Snapshots(tmp_path / "fastcore")
    segment = index._segments[Namespace("default")]
    turn = files.turn(Namespace("default"))

    await files.discard(Namespace("default"))

    assert not files.write(Namespace("default"), segment, turn)
    assert [] == list((tmp_path / "fastcore").iterdir())


def test_what_an_earlier_process_left_unfinished_is_removed(tmp_path: Path) -> None:
    (tmp_path / "left.partial").write_bytes(b"secret")

    Snapshots(tmp_path).tidy()

    assert [] == list(tmp_path.iterdir())


async def test_an_erased_vector_is_in_no_file_from_the_moment_the_call_returns(
    tmp_path: Path,
) -> None:
    def holds(data: bytes) -> bool:
        return any(data in path.read_bytes() for path in (tmp_path / "fastcore").iterdir())

    def query() -> Vector:
        return unit_vector([1.0] * DIMENSION)

    rows = np.random.default_rng(5).normal(size=(30, DIMENSION))
    async with installation(tmp_path, embedder=GivenEmbedder(DIMENSION)) as soma:
        kept = [
            (
                await soma.remember()(
                    Draft(content=f"tea {number}", vector=row.tolist(), tags=(f"tag{number}",)),
                    actor=ACTOR,
                )
            ).memory.id
            for number, row in enumerate(rows)
        ]
        index = soma.fast_core()
        await index.nominate(query(), DEFAULT, ALL, limit=5)
        await index.close()
        secret = unit_vector(rows[3].tolist()).data
        assert holds(secret)
        assert holds(b"tag3")

        await soma.erase()(kept[3], actor=ACTOR)

        assert not holds(secret)
        await index.nominate(query(), DEFAULT, ALL, limit=5)
        await index.close()
        assert holds(unit_vector(rows[4].tolist()).data)
        assert not holds(secret)
        assert not holds(b'"tag3"')
