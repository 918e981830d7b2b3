"""LangGraph's store: `InMemoryStore`, and `AsyncPostgresStore` with pgvector.

Configuration, in memory: the embedder hands out NumPy rows, which its scan stacks faster than lists
of numbers. Nothing outlives the process.

Configuration, PostgreSQL: the same server as Soma's, a pool of 10 connections, HNSW by cosine as
its documentation advises (16 neighbours, `ef_construction` 64: the defaults), `hnsw.ef_search` 100,
and iterative scans, without which a filter that keeps 1 % would find next to nothing behind the
index. Only the text is indexed. `langgraph-flat` is the same without the index: it stores faster,
and scans.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.comparison.shapes import DIMENSION, Keep
from benchmarks.comparison.workload import Item, Question
from benchmarks.peers.given import GivenVectors
from benchmarks.peers.postgres import analysed, database_bytes, dropped_index, made_database
from benchmarks.peers.system import BY_VECTOR, Place

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from langgraph.store.base import BaseStore

_SESSION = {"hnsw.ef_search": "100", "hnsw.iterative_scan": "relaxed_order"}
_CONNECTIONS_MAX = 10


def _embeddings(look_up: Callable[[str], Any]) -> Embeddings:
    """Return an embedder as LangChain has them; its base class can only be had inside."""
    from langchain_core.embeddings import Embeddings

    class Given(Embeddings):  # type: ignore[misc]
        """Looks vectors up."""

        def embed_documents(self, texts: list[str]) -> Any:
            return [look_up(text) for text in texts]

        def embed_query(self, text: str) -> Any:
            return look_up(text)

        async def aembed_documents(self, texts: list[str]) -> Any:
            return self.embed_documents(texts)

        async def aembed_query(self, text: str) -> Any:
            return look_up(text)

    return Given()


class InMemory:
    """`InMemoryStore`."""

    durable: ClassVar[bool] = False
    blocking: ClassVar[bool] = False
    ways: ClassVar[tuple[str, ...]] = (BY_VECTOR,)
    has_loader: ClassVar[bool] = False

    def __init__(self, place: Place) -> None:
        self._given = GivenVectors()
        self._opened: BaseStore | None = None

    async def open(self) -> None:
        """Make an empty one."""
        from langgraph.store.memory import InMemoryStore

        self._opened = InMemoryStore(index=_index(self._given.row))

    @property
    def _store(self) -> BaseStore:
        assert self._opened is not None, "open comes first"
        return self._opened

    async def store_batch(self, items: Sequence[Item], /) -> None:
        """Put all in one call."""
        from langgraph.store.base import PutOp

        self._given.expect(items)
        await self._store.abatch(
            [
                PutOp(
                    tuple(item.namespace.split("/")),
                    str(item.number),
                    {"text": item.text, **item.payload},
                )
                for item in items
            ]
        )

    async def store_one(self, item: Item, /) -> None:
        """Put one."""
        await self.store_batch((item,))

    async def load(self, items: Sequence[Item], /) -> None:
        """There is no faster way than its interface."""
        await self.store_batch(items)

    async def settle(self) -> None:
        """It has nothing to do."""

    async def recall(
        self, question: Question, keep: Keep | None, /, *, way: str, k: int
    ) -> list[str]:
        """Search the namespace."""
        from langgraph.store.base import SearchOp

        self._given.expect_question(question)
        operation = SearchOp(
            tuple(question.namespace.split("/")),
            filter=None if keep is None else {keep.field: keep.value},
            limit=k,
            query=question.text,
        )
        (found,) = await self._store.abatch([operation])
        assert isinstance(found, list)
        return [hit.key for hit in found]

    async def numbers(self, names: Sequence[str], /) -> list[int]:
        """Names are numbers."""
        return [int(name) for name in names]

    def disk_bytes(self) -> int:
        """Nothing is on disk."""
        return 0

    def process_ids(self) -> list[int]:
        """This process."""
        return [os.getpid()]

    async def close(self) -> None:
        """Drop it."""
        self._opened = None


class OnPostgres(InMemory):
    """`AsyncPostgresStore`: the same interface over a server."""

    durable: ClassVar[bool] = True

    def __init__(self, place: Place, *, indexed: bool) -> None:
        super().__init__(place)
        assert place.postgres_url is not None, "needs a PostgreSQL server"
        self._indexed = indexed
        self._server = place.postgres_url
        self._folder = place.folder
        self._url = ""
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        """Open the pool and make the tables."""
        from langgraph.store.postgres import AsyncPostgresStore

        self._url = await made_database(
            self._server, self._folder.name.replace("-", "_"), self._folder, _SESSION
        )
        store = await self._stack.enter_async_context(
            AsyncPostgresStore.from_conn_string(
                self._url,
                pool_config={"min_size": 1, "max_size": _CONNECTIONS_MAX},
                index={
                    **_index(self._given.numbers),
                    "ann_index_config": {"kind": "hnsw", "vector_type": "vector"},
                    "distance_type": "cosine",
                },
            )
        )
        await store.setup()
        if not self._indexed:
            # What its `flat` asks for: the asynchronous store refuses the word.
            await dropped_index(self._url, "store_vectors_embedding_idx")
        self._opened = store

    async def settle(self) -> None:
        """Let PostgreSQL's planner know the tables, as it does after a while by itself."""
        await analysed(self._url)

    def disk_bytes(self) -> int:
        """The database."""
        return database_bytes(self._url)

    async def close(self) -> None:
        """Close the pool."""
        await self._stack.aclose()


def _index(look_up: Callable[[str], Any]) -> Any:
    return {"dims": DIMENSION, "embed": _embeddings(look_up), "fields": ["text"]}


def in_memory(place: Place) -> InMemory:
    """Make the one in memory."""
    return InMemory(place)


def on_postgres(place: Place) -> OnPostgres:
    """Make the one on PostgreSQL that recalls fast."""
    return OnPostgres(place, indexed=True)


def on_postgres_flat(place: Place) -> OnPostgres:
    """Make the one on PostgreSQL that stores fast."""
    return OnPostgres(place, indexed=False)
