"""mcp-memory-service: its SQLite-vec storage in this process.

Configuration: the storage that the service runs on by default, its embedder replaced by one that
looks the given vectors up (its own model would have to be downloaded), write-ahead log on as by
default; a single memory is stored without looking for one that means the same. A memory's namespace
is its `store`; filters are tags, the only ones its search has. It deduplicates by content across
all stores, and scans. It loads an extension of SQLite: where this Python's own `sqlite3` refuses
to, `pysqlite3` takes its place.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.comparison.shapes import DIMENSION, Keep
from benchmarks.comparison.workload import Item, Question
from benchmarks.peers.given import GivenVectors
from benchmarks.peers.system import BY_VECTOR, Place, folder_bytes

if TYPE_CHECKING:
    from mcp_memory_service.storage.sqlite_vec import SqliteVecMemoryStorage


class _Model:
    """What the storage calls for vectors."""

    embedding_dimension = DIMENSION

    def __init__(self, given: GivenVectors) -> None:
        self._given = given

    def encode(self, texts: list[str], convert_to_numpy: bool = False) -> list[Any]:
        """Return the vectors of announced texts."""
        return [self._given.row(text) for text in texts]


class McpMemory:
    """The storage behind the service."""

    durable: ClassVar[bool] = True
    blocking: ClassVar[bool] = False
    ways: ClassVar[tuple[str, ...]] = (BY_VECTOR,)
    has_loader: ClassVar[bool] = False

    def __init__(self, place: Place) -> None:
        self._place = place
        self._given = GivenVectors()
        self._opened: SqliteVecMemoryStorage | None = None

    async def open(self) -> None:
        """Open the file with the embedder replaced."""
        base = self._place.folder / "mcp"
        os.environ["MCP_MEMORY_BASE_DIR"] = str(base)
        os.environ["MCP_MEMORY_STORAGE_BACKEND"] = "sqlite_vec"
        _let_sqlite_load_extensions()
        from mcp_memory_service.storage.sqlite_vec import SqliteVecMemoryStorage

        model = _Model(self._given)

        class WithGivenVectors(SqliteVecMemoryStorage):  # type: ignore[misc]
            """The storage as it is, with another embedder."""

            async def _initialize_embedding_model(self) -> None:
                self.embedding_model = model
                self.embedding_dimension = DIMENSION

        self._opened = WithGivenVectors(str(base / "memories.db"))
        await self._opened.initialize()

    @property
    def _storage(self) -> SqliteVecMemoryStorage:
        assert self._opened is not None, "open comes first"
        return self._opened

    async def store_batch(self, items: Sequence[Item], /) -> None:
        """Store in one transaction per namespace."""
        self._given.expect(items)
        for namespace, group in groupby(items, key=lambda item: item.namespace):
            memories = [_memory(item) for item in group]
            results = await self._storage.store_batch(memories, store=namespace)
            assert all(stored for stored, _ in results), results

    async def store_one(self, item: Item, /) -> None:
        """Store one without looking for one that means the same."""
        self._given.expect((item,))
        stored, reason = await self._storage.store(
            _memory(item), skip_semantic_dedup=True, store=item.namespace
        )
        assert stored, reason

    async def load(self, items: Sequence[Item], /) -> None:
        """There is no faster way than its interface."""
        await self.store_batch(items)

    async def settle(self) -> None:
        """It has nothing to do."""

    async def recall(
        self, question: Question, keep: Keep | None, /, *, way: str, k: int
    ) -> list[str]:
        """Search the store by meaning."""
        self._given.expect_question(question)
        found = await self._storage.retrieve(
            question.text,
            n_results=k,
            tags=None if keep is None else [_tag(keep.field, keep.value)],
            store=question.namespace,
        )
        return [str(hit.memory.metadata["number"]) for hit in found]

    async def numbers(self, names: Sequence[str], /) -> list[int]:
        """Names are numbers."""
        return [int(name) for name in names]

    def disk_bytes(self) -> int:
        """The database and its log."""
        return folder_bytes(self._place.folder)

    def process_ids(self) -> list[int]:
        """This process."""
        return [os.getpid()]

    async def close(self) -> None:
        """Close the file."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None


def _let_sqlite_load_extensions() -> None:
    """Put another build in the place of a `sqlite3` that was built without."""
    import sqlite3

    if not hasattr(sqlite3.Connection, "enable_load_extension"):
        sys.modules["sqlite3"] = import_module("pysqlite3")


def _memory(item: Item) -> Any:
    from mcp_memory_service.models.memory import Memory
    from mcp_memory_service.utils.hashing import generate_content_hash

    return Memory(
        content=item.text,
        content_hash=generate_content_hash(item.text),
        tags=[_tag(field, value) for field, value in item.payload.items()],
        metadata={"number": item.number},
    )


def _tag(field: str, value: int) -> str:
    return f"{field}-{value}"


def build(place: Place) -> McpMemory:
    """Make it."""
    return McpMemory(place)
