"""A client that costs little: JSON over kept-alive HTTP/1.1, on streams of the standard library.

A full client spends more time on a request than the server does, and both share the cores.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

_OK = 200
_LINE = b"\r\n"
#: A server closes a connection that is idle for about 5 seconds.
_IDLE_SECONDS = 2.0


class HttpConnection:
    """One connection: one request at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: bytes) -> bytes:
        """Send a JSON body and return that of the answer; raise `RuntimeError` unless it is 200."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = await reader.readuntil(_LINE + _LINE)
        status, *fields = answer.split(_LINE)
        content = await reader.readexactly(_length(fields))
        if int(status.split(b" ")[1]) not in {_OK, _OK + 1}:
            raise RuntimeError(f"{status.decode()}: {content[:500].decode(errors='replace')}")
        return content

    async def close(self) -> None:
        """Close it."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class HttpPool:
    """As many connections as there are requests at once."""

    def __init__(self, connect: Callable[[], HttpConnection]) -> None:
        self._connect = connect
        self._idle: list[tuple[float, HttpConnection]] = []

    async def post(self, path: str, body: bytes) -> bytes:
        """Send a request over a connection that nobody uses."""
        connection = await self._taken()
        content = await connection.post(path, body)
        self._idle.append((time.monotonic(), connection))
        return content

    async def _taken(self) -> HttpConnection:
        """Take the one used last, unless the server may have closed it while others had a turn."""
        if self._idle:
            since, connection = self._idle.pop()
            if time.monotonic() - since < _IDLE_SECONDS:
                return connection
            await connection.close()
            await self.close()
        return self._connect()

    async def close(self) -> None:
        """Close those that are idle."""
        for _, connection in self._idle:
            await connection.close()
        self._idle.clear()


def _length(fields: list[bytes]) -> int:
    for field in fields:
        name, _, value = field.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    raise RuntimeError("the answer does not say how long it is")
