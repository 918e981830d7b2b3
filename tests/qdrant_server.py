"""A Qdrant for tests: the server that is given, a container, or the client's local mode.

`SOMA_TEST_QDRANT_URL` (or `SOMA_QDRANT_URL`) names a server, `SOMA_TEST_QDRANT_API_KEY` its key and
`SOMA_TEST_QDRANT_GRPC_PORT` its gRPC port, if that is to be used. Every test has collections with a
prefix of its own, which are removed afterwards. Local mode is no Qdrant: it keeps points in this
process, knows no indexes and compares with every vector.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from adapters.qdrant.collection import Collection
from adapters.qdrant.connection import QdrantConnection
from adapters.qdrant.layout import Layout
from tests.servers.containers import shared_container, unusable
from tests.servers.qdrant_local import LocalQdrant

# Read at import: later every test hides the settings from outside.
_GIVEN = os.environ.get("SOMA_TEST_QDRANT_URL") or os.environ.get("SOMA_QDRANT_URL")
_KEY = os.environ.get("SOMA_TEST_QDRANT_API_KEY") or os.environ.get("SOMA_QDRANT_API_KEY")
_GRPC = os.environ.get("SOMA_TEST_QDRANT_GRPC_PORT") or os.environ.get("SOMA_QDRANT_GRPC_PORT")
_DEMANDED = os.environ.get("USE_REAL_INFRA") == "1"

#: A server under test may be busy with other tests, or on the far end of a network.
_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class TestQdrant:
    """A connection, and the prefix under which a test may make collections."""

    __test__ = False

    connection: QdrantConnection
    prefix: str

    def collection(
        self, model: str = "given:3", dimension: int = 3, layout: Layout | None = None
    ) -> Collection:
        """Describe a collection; it is made by opening a projection."""
        return Collection(self.connection, model, dimension, prefix=self.prefix, layout=layout)

    async def remove_collections(self) -> None:
        """Remove every collection that was made."""
        found = await self.connection.read(lambda client: client.get_collections())
        for name in [one.name for one in found.collections if one.name.startswith(self.prefix)]:
            await self.connection.write(lambda client, name=name: client.delete_collection(name))  # type: ignore[misc]


@asynccontextmanager
async def running_qdrant() -> AsyncIterator[TestQdrant]:
    """Give a Qdrant without collections of this prefix; remove what the block makes.

    Fails under `USE_REAL_INFRA=1` without a server.
    """
    url = _GIVEN or shared_container("qdrant")
    if _DEMANDED and not url:
        pytest.fail(f"Qdrant is demanded: no SOMA_TEST_QDRANT_URL, and {unusable('qdrant')}")
    if url:
        connection = QdrantConnection(
            url,
            api_key=_KEY,
            grpc_port=int(_GRPC) if _GRPC else None,
            read_seconds=_SECONDS,
            write_seconds=_SECONDS,
        )
    else:
        connection = LocalQdrant()
    running = TestQdrant(connection, f"soma-test-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        yield running
        await running.remove_collections()
    finally:
        await connection.close()


@pytest.fixture
async def qdrant() -> AsyncIterator[TestQdrant]:
    """Give a Qdrant to one test."""
    async with running_qdrant() as running:
        yield running
