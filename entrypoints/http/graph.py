"""Routes that link memories and walk along the links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from litestar import delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from domain.link import Direction, Link, Neighbor, Path
from domain.memory import MemoryId
from entrypoints.http.problems import documented
from entrypoints.http.requests import Caller, Soma
from entrypoints.http.schemas import LinkBody
from entrypoints.http.schemas_recall import LimitParameter

TypeParameter = Annotated[
    str | None, QueryParameter(name="type", description="only this link type")
]


@dataclass(frozen=True, slots=True)
class Neighborhood:
    """What was reached, nearest first."""

    items: tuple[Neighbor, ...]


@post("/links", status_code=201, responses=documented(400, 404, 413))
async def connect(data: JSONBody[LinkBody], container: Soma, caller: Caller) -> Link:
    """Link two memories, or change the link they have."""
    link: Link = await container.connect()(
        source=MemoryId(data.source),
        target=MemoryId(data.target),
        type=data.type,
        weight=data.weight,
        properties=data.properties,
        actor=caller,
    )
    return link


@delete("/links", responses=documented(400, 404))
async def disconnect(
    source: FromQuery[str],
    target: FromQuery[str],
    link_type: Annotated[str, QueryParameter(name="type", description="the link's type")],
    container: Soma,
    caller: Caller,
) -> None:
    """Remove one link."""
    await container.disconnect()(
        source=MemoryId(source), target=MemoryId(target), type=link_type, actor=caller
    )


@get("/memories/{memory_id:str}/neighbors", responses=documented(400, 404))
async def neighbors(
    memory_id: FromPath[str],
    container: Soma,
    *,
    link_type: TypeParameter = None,
    direction: FromQuery[Direction] = Direction.BOTH,
    depth: Annotated[int, QueryParameter(ge=1, le=8, description="hops")] = 1,
    limit: LimitParameter = 100,
) -> Neighborhood:
    """Return what is linked to a memory, breadth first."""
    found = await container.neighbors()(
        MemoryId(memory_id), type=link_type, direction=direction, depth=depth, limit=limit
    )
    return Neighborhood(found)


@get("/paths", responses=documented(400, 404))
async def find_path(
    source: FromQuery[str],
    target: FromQuery[str],
    container: Soma,
    link_type: TypeParameter = None,
    weighted: Annotated[
        bool, QueryParameter(description="least sum of 1/weight instead of fewest hops")
    ] = False,
) -> Path:
    """Return the shortest path along the direction of the links."""
    return await container.find_path()(
        source=MemoryId(source), target=MemoryId(target), type=link_type, weighted=weighted
    )


ROUTES = [connect, disconnect, neighbors, find_path]
