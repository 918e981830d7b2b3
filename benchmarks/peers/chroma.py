"""Chroma, persistent, in this process.

Configuration: embeddings are given, so there is no embedding function. One collection for one
namespace; one for all, with the namespace as metadata, where there are many: a collection each took
2.7 MB of memory and four open files apiece (measured with 300). HNSW: cosine, `ef_construction`
100, 16 neighbours, `ef_search` 100 (its defaults, which find what the others find on this work),
all cores. Documents and metadata are returned, as every other system returns them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.comparison.shapes import Keep
from benchmarks.comparison.workload import Item, Question
from benchmarks.peers.system import BY_VECTOR, Place, folder_bytes

if TYPE_CHECKING:
    from chromadb import Collection
    from chromadb.api import ClientAPI

HNSW: dict[str, Any] = {"space": "cosine", "ef_construction": 100, "ef_search": 100}
_SPACE = "namespace"


class Chroma:
    """A collection of a persistent client."""

    durable: ClassVar[bool] = True
    blocking: ClassVar[bool] = True
    ways: ClassVar[tuple[str, ...]] = (BY_VECTOR,)
    has_loader: ClassVar[bool] = False

    def __init__(self, place: Place) -> None:
        self._place = place
        self._many = place.shape.namespaces > 1
        self._opened: tuple[ClientAPI, Collection] | None = None

    async def open(self) -> None:
        """Open the client and its collection."""
        client = persistent_client(self._place)
        collection = client.get_or_create_collection(
            "benchmark", embedding_function=None, configuration={"hnsw": HNSW}
        )
        self._opened = (client, collection)

    @property
    def _collection(self) -> Collection:
        assert self._opened is not None, "open comes first"
        return self._opened[1]

    async def store_batch(self, items: Sequence[Item], /) -> None:
        """Add all."""
        self._collection.add(
            ids=[str(item.number) for item in items],
            embeddings=[item.vector for item in items],
            documents=[item.text for item in items],
            metadatas=[{**item.payload, _SPACE: item.namespace} for item in items],
        )

    async def store_one(self, item: Item, /) -> None:
        """Add one."""
        await self.store_batch((item,))

    async def load(self, items: Sequence[Item], /) -> None:
        """There is no faster way than its interface."""
        await self.store_batch(items)

    async def settle(self) -> None:
        """It has nothing to do."""

    async def recall(
        self, question: Question, keep: Keep | None, /, *, way: str, k: int
    ) -> list[str]:
        """Query by the embedding."""
        terms: list[dict[str, Any]] = []
        if self._many:
            terms.append({_SPACE: question.namespace})
        if keep is not None:
            terms.append({keep.field: keep.value})
        where = None if not terms else terms[0] if len(terms) == 1 else {"$and": terms}
        found = self._collection.query(
            query_embeddings=[question.vector],
            n_results=k,
            where=where,
            include=["documents", "metadatas", "distances"],
        )
        ids: list[str] = found["ids"][0]
        return ids

    async def numbers(self, names: Sequence[str], /) -> list[int]:
        """Names are numbers."""
        return [int(name) for name in names]

    def disk_bytes(self) -> int:
        """The folder of the client."""
        return folder_bytes(self._place.folder)

    def process_ids(self) -> list[int]:
        """This process."""
        return [os.getpid()]

    async def close(self) -> None:
        """Let go of the client; it has written everything."""
        if self._opened is not None:
            self._opened[0].close()
            self._opened = None


def persistent_client(place: Place) -> ClientAPI:
    """Return a client of the folder that tells nobody."""
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(
        str(place.folder / "chroma"), settings=Settings(anonymized_telemetry=False)
    )


def build(place: Place) -> Chroma:
    """Make it."""
    return Chroma(place)
