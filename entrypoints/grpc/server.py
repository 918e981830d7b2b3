"""Serve the memory service on an address: with TLS where it is configured, health, reflection."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from domain.errors import ConfigurationError
from entrypoints.http.server import GRACE_SECONDS, check_exposure, tcp_listener

if TYPE_CHECKING:
    import grpc

    from container import Container
    from entrypoints.grpc.wire.memory_pb2_grpc import MemoryServiceServicer

PORT = 8422
SERVICE = "soma.v1.MemoryService"
READINESS_SECONDS = 2.0
STREAMS_MAX = 256
PING_INTERVAL_MS = 20_000
#: Metadata is small: a key, an idempotency key, a trace.
METADATA_BYTES_MAX = 16 * 1024
#: What an answer may hold beyond the largest question: a thousand hits with their payloads.
ANSWER_BYTES_MAX = 512 * 1024 * 1024


class Addressed(Protocol):
    """The settings that say where to listen."""

    @property
    def grpc_host(self) -> str:
        """The address."""

    @property
    def grpc_port(self) -> int | None:
        """The port; None is the usual one."""

    @property
    def grpc_cert_file(self) -> Path | None:
        """What the server shows of itself."""

    @property
    def grpc_key_file(self) -> Path | None:
        """The key to it."""

    @property
    def grpc_client_ca_file(self) -> Path | None:
        """Who vouches for clients; None lets in clients without a certificate."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen, and the files that make it TLS."""

    host: str
    port: int
    certificate: Path | None
    key: Path | None
    client_authority: Path | None

    @staticmethod
    def of(settings: Addressed) -> Address:
        """Read it from the settings; raise `ConfigurationError` for half a key pair."""
        if (settings.grpc_cert_file is None) != (settings.grpc_key_file is None):
            raise ConfigurationError("grpc_cert_file and grpc_key_file: set both, or neither")
        if settings.grpc_client_ca_file is not None and settings.grpc_cert_file is None:
            raise ConfigurationError("grpc_client_ca_file: needs grpc_cert_file and grpc_key_file")
        return Address(
            settings.grpc_host,
            PORT if settings.grpc_port is None else settings.grpc_port,
            settings.grpc_cert_file,
            settings.grpc_key_file,
            settings.grpc_client_ca_file,
        )


@asynccontextmanager
async def grpc_served(container: Container, stopping: asyncio.Event) -> AsyncIterator[str]:
    """Serve while the block runs, giving the address; `stopping` ends it within the grace time.

    Raises `ConfigurationError` when the address is taken, or open to others without a key.
    """
    from grpc_health.v1 import health

    address = Address.of(container.settings())
    await check_exposure(address.host, container.access())
    watcher = health.aio.HealthServicer()
    server = _server(container, stopping, watcher)
    port = _listen(server, address)
    await server.start()
    tasks = [
        asyncio.create_task(_follow_readiness(container, watcher), name="grpc readiness"),
        asyncio.create_task(_stop_when(server, stopping), name="grpc stop"),
    ]
    try:
        yield f"{address.host}:{port}"
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)
        await server.stop(GRACE_SECONDS)


async def serve_grpc(container: Container, *, ready: Callable[[str], None]) -> None:
    """Serve nothing but gRPC until SIGINT or SIGTERM; `ready` is told the address."""
    stopping = asyncio.Event()
    with _signals(stopping):
        async with grpc_served(container, stopping) as address:
            ready(address)
            await stopping.wait()


def _server(container: Container, stopping: asyncio.Event, watcher: object) -> grpc.aio.Server:
    import grpc
    from grpc_health.v1 import health_pb2_grpc
    from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

    from entrypoints.grpc.admission import Gate, Voice
    from entrypoints.grpc.legible import Legible
    from entrypoints.grpc.reflecting import GuardedReflection
    from entrypoints.grpc.service import MemoryService
    from entrypoints.grpc.wire.memory_pb2_grpc import add_MemoryServiceServicer_to_server

    settings = container.settings()
    voice = Voice(container.tallies(), container.failure_log(), container.tracing())
    gate = Gate(container.access(), container.guarded(), voice, container.seats())
    server = grpc.aio.server(
        interceptors=[*voice.tracing.grpc_interceptors(), Legible(gate)],
        options=[
            ("grpc.max_receive_message_length", settings.body_bytes_max),
            ("grpc.max_send_message_length", ANSWER_BYTES_MAX),
            ("grpc.max_metadata_size", METADATA_BYTES_MAX),
            ("grpc.max_concurrent_streams", STREAMS_MAX),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", PING_INTERVAL_MS),
            ("grpc.so_reuseport", 0),
        ],
    )
    service: MemoryServiceServicer = MemoryService(
        gate,
        stopping,
        batch_max=settings.batch_max,
        batch_bytes_max=settings.body_bytes_max,
        batch_seconds=settings.body_timeout_seconds,
    )
    add_MemoryServiceServicer_to_server(service, server)
    health_pb2_grpc.add_HealthServicer_to_server(watcher, server)
    names = (SERVICE, "grpc.health.v1.Health", reflection.SERVICE_NAME)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(
        GuardedReflection(gate, names), server
    )
    return server


def _listen(server: grpc.aio.Server, address: Address) -> int:
    host = f"[{address.host}]" if ":" in address.host else address.host
    if address.port:
        # grpc tells why it cannot listen only to its own log.
        with tcp_listener(address.host, address.port):
            pass
    place = f"{host}:{address.port}"
    try:
        if address.certificate is None:
            return int(server.add_insecure_port(place))
        return int(server.add_secure_port(place, _credentials(address)))
    except RuntimeError as error:
        raise ConfigurationError(f"cannot listen on {place}: {error}") from error


def _credentials(address: Address) -> grpc.ServerCredentials:
    import grpc

    assert address.certificate is not None
    assert address.key is not None
    authority = address.client_authority
    return grpc.ssl_server_credentials(
        [(_file(address.key), _file(address.certificate))],
        root_certificates=None if authority is None else _file(authority),
        require_client_auth=authority is not None,
    )


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or 'cannot be read'}") from error


async def _follow_readiness(container: Container, watcher: object) -> None:
    """Tell health's callers what /readyz says."""
    from grpc_health.v1 import health_pb2

    status = health_pb2.HealthCheckResponse
    while True:
        is_ready = (await container.diagnose().health())["store"] == "ok"
        now = status.SERVING if is_ready else status.NOT_SERVING
        for name in ("", SERVICE):
            await watcher.set(name, now)  # type: ignore[attr-defined]
        await asyncio.sleep(READINESS_SECONDS)


async def _stop_when(server: grpc.aio.Server, stopping: asyncio.Event) -> None:
    await stopping.wait()
    await server.stop(GRACE_SECONDS)


@contextlib.contextmanager
def _signals(stopping: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    handled = (signal.SIGINT, signal.SIGTERM)
    for number in handled:
        loop.add_signal_handler(number, stopping.set)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
