"""Soma in this process: the use cases over SQLite, or over PostgreSQL.

Configuration: the defaults, but no embedder (every vector is given), and a Fast Core large enough
for the namespace. Every store is one durable transaction (SQLite `synchronous=FULL`, PostgreSQL
with fsync) that also looks for duplicates, keeps versions, writes lexical rows and the change feed.
A filter is a condition on the payload. Ways to ask: `engine` is the vector index alone, `vector` is
the whole recall by the given vector, `words` the whole recall by words and vector.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar

from adapters.environment import load_settings
from benchmarks.comparison.shapes import DIMENSION, Keep
from benchmarks.comparison.workload import Item, Question
from benchmarks.peers.postgres import analysed, database_bytes, made_database
from benchmarks.peers.system import BY_VECTOR, Place, folder_bytes
from container import Container, running
from container import build as wired
from domain.draft import Draft, Wait
from domain.filter import Filter, parse_where
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope
from domain.recall import RecallQuery
from domain.vector import unit_vector

ENGINE = "engine"
BY_WORDS = "words"
#: Of vectors and postings together; a million memories need about half of it.
FASTCORE_BYTES = 6 * 2**30
_ACTOR = "benchmark"


class Soma:
    """The use cases in this process."""

    durable: ClassVar[bool] = True
    blocking: ClassVar[bool] = False
    ways: ClassVar[tuple[str, ...]] = (ENGINE, BY_VECTOR, BY_WORDS)
    has_loader: ClassVar[bool] = False

    def __init__(self, place: Place) -> None:
        self._place = place
        self._stack = AsyncExitStack()
        self._opened: Container | None = None
        self._caught_up: set[str] = set()

    async def open(self) -> None:
        """Open the store, in a database of its own where there is a server."""
        settings: dict[str, object] = {
            "data_dir": self._place.folder,
            "embedder": "none",
            "vector_dimension": DIMENSION,
            "fastcore_bytes": FASTCORE_BYTES,
        }
        if self._place.postgres_url is not None:
            settings["postgres_url"] = await made_database(
                self._place.postgres_url, "soma", self._place.folder
            )
        container = wired(load_settings({}, settings))
        self._opened = await self._stack.enter_async_context(running(container))

    @property
    def _container(self) -> Container:
        assert self._opened is not None, "open comes first"
        return self._opened

    async def store_batch(self, items: Sequence[Item], /) -> None:
        """Store in one transaction."""
        drafts = [_draft(item) for item in items]
        stored = await self._container.remember_batch()(drafts, wait=Wait.INDEXED, actor=_ACTOR)
        assert all(one.indexed and not one.deduplicated for one in stored)

    async def store_one(self, item: Item, /) -> None:
        """Store in a transaction of its own."""
        stored = await self._container.remember()(_draft(item), wait=Wait.INDEXED, actor=_ACTOR)
        assert stored.indexed

    async def load(self, items: Sequence[Item], /) -> None:
        """There is no faster way than its interface."""
        await self.store_batch(items)

    async def settle(self) -> None:
        """Let PostgreSQL's planner know the tables, as it does after a while by itself."""
        if (url := self._container.settings().postgres_url) is not None:
            await analysed(url)

    async def recall(
        self, question: Question, keep: Keep | None, /, *, way: str, k: int
    ) -> list[str]:
        """Ask the whole use case, or the vector index alone."""
        if way == ENGINE:
            return await self._nominated(question, keep, k)
        answer = await self._container.recall()(
            RecallQuery(
                text=question.text if way == BY_WORDS else None,
                vector=question.values,
                scope=_scope(question),
                filter=_filter(keep),
                k=k,
            )
        )
        assert not answer.degraded
        return [str(hit.memory.payload["number"]) for hit in answer.hits]

    async def _nominated(self, question: Question, keep: Keep | None, k: int) -> list[str]:
        """Ask the index alone, which is brought up to date the first time only."""
        index, scope = self._container.index(), _scope(question)
        if question.namespace not in self._caught_up:
            await index.catch_up(scope)
            self._caught_up.add(question.namespace)
        filter = replace(_filter(keep), valid_at=datetime.now(UTC))
        found = await index.nominate(unit_vector(question.values), scope, filter, limit=k)
        return [id for id, _ in found.own]

    async def numbers(self, names: Sequence[str], /) -> list[int]:
        """Names are numbers, or ids where the index alone was asked."""
        ids = [MemoryId(name) for name in names if not name.isdigit()]
        async with self._container.store().reading() as tx:
            known = await tx.memories.get(ids) if ids else {}
        payloads = {id: str(memory.payload["number"]) for id, memory in known.items()}
        return [int(payloads.get(MemoryId(name), name)) for name in names]

    def disk_bytes(self) -> int:
        """The data directory, or the database."""
        if (url := self._container.settings().postgres_url) is not None:
            return database_bytes(url)
        return folder_bytes(self._place.folder)

    def process_ids(self) -> list[int]:
        """This process."""
        return [os.getpid()]

    async def close(self) -> None:
        """Close the store."""
        await self._stack.aclose()


def _draft(item: Item) -> Draft:
    return Draft(
        content=item.text,
        namespace=item.namespace,
        vector=item.values,
        payload={"number": item.number, **item.payload},
    )


def _scope(question: Question) -> Scope:
    return Scope(Namespace(question.namespace))


def _filter(keep: Keep | None) -> Filter:
    return Filter() if keep is None else Filter(where=parse_where({keep.field: keep.value}))


def build(place: Place) -> Soma:
    """Make it."""
    return Soma(place)
