"""One process owns a data directory; everybody else works through it, and nobody is in the way."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters.environment import load_settings
from domain.errors import DataDirectoryBusy
from entrypoints.cli import ownership
from tests.end_to_end.cli_process import TIMEOUT_SECONDS, Soma


@pytest.fixture
def soma(tmp_path: Path) -> Soma:
    """A command line on a fresh data directory."""
    return Soma(tmp_path)


def test_a_command_without_a_server_makes_and_keeps_a_data_directory(soma: Soma) -> None:
    memory_id = soma.out("remember", "first of all").strip()

    assert soma.json("get", memory_id)["content"] == "first of all"
    assert soma.data.stat().st_mode & 0o777 == 0o700
    assert not (soma.data / ownership.SOCKET_NAME).exists()


def test_the_data_option_wins_over_the_environment(soma: Soma, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"

    soma.out("remember", "here", f"--data={elsewhere}")

    assert elsewhere.is_dir()
    assert not soma.data.exists()


def test_commands_that_start_together_all_succeed(soma: Soma) -> None:
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda n: soma.out("remember", f"thought {n}").strip(), range(8)))

    listed = {memory["id"] for memory in soma.json("list")["items"]}

    assert listed == set(ids)


def test_a_command_beside_a_server_works_through_its_socket(soma: Soma) -> None:
    with soma.serving() as server:
        memory_id = soma.out("remember", "through the socket").strip()
        mode = (soma.data / ownership.SOCKET_NAME).stat().st_mode
        assert soma.json("get", memory_id)["id"] == memory_id
        assert server.poll() is None

    assert mode & 0o777 == 0o600
    assert soma.json("get", memory_id)["id"] == memory_id


def test_a_second_server_on_the_same_directory_is_refused(soma: Soma) -> None:
    with soma.serving():
        assert "another process" in soma.refusal("serve", "--port=0")


def test_the_directory_of_a_killed_owner_is_taken_over(soma: Soma) -> None:
    with soma.serving() as server:
        memory_id = soma.out("remember", "before the crash").strip()
        server.send_signal(signal.SIGKILL)
        server.communicate(timeout=TIMEOUT_SECONDS)
    assert (soma.data / ownership.SOCKET_NAME).exists()

    assert soma.json("get", memory_id)["content"] == "before the crash"


def test_a_data_directory_with_a_very_long_path_works(tmp_path: Path) -> None:
    folder = tmp_path / "/".join(["long" * 10] * 4)
    folder.mkdir(parents=True)
    soma = Soma(folder)
    assert len(str(soma.data)) > 150

    with soma.serving():
        memory_id = soma.out("remember", "far away").strip()

    assert soma.json("get", memory_id)["content"] == "far away"


def test_a_data_directory_that_is_a_file_is_refused(soma: Soma) -> None:
    soma.data.write_text("not a directory")

    assert "cannot use the data directory" in soma.refusal("stats")
    assert soma.data.read_text() == "not a directory"


def test_a_database_that_is_none_is_refused_and_left_alone(soma: Soma) -> None:
    soma.out("remember", "x")
    [database] = soma.data.glob("*.db")
    database.write_bytes(b"this is not a database " * 1000)

    soma.refusal("list")

    assert database.read_bytes() == b"this is not a database " * 1000


async def test_an_owner_that_does_not_answer_is_reported_as_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "BUSY_SECONDS", 0.2)
    settings = load_settings({}, {"data_dir": tmp_path, "embedder": "none"})
    descriptor = os.open(tmp_path / ownership.LOCK_NAME, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        async with ownership.opened(settings) as directory:
            with pytest.raises(DataDirectoryBusy, match="does not answer"):
                await directory.acquire()
    finally:
        os.close(descriptor)


async def test_who_waits_for_an_owner_that_leaves_becomes_the_owner(tmp_path: Path) -> None:
    settings = load_settings({}, {"data_dir": tmp_path, "embedder": "none"})
    descriptor = os.open(tmp_path / ownership.LOCK_NAME, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)

    async with ownership.opened(settings) as directory:
        waiting = asyncio.create_task(directory.acquire())
        await asyncio.sleep(0)
        assert not waiting.done()
        os.close(descriptor)
        await waiting

        assert directory.served is not None


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_server_stops_cleanly(soma: Soma, how: signal.Signals) -> None:
    with soma.serving() as server:
        server.send_signal(how)
        _, said = server.communicate(timeout=TIMEOUT_SECONDS)

    assert server.returncode == 0
    assert b"Traceback" not in said
    assert not (soma.data / ownership.SOCKET_NAME).exists()


def test_an_interrupted_command_ends_with_130_and_no_traceback(soma: Soma) -> None:
    fifo = soma.folder / "lines"
    os.mkfifo(fifo)
    with soma.started(["import", str(fifo)], stdout=subprocess.PIPE) as process:
        with fifo.open("wb"):  # opens when the command reads: it is in the middle of its work
            process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=TIMEOUT_SECONDS)

    assert process.returncode == 130
    assert said == b""
