"""A stand-in for Qdrant, for tests that kill, pause and black-hole it. It is not Qdrant.

`python -m tests.servers.qdrant_stand_in --port N --path DIR` serves the client's local mode, which
keeps its points in DIR, behind exactly the REST calls that the adapter makes. It knows no indexes,
no shards and no keys, does one thing at a time, and compares with every vector.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

import uvicorn
from litestar import Litestar, Request, Response, delete, get, post, put
from litestar.datastructures import State
from pydantic import TypeAdapter
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse
from qdrant_client.http.models import models as wire

from tests.servers.qdrant_local import LocalQdrant
from tests.servers.server import ServerProcess, free_port

AnyRequest = Request[Any, Any, State]
_SELECTOR: TypeAdapter[models.PointsSelector] = TypeAdapter(models.PointsSelector)


def stand_in(folder: Path) -> ServerProcess:
    """Describe a stand-in that keeps its points in a folder; start it to use it."""
    port = free_port()
    module = ["-m", "tests.servers.qdrant_stand_in"]
    return ServerProcess(
        [sys.executable, *module, "--port", str(port), "--path", folder / "qdrant"],
        port=port,
        url=f"http://127.0.0.1:{port}",
        log=folder / "qdrant.log",
    )


def _client(request: AnyRequest) -> AsyncQdrantClient:
    client: AsyncQdrantClient = request.app.state.client
    return client


def _answer(result: object) -> Response[bytes]:
    return Response(_as_json(result), media_type="application/json")


def _as_json(result: object) -> bytes:
    envelope = {"usage": None, "time": 0.0, "status": "ok", "result": result}
    return TypeAdapter(dict[str, Any]).dump_json(envelope, exclude_none=True)


@get("/collections")
async def list_collections(request: AnyRequest) -> Response[bytes]:
    """Name all collections."""
    return _answer(await _client(request).get_collections())


@get("/collections/{name:str}")
async def show_collection(request: AnyRequest, name: str) -> Response[bytes]:
    """Describe one collection."""
    return _answer(await _client(request).get_collection(name))


@get("/collections/{name:str}/exists")
async def collection_exists(request: AnyRequest, name: str) -> Response[bytes]:
    """Tell whether there is a collection."""
    return _answer({"exists": await _client(request).collection_exists(name)})


@put("/collections/{name:str}")
async def create_collection(request: AnyRequest, name: str) -> Response[bytes]:
    """Make a collection."""
    asked = models.CreateCollection.model_validate_json(await request.body())
    await _client(request).create_collection(
        name,
        vectors_config=asked.vectors,
        sparse_vectors_config=asked.sparse_vectors,
        on_disk_payload=asked.on_disk_payload,
    )
    return _answer(True)


@delete("/collections/{name:str}", status_code=200)
async def delete_collection(request: AnyRequest, name: str) -> Response[bytes]:
    """Remove a collection."""
    return _answer(await _client(request).delete_collection(name))


@put("/collections/{name:str}/index")
async def create_index(request: AnyRequest, name: str) -> Response[bytes]:
    """Take note of an index."""
    asked = wire.CreateFieldIndex.model_validate_json(await request.body())
    return _answer(
        await _client(request).create_payload_index(
            name, asked.field_name, field_schema=asked.field_schema
        )
    )


@post("/collections/{name:str}/points", status_code=200)
async def retrieve_points(request: AnyRequest, name: str) -> Response[bytes]:
    """Return points by id."""
    asked = models.PointRequest.model_validate_json(await request.body())
    return _answer(await _client(request).retrieve(name, asked.ids))


@put("/collections/{name:str}/points")
async def upsert_points(request: AnyRequest, name: str) -> Response[bytes]:
    """Write points."""
    asked = models.PointsList.model_validate_json(await request.body())
    return _answer(await _client(request).upsert(name, asked.points))


@post("/collections/{name:str}/points/delete", status_code=200)
async def delete_points(request: AnyRequest, name: str) -> Response[bytes]:
    """Remove points by id or by filter."""
    asked = _SELECTOR.validate_json(await request.body())
    return _answer(await _client(request).delete(name, asked))


@post("/collections/{name:str}/points/scroll", status_code=200)
async def scroll_points(request: AnyRequest, name: str) -> Response[bytes]:
    """Return one page of points."""
    asked = models.ScrollRequest.model_validate_json(await request.body())
    points, following = await _client(request).scroll(
        name,
        scroll_filter=asked.filter,
        limit=asked.limit or 10,
        offset=asked.offset,
        with_payload=asked.with_payload or False,
    )
    return _answer({"points": points, "next_page_offset": following})


@post("/collections/{name:str}/points/query/batch", status_code=200)
async def query_points(request: AnyRequest, name: str) -> Response[bytes]:
    """Answer several questions."""
    asked = wire.QueryRequestBatch.model_validate_json(await request.body())
    return _answer(await _client(request).query_batch_points(name, asked.searches))


def _refused(_: AnyRequest, error: UnexpectedResponse) -> Response[bytes]:
    return Response(
        error.content, status_code=error.status_code or 500, media_type="application/json"
    )


async def _serve(host: str, port: int, path: str) -> None:
    client = LocalQdrant(path).connect()
    app = Litestar(
        [
            list_collections,
            show_collection,
            collection_exists,
            create_collection,
            delete_collection,
            create_index,
            retrieve_points,
            upsert_points,
            delete_points,
            scroll_points,
            query_points,
        ],
        state=State({"client": client}, deep_copy=False),
        exception_handlers={UnexpectedResponse: _refused},
        request_max_body_size=64 * 1024 * 1024,
        openapi_config=None,
    )
    await uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level="warning")).serve()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    given = parser.parse_args()
    asyncio.run(_serve(given.host, given.port, given.path))
