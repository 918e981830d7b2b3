"""Folders that hold a backup: whole and as written, or not there."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.backup_folder import BackupFolders
from domain.backup import StoreFacts
from domain.errors import BackupDamaged, InvalidInput
from tests.contracts.store_fixtures import START

FACTS = StoreFacts(
    engine="test",
    schema_version=4,
    epoch="abc",
    counts={"memories": 3},
    heads="00ff",
    columns={"memories": ["id", "größe"]},
)


async def made(path: Path) -> None:
    """Make a backup of two files."""
    archives = BackupFolders()
    async with archives.making(path, name="test") as folder:
        (folder / "one").write_bytes(b"first file")
        (folder / "two").write_bytes(bytes(range(256)) * 5000)
        await archives.seal(folder, path, FACTS, at=START)


def names_in(folder: Path) -> set[str]:
    """Return the names of what is in a folder."""
    return {file.name for file in folder.iterdir()}


def modes_of(folder: Path) -> dict[str, int]:
    """Return the rights to a folder and to what is in it, by name."""
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in (folder, *folder.iterdir())}


async def test_appears_whole_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "backup"
    archives = BackupFolders()

    async with archives.making(path, name="test") as folder:
        (folder / "one").write_bytes(b"first file")
        assert not path.exists()
        sealed = await archives.seal(folder, path, FACTS, at=START)

    assert await archives.verify(path) == sealed
    assert sealed.facts == FACTS
    assert [(part.name, part.bytes) for part in sealed.parts] == [("one", 10)]
    assert names_in(tmp_path) == {"backup"}
    assert modes_of(path) == {"backup": 0o700, "one": 0o600, "manifest.json": 0o600}


async def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    async def fail() -> None:
        async with BackupFolders().making(tmp_path / "backup", name="test") as folder:
            (folder / "one").write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()

    assert names_in(tmp_path) == set()


async def test_what_a_killed_run_left_is_cleared_away_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "backup"
    left = tmp_path / ".backup.test.partial"
    left.mkdir()
    (left / "rest").write_bytes(b"rest")

    await made(path)

    assert names_in(path) == {"one", "two", "manifest.json"}
    assert names_in(tmp_path) == {"backup"}


async def test_replaces_nothing_and_says_where_it_cannot_write(tmp_path: Path) -> None:
    archives = BackupFolders()
    (tmp_path / "file").write_bytes(b"precious")

    for path in (tmp_path / "file", tmp_path / "no" / "such" / "folder"):
        with pytest.raises(InvalidInput, match="to: "):
            async with archives.making(path, name="test"):
                pass

    assert (tmp_path / "file").read_bytes() == b"precious"


async def test_nothing_else_is_taken_for_a_backup(tmp_path: Path) -> None:
    archives = BackupFolders()
    (tmp_path / "manifest.json").write_bytes(b"{}")

    for path in (tmp_path, tmp_path / "absent", tmp_path / "manifest.json"):
        with pytest.raises(BackupDamaged):
            await archives.verify(path)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for a backup that is damaged and mended again and again."""
    path = tmp_path_factory.mktemp("kept") / "backup"
    asyncio.run(made(path))
    return path


@given(name=st.sampled_from(["one", "two", "manifest.json"]), data=st.data())
async def test_any_changed_byte_is_noticed(kept: Path, name: str, data: st.DataObject) -> None:
    file = kept / name
    right = file.read_bytes()
    at = data.draw(st.integers(0, len(right) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda value: value != right[at]))
    if name == "manifest.json" and {bytes([right[at]]), bytes([other])} <= {b" ", b"\n", b"\t"}:
        return  # Another space between two values is the same manifest.
    file.write_bytes(right[:at] + bytes([other]) + right[at + 1 :])

    try:
        with pytest.raises(BackupDamaged):
            await BackupFolders().verify(kept)
    finally:
        file.write_bytes(right)
    await BackupFolders().verify(kept)


@pytest.mark.parametrize("name", ["one", "manifest.json"])
async def test_a_missing_or_shortened_file_is_noticed(tmp_path: Path, name: str) -> None:
    path = tmp_path / "backup"
    await made(path)
    whole = (path / name).read_bytes()

    (path / name).write_bytes(whole[:-3])
    with pytest.raises(BackupDamaged):
        await BackupFolders().verify(path)
    (path / name).unlink()
    with pytest.raises(BackupDamaged):
        await BackupFolders().verify(path)
