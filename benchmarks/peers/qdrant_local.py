"""qdrant-client's local mode: Qdrant's interface in Python over SQLite and NumPy.

Configuration: a folder, cosine. One collection per namespace: payload filters run in Python over
every point, so that one collection for all namespaces would look at all of them for each question.
Local mode keeps no payload indexes and no HNSW; it scans, exactly.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from benchmarks.comparison.shapes import DIMENSION, Keep
from benchmarks.comparison.workload import Item, Question
from benchmarks.peers.system import BY_VECTOR, Place, folder_bytes

if TYPE_CHECKING:
    from qdrant_client import QdrantClient


class QdrantLocal:
    """A client on a folder."""

    durable: ClassVar[bool] = True
    blocking: ClassVar[bool] = True
    ways: ClassVar[tuple[str, ...]] = (BY_VECTOR,)
    has_loader: ClassVar[bool] = False

    def __init__(self, place: Place) -> None:
        self._place = place
        self._opened: QdrantClient | None = None
        self._known: set[str] = set()

    async def open(self) -> None:
        """Open the folder; local mode reads every collection into memory here."""
        from qdrant_client import QdrantClient

        self._opened = QdrantClient(
            path=str(self._place.folder / "qdrant"), force_disable_check_same_thread=True
        )
        self._known = {found.name for found in self._opened.get_collections().collections}

    @property
    def _client(self) -> QdrantClient:
        assert self._opened is not None, "open comes first"
        return self._opened

    async def store_batch(self, items: Sequence[Item], /) -> None:
        """Upsert, a namespace at a time."""
        from qdrant_client import models

        for namespace, group in groupby(items, key=lambda item: item.namespace):
            points = [
                models.PointStruct(
                    id=item.number,
                    vector=item.values,
                    payload={"text": item.text, **item.payload},
                )
                for item in group
            ]
            self._client.upsert(self._collection(namespace), points)

    async def store_one(self, item: Item, /) -> None:
        """Upsert one."""
        await self.store_batch((item,))

    def _collection(self, namespace: str) -> str:
        from qdrant_client import models

        name = namespace.replace("/", "-")
        if name not in self._known:
            self._client.create_collection(
                name, models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE)
            )
            self._known.add(name)
        return name

    async def load(self, items: Sequence[Item], /) -> None:
        """There is no faster way than its interface."""
        await self.store_batch(items)

    async def settle(self) -> None:
        """It has nothing to do."""

    async def recall(
        self, question: Question, keep: Keep | None, /, *, way: str, k: int
    ) -> list[str]:
        """Query the collection of the namespace."""
        from qdrant_client import models

        filter = None
        if keep is not None:
            match = models.MatchValue(value=keep.value)
            filter = models.Filter(must=[models.FieldCondition(key=keep.field, match=match)])
        found = self._client.query_points(
            self._collection(question.namespace),
            query=question.values,
            query_filter=filter,
            limit=k,
            with_payload=True,
        )
        return [str(point.id) for point in found.points]

    async def numbers(self, names: Sequence[str], /) -> list[int]:
        """Names are numbers."""
        return [int(name) for name in names]

    def disk_bytes(self) -> int:
        """The folder."""
        return folder_bytes(self._place.folder)

    def process_ids(self) -> list[int]:
        """This process."""
        return [os.getpid()]

    async def close(self) -> None:
        """Close every collection."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None


def build(place: Place) -> QdrantLocal:
    """Make it."""
    return QdrantLocal(place)
