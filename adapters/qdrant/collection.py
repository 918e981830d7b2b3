"""The collection of one embedding model, and how to know that it is still the same one.

A point with a fixed id carries the generation, a random text written when the collection is made.
A collection that was lost and made again has another one, so that nobody takes an empty index for
a complete one.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from adapters.qdrant.connection import QdrantConnection
from adapters.qdrant.failures import CollectionMissing, CollectionRemade
from adapters.qdrant.layout import Layout, payload_indexes, sparse_vectors, vectors
from domain.errors import IndexUnavailable

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient, models
    from qdrant_client.conversions.common_types import PayloadSchemaType

Answer = TypeVar("Answer")

GENERATION_POINT = "00000000-0000-5000-8000-000000000001"
_FIELD = "generation"
#: How long others leave it to the one that made the collection to write its generation.
_MAKER_SECONDS = 3.0
_POLL_SECONDS = 0.1
_NAME_MAX = 100


class Collection:
    """Reads and writes one collection by name."""

    def __init__(
        self,
        connection: QdrantConnection,
        model_id: Callable[[], str] | str,
        dimension: int,
        *,
        prefix: str = "soma",
        layout: Layout | None = None,
    ) -> None:
        self.dimension = dimension
        self.layout = layout or Layout()
        self._connection = connection
        self._model_id = model_id
        self._prefix = prefix
        self._generations: dict[str, str] = {}
        self._indexed: set[str] = set()

    @property
    def model(self) -> str:
        """The embedding model whose vectors these are."""
        return self._model_id if isinstance(self._model_id, str) else self._model_id()

    @property
    def name(self) -> str:
        """The collection's name: another model or dimension is another collection."""
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", self.model)[:_NAME_MAX]
        if plain != self.model:
            plain += "-" + hashlib.sha256(self.model.encode()).hexdigest()[:8]
        return f"{self._prefix}-{plain}-{self.dimension}"

    async def opened(self) -> str:
        """Make what is missing of the collection; return the projection's name."""
        name = self.name
        generation = await self._stored_generation(name)
        if generation is None:
            self._indexed.discard(name)
            generation = await self._made(name)
        self._generations[name] = generation
        if name not in self._indexed:
            await self._index(name)
            self._indexed.add(name)
        return self._title(name, generation)

    async def title(self) -> str:
        """Return the projection's name as last seen; raise `CollectionMissing` if there is none."""
        name = self.name
        if name not in self._generations:
            generation = await self._stored_generation(name)
            if generation is None:
                raise CollectionMissing("the collection has not been made yet")
            self._generations[name] = generation
        return self._title(name, self._generations[name])

    def forget(self) -> None:
        """Look at the generation again before the next use."""
        self._generations.clear()

    async def confirm(self, title: str) -> None:
        """Raise `CollectionRemade` unless the collection is still the one of this name."""
        name = self.name
        generation = await self._stored_generation(name)
        if generation is None or self._title(name, generation) != title:
            raise self._remade()

    async def query(
        self, title: str, requests: Sequence[models.QueryRequest]
    ) -> list[list[models.ScoredPoint]]:
        """Ask several questions at once, of the collection of this name or not at all."""
        from qdrant_client import models

        name = self.name
        same = models.QueryRequest(
            filter=models.Filter(must=[models.HasIdCondition(has_id=[GENERATION_POINT])]),
            limit=1,
            with_payload=[_FIELD],
        )
        try:
            answers = await self._connection.read(
                lambda client: client.query_batch_points(
                    name, requests=[*requests, same], consistency=self.layout.consistency
                )
            )
        except CollectionMissing as error:
            raise self._remade() from error
        *found, sign = (answer.points for answer in answers)
        if [self._title(name, (point.payload or {})[_FIELD]) for point in sign] != [title]:
            raise self._remade()
        return found

    async def read(self, ask: Callable[[AsyncQdrantClient, str], Awaitable[Answer]]) -> Answer:
        """Read something of the collection."""
        name = self.name
        return await self._connection.read(lambda client: ask(client, name))

    async def write(self, ask: Callable[[AsyncQdrantClient, str], Awaitable[Answer]]) -> Answer:
        """Change something in the collection."""
        name = self.name
        return await self._connection.write(lambda client: ask(client, name))

    def _remade(self) -> CollectionRemade:
        self.forget()
        return CollectionRemade("the collection was lost or made again")

    @staticmethod
    def _title(name: str, generation: str) -> str:
        return f"qdrant/{name}/{generation}"

    async def _stored_generation(self, name: str) -> str | None:
        try:
            found = await self._connection.read(
                lambda client: client.retrieve(
                    name, [GENERATION_POINT], consistency=self.layout.consistency
                )
            )
        except CollectionMissing:
            return None
        return str((found[0].payload or {})[_FIELD]) if found else None

    async def _made(self, name: str) -> str:
        """Make the collection and name its generation.

        Of several that try, one makes the collection and names it; the others wait for that name.
        Should the maker have ended in between, one of them writes a name. If two write at once the
        later name stands, and whoever read the earlier one finds out by `confirm` or `query`.
        """
        if not await self._created(name):
            deadline = asyncio.get_running_loop().time() + _MAKER_SECONDS
            while asyncio.get_running_loop().time() < deadline:
                if (generation := await self._stored_generation(name)) is not None:
                    return generation
                await asyncio.sleep(_POLL_SECONDS)
        await self._write_generation(name)
        generation = await self._stored_generation(name)
        if generation is None:
            raise IndexUnavailable("the collection vanished while it was made")
        return generation

    async def _created(self, name: str) -> bool:
        """Create the collection; False when somebody else has done so."""
        layout = self.layout
        try:
            await self._connection.write(
                lambda client: client.create_collection(
                    name,
                    vectors_config=vectors(layout, self.dimension),
                    sparse_vectors_config=sparse_vectors(layout),
                    shard_number=layout.shards,
                    replication_factor=layout.replicas,
                    write_consistency_factor=layout.majority,
                    on_disk_payload=layout.on_disk,
                )
            )
        except IndexUnavailable:
            # "Already exists" has had several status codes: what counts is that it is there.
            if await self._connection.read(lambda client: client.collection_exists(name)):
                return False
            raise
        return True

    async def _write_generation(self, name: str) -> None:
        from qdrant_client import models

        point = models.PointStruct(
            id=GENERATION_POINT, vector={}, payload={_FIELD: secrets.token_hex(8)}
        )
        await self._connection.write(
            lambda client: client.upsert(
                name, [point], wait=True, ordering=models.WriteOrdering.STRONG
            )
        )

    async def _index(self, name: str) -> None:
        """Create those payload indexes that are missing."""
        info = await self._connection.read(lambda client: client.get_collection(name))
        for field, schema in payload_indexes(self.layout).items():
            if field not in info.payload_schema:
                await self._connection.write(_indexing(name, field, schema))


def _indexing(
    name: str, field: str, schema: PayloadSchemaType
) -> Callable[[AsyncQdrantClient], Awaitable[models.UpdateResult]]:
    return lambda client: client.create_payload_index(name, field, field_schema=schema, wait=True)
