"""Routes that link memories and walk along the links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from litestar import delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from application.access.permits import Operation
from domain.link import Direction, Link, Neighbor, Path
from domain.memory import MemoryId
from entrypoints.http import shapes
from entrypoints.http.access import needs
from entrypoints.http.problems import BODY, documented
from entrypoints.http.requests import Soma
from entrypoints.http.schemas import LinkBody
from entrypoints.http.schemas_recall import LimitParameter

TypeParameter = Annotated[
    str | None,
    QueryParameter(
        name="type", description="only this link type", schema_extra=dict(shapes.LINK_TYPE)
    ),
]


@dataclass(frozen=True, slots=True)
class Neighborhood:
    """What was reached, nearest first."""

    items: tuple[Neighbor, ...]


@post(
    "/links", opt=needs(Operation.CONNECT), status_code=201, responses=documented(400, 404, *BODY)
)
async def connect(data: JSONBody[LinkBody], soma: Soma) -> Link:
    """Link two memories, or change the link they have."""
    link: Link = await soma.connect(
        source=MemoryId(data.source),
        target=MemoryId(data.target),
        type=data.type,
        weight=data.weight,
        properties=data.properties,
    )
    return link


@delete("/links", opt=needs(Operation.DISCONNECT), responses=documented(400, 404))
async def disconnect(
    source: FromQuery[str],
    target: FromQuery[str],
    link_type: Annotated[
        str,
        QueryParameter(
            name="type", description="the link's type", schema_extra=dict(shapes.LINK_TYPE)
        ),
    ],
    soma: Soma,
) -> None:
    """Remove one link."""
    await soma.disconnect(source=MemoryId(source), target=MemoryId(target), type=link_type)


@get(
    "/memories/{memory_id:str}/neighbors",
    opt=needs(Operation.NEIGHBORS),
    responses=documented(400, 404),
)
async def neighbors(
    memory_id: FromPath[str],
    soma: Soma,
    *,
    link_type: TypeParameter = None,
    direction: FromQuery[Direction] = Direction.BOTH,
    depth: Annotated[int, QueryParameter(ge=1, le=8, description="hops")] = 1,
    limit: LimitParameter = 100,
) -> Neighborhood:
    """Return what is linked to a memory, breadth first."""
    found = await soma.neighbors(
        MemoryId(memory_id), type=link_type, direction=direction, depth=depth, limit=limit
    )
    return Neighborhood(found)


@get("/paths", opt=needs(Operation.FIND_PATH), responses=documented(400, 404))
async def find_path(
    source: FromQuery[str],
    target: FromQuery[str],
    soma: Soma,
    link_type: TypeParameter = None,
    weighted: Annotated[
        bool, QueryParameter(description="least sum of 1/weight instead of fewest hops")
    ] = False,
) -> Path:
    """Return the shortest path along the direction of the links."""
    return await soma.find_path(
        source=MemoryId(source), target=MemoryId(target), type=link_type, weighted=weighted
    )


ROUTES = [connect, disconnect, neighbors, find_path]
