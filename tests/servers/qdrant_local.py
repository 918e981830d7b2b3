"""The local mode of Qdrant's client, refusing as a server would. It is not Qdrant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapters.qdrant.connection import QdrantConnection

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient

_SECONDS = 20.0


class LocalQdrant(QdrantConnection):
    """The client's local mode, refusing as a server would."""

    def __init__(self, path: str = ":memory:") -> None:
        super().__init__("http://localhost:1", read_seconds=_SECONDS, write_seconds=_SECONDS)
        self._path = path

    def connect(self) -> AsyncQdrantClient:
        """Make a client without a server."""
        return local_client(self._path)


def local_client(path: str) -> AsyncQdrantClient:
    """Return a client in local mode whose refusals look like a server's."""
    from httpx import Headers
    from qdrant_client import AsyncQdrantClient
    from qdrant_client.common.client_warnings import SEEN_MESSAGES
    from qdrant_client.http.exceptions import UnexpectedResponse

    # It says once that indexes and search parameters have no effect on it: that is understood.
    SEEN_MESSAGES.update(
        {"create-local-payload-indexes", "local_query_points_search_params_ignored"}
    )
    where = {"location": path} if path == ":memory:" else {"path": path}
    client = AsyncQdrantClient(**where)  # type: ignore[arg-type]
    local: Any = client._client
    found, created = local._get_collection, local.create_collection

    def get_collection(name: str) -> object:
        if name not in local.collections:
            raise UnexpectedResponse(404, "Not Found", b"no such collection", Headers())
        return found(name)

    async def create_collection(collection_name: str, **config: Any) -> object:
        if collection_name in local.collections:
            raise UnexpectedResponse(409, "Conflict", b"it exists already", Headers())
        return await created(collection_name, **config)

    local._get_collection, local.create_collection = get_collection, create_collection
    return client
