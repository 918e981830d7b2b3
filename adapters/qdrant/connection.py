"""One client of a Qdrant server: made when it is first needed, every call with a time limit."""

from __future__ import annotations

import asyncio
import math
import warnings
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from adapters.qdrant.failures import translated
from domain.errors import IndexUnavailable

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient

Answer = TypeVar("Answer")

READ_SECONDS = 2.0
WRITE_SECONDS = 10.0


class QdrantConnection:
    """Calls a server over HTTP, or over gRPC where its port is given.

    Every failure of a call is `IndexUnavailable`; no message holds the key.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        grpc_port: int | None = None,
        read_seconds: float = READ_SECONDS,
        write_seconds: float = WRITE_SECONDS,
    ) -> None:
        self._url = url
        self._api_key = api_key
        self._grpc_port = grpc_port
        self._read_seconds = read_seconds
        self._write_seconds = write_seconds
        self._client: AsyncQdrantClient | None = None
        self._closed = False

    async def read(self, ask: Callable[[AsyncQdrantClient], Awaitable[Answer]], /) -> Answer:
        """Ask for something that others wait for."""
        return await self._call(ask, self._read_seconds)

    async def write(self, ask: Callable[[AsyncQdrantClient], Awaitable[Answer]], /) -> Answer:
        """Change something, which may take longer."""
        return await self._call(ask, self._write_seconds)

    async def open(self) -> None:
        """Make the client ahead of the first call, which would have to wait for its library."""
        self._client = await asyncio.to_thread(self.connect)

    async def close(self) -> None:
        """Close the connections; later calls raise `IndexUnavailable`."""
        self._closed = True
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _call(
        self, ask: Callable[[AsyncQdrantClient], Awaitable[Answer]], seconds: float
    ) -> Answer:
        if self._closed:
            raise IndexUnavailable("the connection to Qdrant is closed")
        if self._client is None:
            self._client = self.connect()
        with translated(seconds):
            # The client's own limits are whole seconds, and per step rather than per call.
            async with asyncio.timeout(seconds):
                return await ask(self._client)

    def connect(self) -> AsyncQdrantClient:
        """Make the client; nothing is sent yet."""
        from qdrant_client import AsyncQdrantClient

        with warnings.catch_warnings():
            # A key without TLS is for the operator to judge: often both ends share one host.
            warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
            return AsyncQdrantClient(
                url=self._url,
                api_key=self._api_key,
                prefer_grpc=self._grpc_port is not None,
                grpc_port=self._grpc_port or 6334,
                timeout=math.ceil(max(self._read_seconds, self._write_seconds)),
                check_compatibility=False,
            )
