"""A whole installation as processes: the servers behind proxies, API replicas, workers."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.kafka import kafka_of_ones_own
from tests.servers.postgres import PostgresProcess
from tests.servers.proxy import Mode, Proxy
from tests.servers.redis import redis_of_ones_own
from tests.servers.server import ServerProcess, free_port

ROOT = Path(__file__).resolve().parents[2]
DIMENSION = 4
SOMA = (sys.executable, "-c", "from entrypoints.cli import main; main()")


@dataclass(frozen=True)
class Part:
    """A server, and the proxy through which everybody reaches it."""

    server: ServerProcess
    proxy: Proxy

    def fail(self, how: str) -> None:
        """Make it fail: "kill", "pause", "black hole" or "refuse"."""
        if how == "kill":
            self.server.kill()
        elif how == "pause":
            self.server.pause()
        else:
            self.proxy.set(Mode(how))

    def recover(self, how: str) -> None:
        """Undo a failure."""
        if how == "kill":
            self.server.start()
        elif how == "pause":
            self.server.resume()
        else:
            self.proxy.set(Mode.FORWARD)


@dataclass(frozen=True)
class Cluster:
    """Servers that run, and the means to start Soma's own processes on them."""

    folder: Path
    postgres: Part
    redis: Part
    qdrant: Part
    kafka: Part
    stack: ExitStack
    settings: Mapping[str, str] = field(default_factory=dict)

    def api(self, name: str = "api", **settings: str) -> ServerProcess:
        """Start a replica of the API."""
        return self._soma(name, "serve", "SOMA_PORT", settings)

    def worker(self, name: str = "worker", **settings: str) -> ServerProcess:
        """Start a worker."""
        return self._soma(name, "worker", "SOMA_WORKER_PORT", settings)

    def _soma(
        self, name: str, command: str, port_variable: str, settings: Mapping[str, str]
    ) -> ServerProcess:
        port = free_port()
        process = ServerProcess(
            [*SOMA, command],
            port=port,
            url=f"http://127.0.0.1:{port}",
            log=self.folder / f"{name}.log",
            environ={
                "PYTHONPATH": str(ROOT),
                "PYTHONWARNINGS": "error",
                "SOMA_DATA_DIR": str(self.folder / name),
                port_variable: str(port),
                **self.settings,
                **settings,
            },
        )
        process.start()
        self.stack.callback(process.kill)
        return process


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """Start the servers; stop everything in the end.

    Qdrant is a stand-in: the client's local mode behind the calls that the adapter makes.
    """
    with ExitStack() as stack:
        # Apart from pytest's folders, which are closed to the user that PostgreSQL runs as.
        apart = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="soma-postgres-", ignore_cleanup_errors=True)
        )
        Path(apart).chmod(0o755)
        parts = {
            "postgres": _part(stack, PostgresProcess(Path(apart))),
            "redis": _part(stack, redis_of_ones_own(folder)),
            "qdrant": _part(stack, _qdrant(folder)),
            "kafka": _kafka(stack, folder),
        }
        settings = {
            "SOMA_POSTGRES_URL": (
                f"postgresql://postgres@127.0.0.1:{parts['postgres'].proxy.port}/postgres"
            ),
            "SOMA_POSTGRES_STATEMENT_TIMEOUT_SECONDS": "3",
            "SOMA_POSTGRES_WAITING_TIMEOUT_SECONDS": "2",
            "SOMA_REDIS_URL": f"redis://127.0.0.1:{parts['redis'].proxy.port}/0",
            "SOMA_REDIS_BODIES": "true",
            "SOMA_QDRANT_URL": f"http://127.0.0.1:{parts['qdrant'].proxy.port}",
            "SOMA_QDRANT_WRITE_TIMEOUT_SECONDS": "3",
            "SOMA_KAFKA_SERVERS": f"127.0.0.1:{parts['kafka'].proxy.port}",
            "SOMA_KAFKA_PARTITIONS": "3",
            "SOMA_KAFKA_TIMEOUT_SECONDS": "3",
            "SOMA_KAFKA_SESSION_TIMEOUT_SECONDS": "6",
            "SOMA_EMBEDDER": "none",
            "SOMA_VECTOR_DIMENSION": str(DIMENSION),
        }
        yield Cluster(folder=folder, stack=stack, settings=settings, **parts)


def _part(stack: ExitStack, server: ServerProcess) -> Part:
    server.start()
    stack.callback(server.kill)
    return Part(server, stack.enter_context(Proxy(server.port).running()))


def _kafka(stack: ExitStack, folder: Path) -> Part:
    """Start a broker that advertises the proxy: its clients connect to what it says."""
    advertised = free_port()
    server = kafka_of_ones_own(folder, advertised_port=advertised)
    server.start()
    stack.callback(server.kill)
    proxy = Proxy(server.port, port=advertised)
    return Part(server, stack.enter_context(proxy.running()))


def _qdrant(folder: Path) -> ServerProcess:
    port = free_port()
    command = [
        *(sys.executable, "-m", "tests.servers.qdrant_stand_in"),
        *("--port", str(port), "--path", str(folder / "qdrant")),
    ]
    return ServerProcess(
        command,
        port=port,
        url=f"http://127.0.0.1:{port}",
        log=folder / "qdrant.log",
        environ={"PYTHONPATH": str(ROOT)},
    )
