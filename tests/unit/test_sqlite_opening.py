"""What the SQLite store does with a data directory that is not as it should be."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from adapters.sqlite.migrate import APPLICATION_ID
from adapters.sqlite.store import SqliteStore
from domain.errors import (
    DataDirectoryCorrupt,
    DataDirectoryError,
    DataDirectoryNewer,
    StoreUnavailable,
)
from tests.contracts.store_fixtures import a_memory, stored

_NOBODY = 65534
_ADAPTERS = Path(__file__).parents[2] / "adapters"


def digest(path: Path) -> str:
    """Fingerprint a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def names_in(directory: Path) -> list[str]:
    """List a directory."""
    return [entry.name for entry in directory.iterdir()]


async def test_creates_what_is_not_there_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "soma ☕ #1?.db"
    store = SqliteStore(path)
    assert not path.parent.exists()

    await store.open()
    await store.close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names_in(path.parent) == [path.name]
    latest = len(list((_ADAPTERS / "sqlite" / "migrations").glob("*.sql")))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (latest,)


async def test_opens_again_with_the_same_epoch(tmp_path: Path) -> None:
    epochs: set[str | None] = set()
    memory = a_memory()
    for _ in range(3):
        store = SqliteStore(tmp_path / "soma.db")
        await store.open()
        if not epochs:
            await stored(store, memory)
        async with store.reading() as tx:
            epochs.add(await tx.settings.get("epoch"))
            assert await tx.memories.get([memory.id]) == {memory.id: memory}
        await store.close()

    assert len(epochs) == 1


async def test_gives_every_installation_another_epoch(tmp_path: Path) -> None:
    epochs: set[str | None] = set()
    for name in ("one", "two"):
        store = SqliteStore(tmp_path / name)
        await store.open()
        async with store.reading() as tx:
            epochs.add(await tx.settings.get("epoch"))
        await store.close()

    assert len(epochs) == 2


async def test_refuses_a_newer_database_and_leaves_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "soma.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE future (x)")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 2026")
    before = digest(path)

    with pytest.raises(DataDirectoryNewer, match="schema version 2026"):
        await SqliteStore(path).open()

    assert digest(path) == before


async def test_refuses_the_database_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "soma.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (x)")
    before = digest(path)

    with pytest.raises(DataDirectoryError, match="another program"):
        await SqliteStore(path).open()

    assert digest(path) == before


@pytest.mark.parametrize(
    "content", [b"dear diary, " * 1000, b"\x00" * 8192, b"SQLite format 3\x00" + b"\xff" * 8000]
)
async def test_refuses_what_is_no_database_and_leaves_it_alone(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "soma.db"
    path.write_bytes(content)

    with pytest.raises(DataDirectoryCorrupt, match="damaged or not a database"):
        await SqliteStore(path).open()

    assert path.read_bytes() == content


async def test_takes_an_empty_file_for_a_new_database(tmp_path: Path) -> None:
    (tmp_path / "soma.db").touch()
    store = SqliteStore(tmp_path / "soma.db")

    await store.open()

    await store.ping()
    await store.close()


async def test_reports_damage_inside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "soma.db"
    store = SqliteStore(path)
    await store.open()
    await stored(store, *(a_memory(f"memory {number} " * 20) for number in range(200)))
    await store.close()
    whole = path.read_bytes()
    # Everything after the schema's first page is noise now.
    path.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    damaged = digest(path)

    store = SqliteStore(path)
    with pytest.raises(DataDirectoryCorrupt):
        await store.open()

    assert digest(path) == damaged


@pytest.fixture
def read_only_directory() -> Iterator[Path]:
    """Give a directory that this process may read but not write, whoever runs it."""
    directory = Path(tempfile.mkdtemp())
    (directory / "writable.db").touch()
    (directory / "writable.db").chmod(0o666)
    directory.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(_NOBODY)
    yield directory
    if root:
        os.seteuid(0)
    directory.chmod(0o755)
    shutil.rmtree(directory)


async def test_says_that_a_directory_is_read_only(read_only_directory: Path) -> None:
    with pytest.raises(DataDirectoryError, match="cannot be created or written"):
        await SqliteStore(read_only_directory / "soma.db").open()

    assert names_in(read_only_directory) == ["writable.db"]


async def test_says_that_a_directory_with_a_writable_file_is_read_only(
    read_only_directory: Path,
) -> None:
    with pytest.raises(DataDirectoryError, match="is read-only"):
        await SqliteStore(read_only_directory / "writable.db").open()


async def test_says_that_the_directory_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DataDirectoryError, match="cannot be created or written"):
        await SqliteStore(tmp_path / "file" / "soma.db").open()


async def test_is_unavailable_before_open_and_after_close(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "soma.db")
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.ping()

    await store.open()
    await store.ping()
    await store.close()
    await store.close()

    with pytest.raises(StoreUnavailable, match="not open"):
        await store.ping()
    with pytest.raises(StoreUnavailable, match="not open"):
        async with store.writing():
            pass
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.check()


async def test_can_be_opened_again(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "soma.db")
    for _ in range(2):
        await store.open()
        await stored(store, a_memory())
        await store.close()
