"""Backups that cannot be made, or are not wanted any more: nothing of them is left."""

from __future__ import annotations

import select
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from secrets import token_hex

import pytest

from tests.end_to_end.cli_process import TIMEOUT_SECONDS, Soma
from tests.postgres_server import TestServer

#: A command whose copy of the store never ends.
ENDLESS = """
import asyncio
from adapters.postgres.snapshots import PostgresSnapshots
from adapters.sqlite.snapshots import SqliteSnapshots

async def endless(self, folder, /, *, report):
    (folder / "half").write_bytes(b"half of it")
    print("copying", flush=True)
    await asyncio.Event().wait()

PostgresSnapshots.write = SqliteSnapshots.write = endless
from entrypoints.cli import main
main()
"""


@pytest.fixture(params=["embedded", "server"])
async def soma(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Soma]:
    """A command line of either profile."""
    if request.param == "embedded":
        yield Soma(tmp_path)
        return
    server: TestServer = request.getfixturevalue("postgres_server")
    async with server.database() as url:
        yield Soma(tmp_path, more={"SOMA_POSTGRES_URL": url})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_backup_onto_a_full_disk_ends_at_once_and_names_the_folder(
    soma: Soma, small_disk: Path
) -> None:
    soma.out("remember", "-", "--wait=stored", input=token_hex(30_000).encode())
    (small_disk / "rest").write_bytes(bytes(180 * 1024))

    refused = soma.refusal("backup", "--to", str(small_disk / "b"))

    assert refused == f"to: {small_disk / 'b'} cannot be written: No space left on device"
    assert [path.name for path in small_disk.iterdir()] == ["rest"]
    [job] = soma.json("jobs", "--kind", "backup")["items"]
    assert (job["state"], job["attempts"]) == ("failed", 1)


def test_a_backup_to_a_disk_that_may_only_be_read_is_refused(soma: Soma, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    refused = soma.refusal("backup", "--to", str(small_disk / "b"))

    assert refused == f"to: {small_disk / 'b'} cannot be written: Read-only file system"


def test_a_backup_to_where_nothing_can_be_made_is_refused(soma: Soma, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    refused = soma.refusal("backup", "--to", str(tmp_path / "file" / "b"))

    assert refused == f"to: {tmp_path / 'file' / 'b'} cannot be written: Not a directory"


def test_a_backup_needs_a_folder_of_its_own(soma: Soma) -> None:
    assert soma.refusal("backup", "--to", "/") == "to: / is no place for a folder of its own"


@pytest.mark.parametrize("way", ["backup", "../data/backup", "link/backup"])
def test_a_backup_inside_of_the_data_directory_is_refused(tmp_path: Path, way: str) -> None:
    """It would be lost together with what it is a copy of."""
    soma = Soma(tmp_path)
    soma.out("stats")
    (soma.data / "link").symlink_to(".")

    refused = soma.refusal("backup", "--to", str(soma.data / way))

    assert "is inside of the data directory" in refused
    assert not (soma.data / "backup").exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_backup_is_over_and_leaves_nothing(
    soma: Soma, tmp_path: Path, how: signal.Signals
) -> None:
    """Nobody asked for it any more: the next command must not make it after all."""
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, "backup", "--to", str(tmp_path / "b")],
        cwd=soma.folder,
        env=soma.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        select.select([process.stdout], [], [], TIMEOUT_SECONDS)
        assert process.stdout.readline() == b"copying\n"
        process.send_signal(how)
        _, said = process.communicate(timeout=TIMEOUT_SECONDS)

    assert process.returncode == 128 + how
    assert b"Traceback" not in said
    [job] = soma.json("jobs", "--kind", "backup")["items"]
    assert job["state"] in {"cancelled", "failed"}
    assert not [path for path in tmp_path.iterdir() if "b" in path.name.split(".")]


def test_a_cancelled_backup_says_so(tmp_path: Path) -> None:
    soma = Soma(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, "backup", "--to", str(tmp_path / "b")],
        cwd=soma.folder,
        env=soma.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=TIMEOUT_SECONDS)

    assert said == b"the backup is cancelled\n"
    with closing(sqlite3.connect(soma.data / "soma.db")) as connection:
        assert connection.execute("SELECT state FROM jobs").fetchall() == [("cancelled",)]
