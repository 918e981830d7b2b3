"""A memory service in this process and a client of it, beside the REST API of the same store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from container import Container
from entrypoints.grpc.server import grpc_served
from entrypoints.grpc.wire.memory_pb2_grpc import MemoryServiceStub
from entrypoints.http.app import create_app
from tests.end_to_end.embedded import Clock, installation

DETAILS = (
    error_details_pb2.BadRequest,
    error_details_pb2.ErrorInfo,
    error_details_pb2.RetryInfo,
)


@dataclass(frozen=True)
class Doors:
    """Both doors of one installation."""

    container: Container
    stub: MemoryServiceStub
    channel: grpc.aio.Channel
    http: httpx.AsyncClient
    stopping: asyncio.Event


@asynccontextmanager
async def both_doors(
    folder: Path,
    *,
    clock: Clock | None = None,
    credentials: grpc.ChannelCredentials | None = None,
    **settings: Any,
) -> AsyncIterator[Doors]:
    """Open an installation with gRPC on a free port and REST in the process."""
    async with (
        installation(folder, clock=clock, grpc_port=0, **settings) as container,
        doors_of(container, credentials) as doors,
    ):
        yield doors


@asynccontextmanager
async def doors_of(
    container: Container, credentials: grpc.ChannelCredentials | None = None
) -> AsyncIterator[Doors]:
    """Open both doors of an installation that has a port for gRPC."""
    stopping = asyncio.Event()
    transport = httpx.ASGITransport(create_app(container))  # type: ignore[arg-type]
    async with (
        grpc_served(container, stopping) as address,
        _channel(address, credentials) as channel,
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
    ):
        yield Doors(container, MemoryServiceStub(channel), channel, http, stopping)


def _channel(address: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    options = [("grpc.enable_http_proxy", 0)]
    if credentials is None:
        return grpc.aio.insecure_channel(address, options=options)
    port = address.rpartition(":")[2]
    return grpc.aio.secure_channel(f"localhost:{port}", credentials, options=options)


@dataclass(frozen=True)
class Refusal:
    """What a refused call says."""

    code: grpc.StatusCode
    message: str
    slug: str
    fields: Sequence[str]
    retry: bool


def refusal_of(error: grpc.aio.AioRpcError) -> Refusal:
    """Read a refusal with its details."""
    details = _details(error)
    slugs = [d.reason for d in details if isinstance(d, error_details_pb2.ErrorInfo)]
    fields = [
        violation.field
        for d in details
        if isinstance(d, error_details_pb2.BadRequest)
        for violation in d.field_violations
    ]
    retry = any(isinstance(d, error_details_pb2.RetryInfo) for d in details)
    return Refusal(error.code(), error.details() or "", "".join(slugs), fields, retry)


def _details(error: grpc.aio.AioRpcError) -> list[Message]:
    status = rpc_status.from_call(_Call(error))
    assert status is not None, error
    found: list[Message] = []
    for packed in status.details:
        for kind in DETAILS:
            message = kind()
            if packed.Unpack(message):
                found.append(message)
    return found


class _Call:
    """What `rpc_status` wants to see, of an error of the asyncio client."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self._error = error

    def trailing_metadata(self) -> object:
        """Return the pairs sent after the answer."""
        return tuple(self._error.trailing_metadata())

    def code(self) -> grpc.StatusCode:
        """Return the status code."""
        return self._error.code()

    def details(self) -> str | None:
        """Return the message."""
        return self._error.details()
