"""Soma over HTTP: a real `soma serve` on a folder, asked over kept-alive connections.

Configuration: as in `soma.py`, one process. Vectors travel as base64 of float32. Its memory is the
server's; the client and the server share the cores.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, ClassVar
from urllib.parse import urlsplit

from benchmarks.comparison.http_connection import HttpConnection, HttpPool
from benchmarks.comparison.shapes import DIMENSION, Keep
from benchmarks.comparison.workload import Item, Question
from benchmarks.measuring import Server, serving
from benchmarks.peers.soma import BY_WORDS, FASTCORE_BYTES
from benchmarks.peers.system import BY_VECTOR, Place, folder_bytes


class SomaHttp:
    """A server process and connections to it."""

    durable: ClassVar[bool] = True
    blocking: ClassVar[bool] = False
    ways: ClassVar[tuple[str, ...]] = (BY_VECTOR, BY_WORDS)
    has_loader: ClassVar[bool] = False

    def __init__(self, place: Place) -> None:
        self._place = place
        self._stack = ExitStack()
        self._opened: tuple[Server, HttpPool] | None = None
        self._bodies: dict[tuple[int, Keep | None, str, int], bytes] = {}

    async def open(self) -> None:
        """Start the server and wait until it is ready."""
        started = serving(
            self._place.folder,
            SOMA_EMBEDDER="none",
            SOMA_VECTOR_DIMENSION=str(DIMENSION),
            SOMA_FASTCORE_BYTES=str(FASTCORE_BYTES),
        )
        server = await asyncio.to_thread(self._stack.enter_context, started)
        address = urlsplit(server.url)
        assert address.hostname is not None
        assert address.port is not None
        host, port = address.hostname, address.port
        self._opened = (server, HttpPool(lambda: HttpConnection(host, port)))

    @property
    def _pool(self) -> HttpPool:
        assert self._opened is not None, "open comes first"
        return self._opened[1]

    async def store_batch(self, items: Sequence[Item], /) -> None:
        """Post a batch."""
        body = json.dumps({"memories": [_memory(item) for item in items]})
        await self._pool.post("/v1/memories/batch", body.encode())

    async def store_one(self, item: Item, /) -> None:
        """Post one memory."""
        await self._pool.post("/v1/memories", json.dumps(_memory(item)).encode())

    async def load(self, items: Sequence[Item], /) -> None:
        """There is no faster way than its interface."""
        await self.store_batch(items)

    async def settle(self) -> None:
        """It has nothing to do."""

    async def recall(
        self, question: Question, keep: Keep | None, /, *, way: str, k: int
    ) -> list[str]:
        """Post a question; its body is encoded the first time only."""
        key = (question.number, keep, way, k)
        if key not in self._bodies:
            self._bodies[key] = _asked(question, keep, way, k)
        answer = json.loads(await self._pool.post("/v1/recall", self._bodies[key]))
        return [str(hit["memory"]["payload"]["number"]) for hit in answer["hits"]]

    async def numbers(self, names: Sequence[str], /) -> list[int]:
        """Names are numbers."""
        return [int(name) for name in names]

    def disk_bytes(self) -> int:
        """The data directory."""
        return folder_bytes(self._place.folder)

    def process_ids(self) -> list[int]:
        """The server."""
        assert self._opened is not None, "open comes first"
        return [self._opened[0].pid]

    async def close(self) -> None:
        """Stop the server."""
        if self._opened is not None:
            await self._pool.close()
            self._opened = None
        await asyncio.to_thread(self._stack.close)


def _memory(item: Item) -> dict[str, Any]:
    return {
        "content": item.text,
        "namespace": item.namespace,
        "vector": base64.b64encode(item.vector.tobytes()).decode(),
        "payload": {"number": item.number, **item.payload},
    }


def _asked(question: Question, keep: Keep | None, way: str, k: int) -> bytes:
    body: dict[str, Any] = {
        "namespace": question.namespace,
        "vector": base64.b64encode(question.vector.tobytes()).decode(),
        "k": k,
    }
    if way == BY_WORDS:
        body["query"] = question.text
    if keep is not None:
        body["where"] = {keep.field: keep.value}
    return json.dumps(body).encode()


def build(place: Place) -> SomaHttp:
    """Make it."""
    return SomaHttp(place)
