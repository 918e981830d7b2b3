"""A data directory that is read-only, full, newer or damaged: said clearly, nothing overwritten."""

from __future__ import annotations

import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from container import DATABASE_NAME, Container
from domain.draft import Draft, Wait
from domain.errors import (
    DataDirectoryCorrupt,
    DataDirectoryError,
    DataDirectoryNewer,
    SomaError,
    StoreUnavailable,
)
from domain.filter import Filter
from domain.memory import Memory
from domain.namespace import DEFAULT_NAMESPACE, Scope
from tests.end_to_end.cli_process import ROOT, Soma
from tests.end_to_end.embedded import ACTOR, installation

PAGE_BYTES = 4096
DEFAULT = Scope(DEFAULT_NAMESPACE)


@pytest.fixture
async def filled(tmp_path: Path) -> Path:
    """Return a data directory with some memories, closed."""
    data_dir = tmp_path / "data"
    async with installation(data_dir) as soma:
        drafts = [Draft(content=f"turn {n} of the red kettle " + "x" * 500) for n in range(200)]
        await soma.remember_batch()(drafts, actor=ACTOR)
    return data_dir


async def listed(soma: Container) -> tuple[Memory, ...]:
    page = await soma.list_memories()(scope=DEFAULT, filter=Filter(), limit=1000)
    return page.items


async def use(data_dir: Path) -> None:
    """Open, read all that there is, and have it checked."""
    async with installation(data_dir) as soma:
        await listed(soma)
        if findings := await soma.reconcile()(check=True):
            raise DataDirectoryCorrupt(str(findings))


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[None]:
    """Mount a small file system of its own; skip where that is not permitted."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mount = shutil.which("mount")
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a tmpfs cannot be mounted here (needs root and the right to mount)")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def make_read_only(folder: Path) -> None:
    """Mount a tmpfs again, for reading only: that holds for the super-user too."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


# --- Where there is no directory -----------------------------------------------------------------


def file_in_the_way(folder: Path) -> Path:
    (folder / "data").write_text("mine")
    return folder / "data"


def file_above(folder: Path) -> Path:
    (folder / "data").write_text("mine")
    return folder / "data" / "below"


def folder_in_place_of_the_database(folder: Path) -> Path:
    (folder / "data" / DATABASE_NAME).mkdir(parents=True)
    return folder / "data"


@pytest.mark.parametrize("prepare", [file_in_the_way, file_above, folder_in_place_of_the_database])
async def test_a_directory_that_cannot_be_made_is_an_error_with_its_path(
    tmp_path: Path, prepare: Callable[[Path], Path]
) -> None:
    data_dir = prepare(tmp_path)
    with pytest.raises(DataDirectoryError, match=str(data_dir)):
        await use(data_dir)


def test_the_command_line_says_so_in_one_line(tmp_path: Path) -> None:
    soma = Soma(tmp_path)
    soma.data.write_text("mine")
    assert str(soma.data) in soma.refusal("list")
    assert soma.data.read_text() == "mine"


# --- Read-only -----------------------------------------------------------------------------------


async def test_a_read_only_directory_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    soma = Soma(tmp_path)
    with tmpfs(soma.data, "32m"):
        async with installation(soma.data) as container:
            await container.remember()(Draft(content="red kettle"), actor=ACTOR)
        before = (soma.data / DATABASE_NAME).read_bytes()
        make_read_only(soma.data)
        with pytest.raises(DataDirectoryError, match=r"(?i)read-only"):
            await use(soma.data)
        assert "read-only" in soma.refusal("remember", "blue boat").lower()
        assert (soma.data / DATABASE_NAME).read_bytes() == before


# --- Full ----------------------------------------------------------------------------------------


async def test_a_full_disk_refuses_a_change_whole_and_recovers_when_there_is_room(
    tmp_path: Path,
) -> None:
    with tmpfs(tmp_path / "data", "24m"):
        async with installation(tmp_path / "data") as soma:
            await soma.remember()(Draft(content="red kettle"), actor=ACTOR)
            ballast = tmp_path / "data" / "ballast"
            fill(ballast)
            batch = [Draft(content=f"{n} " + "x" * 60_000) for n in range(60)]
            with pytest.raises(StoreUnavailable, match="full"):
                await soma.remember_batch()(batch, wait=Wait.STORED, actor=ACTOR)
            assert [memory.content for memory in await listed(soma)] == ["red kettle"]

            ballast.unlink()
            stored = await soma.remember_batch()(batch[:5], actor=ACTOR)
            assert all(result.indexed for result in stored)
            assert len(await listed(soma)) == 6
            assert await soma.reconcile()(check=True) == []


async def test_the_command_line_on_a_full_disk_fails_in_one_line_and_keeps_what_was_there(
    tmp_path: Path,
) -> None:
    soma = Soma(tmp_path)
    with tmpfs(soma.data, "8m"):
        soma.out("remember", "red kettle")
        ballast = soma.data / "ballast"
        fill(ballast)
        soma.refusal("remember", "blue boat " + "x" * 30_000)
        ballast.unlink()
        kept = soma.out("list")
        assert "red kettle" in kept
        assert "blue boat" not in kept


def fill(ballast: Path) -> None:
    """Take all the room that is left."""
    block = b"x" * 65536
    with ballast.open("wb", buffering=0) as file:
        while block:
            try:
                file.write(block)
            except OSError:
                block = block[: len(block) // 2]


@pytest.mark.parametrize("limit", [600_000])
def test_a_file_that_may_not_grow_refuses_what_does_not_fit(tmp_path: Path, limit: int) -> None:
    """What a disk quota does, also where no file system can be mounted."""
    script = """
import asyncio, signal, sys
from pathlib import Path
from domain.draft import Draft
from domain.errors import StoreUnavailable
from tests.end_to_end.embedded import ACTOR, installation
from tests.end_to_end.test_data_directory import listed

async def main():
    async with installation(Path(sys.argv[1])) as soma:
        kept = 0
        try:
            while kept < 100:
                await soma.remember()(Draft(content=f"{kept} " + "x" * 30_000), actor=ACTOR)
                kept += 1
        except StoreUnavailable as error:
            print(kept, len(await listed(soma)), error)

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    kept, still, *reason = done.stdout.split()
    assert 0 < int(kept) == int(still) < 100
    assert reason[0] == "the", done.stdout


# --- Newer, foreign, damaged ---------------------------------------------------------------------


def newer(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 9999")


def of_another_program(database: Path) -> None:
    database.unlink()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE mine (x)")


def no_database(database: Path) -> None:
    database.write_bytes(b"hello world\n" * 1000)


def header_overwritten(database: Path) -> None:
    overwrite(database, 0, b"\xff" * 64)


def cut_in_half(database: Path) -> None:
    data = database.read_bytes()
    database.write_bytes(data[: len(data) // 2 // PAGE_BYTES * PAGE_BYTES])


def cut_within_a_page(database: Path) -> None:
    data = database.read_bytes()
    database.write_bytes(data[: len(data) // 3 + 77])


def pages_overwritten(database: Path) -> None:
    pages = database.stat().st_size // PAGE_BYTES
    for page in range(2, pages, 3):
        overwrite(database, page * PAGE_BYTES, bytes(range(256)) * (PAGE_BYTES // 256))


def pages_zeroed(database: Path) -> None:
    pages = database.stat().st_size // PAGE_BYTES
    overwrite(database, PAGE_BYTES, bytes((pages - 1) * PAGE_BYTES))


def overwrite(database: Path, offset: int, data: bytes) -> None:
    with database.open("r+b") as file:
        file.seek(offset)
        file.write(data)


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (newer, DataDirectoryNewer),
        (of_another_program, DataDirectoryError),
        (no_database, DataDirectoryCorrupt),
        (header_overwritten, DataDirectoryCorrupt),
        (cut_in_half, DataDirectoryCorrupt),
        (cut_within_a_page, DataDirectoryCorrupt),
        (pages_overwritten, DataDirectoryCorrupt),
        (pages_zeroed, DataDirectoryCorrupt),
    ],
)
async def test_a_spoilt_database_is_an_error_and_stays_as_it_is(
    filled: Path, spoil: Callable[[Path], None], error: type[SomaError]
) -> None:
    database = filled / DATABASE_NAME
    spoil(database)
    before = database.read_bytes()
    with pytest.raises(error, match=str(database) if error is not DataDirectoryCorrupt else None):
        await use(filled)
    assert database.read_bytes() == before


@pytest.mark.parametrize("spoil", [newer, no_database, pages_zeroed])
async def test_the_command_line_refuses_a_spoilt_database_in_one_line(
    filled: Path, spoil: Callable[[Path], None]
) -> None:
    database = filled / DATABASE_NAME
    spoil(database)
    before = database.read_bytes()
    Soma(filled.parent).refusal("list")
    assert database.read_bytes() == before


async def test_an_empty_directory_becomes_a_store_that_only_its_owner_reads(tmp_path: Path) -> None:
    data_dir = tmp_path / "deep" / "data"
    await use(data_dir)
    assert (data_dir / DATABASE_NAME).stat().st_mode & 0o777 == 0o600
    assert data_dir.stat().st_mode & 0o777 == 0o700
