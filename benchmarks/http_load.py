"""Many clients at once, cheap enough not to be what is measured: keep-alive HTTP/1.1 by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(frozen=True, slots=True)
class Load:
    """What some clients saw together: milliseconds of each request, and all of it in seconds."""

    times: list[float]
    seconds: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.times) / self.seconds


def request(url: str, path: str, body: bytes, *, method: str = "POST") -> bytes:
    """Spell a request beforehand."""
    host = urlsplit(url).netloc
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def loaded(url: str, requests: Sequence[bytes], clients: int) -> Load:
    """Send the requests over as many connections, each as soon as the one before is answered."""
    return asyncio.run(_loaded(url, requests, clients))


async def _loaded(url: str, requests: Sequence[bytes], clients: int) -> Load:
    waiting = iter(requests)
    times: list[float] = []
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(_client(url, waiting, times))
    return Load(times, time.perf_counter() - started)


async def _client(url: str, waiting: Iterator[bytes], times: list[float]) -> None:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    for one in waiting:
        started = time.perf_counter()
        writer.write(one)
        head = await reader.readuntil(_END)
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")):
            raise SystemExit(f"the server answered {head!r}")
        lower = head.lower()
        begin = lower.index(_LENGTH) + len(_LENGTH)
        await reader.readexactly(int(lower[begin : lower.index(b"\r\n", begin)]))
        times.append(1000 * (time.perf_counter() - started))
    writer.close()
