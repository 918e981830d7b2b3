"""Routes that link memories and walk along the links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from litestar import delete, get, post
from litestar.params import Parameter

from domain.link import Direction, Link, Neighbor, Path
from domain.memory import MemoryId
from entrypoints.http.problems import documented
from entrypoints.http.requests import Actor, Soma
from entrypoints.http.schemas import LinkBody
from entrypoints.http.schemas_recall import LimitParameter

TypeParameter = Annotated[str | None, Parameter(query="type", description="only this link type")]


@dataclass(frozen=True, slots=True)
class Neighborhood:
    """What was reached, nearest first."""

    items: tuple[Neighbor, ...]


@post("/links", status_code=201, responses=documented(400, 404, 413))
async def connect(data: LinkBody, container: Soma, actor: Actor) -> Link:
    """Link two memories, or change the link they have."""
    return await container.connect()(
        source=MemoryId(data.source),
        target=MemoryId(data.target),
        type=data.type,
        weight=data.weight,
        properties=data.properties,
        actor=actor,
    )


@delete("/links", responses=documented(400, 404))
async def disconnect(
    source: str,
    target: str,
    link_type: Annotated[str, Parameter(query="type", description="the link's type")],
    container: Soma,
    actor: Actor,
) -> None:
    """Remove one link."""
    await container.disconnect()(
        source=MemoryId(source), target=MemoryId(target), type=link_type, actor=actor
    )


@get("/memories/{memory_id:str}/neighbors", responses=documented(400, 404))
async def neighbors(
    memory_id: str,
    container: Soma,
    link_type: TypeParameter = None,
    direction: Direction = Direction.BOTH,
    depth: Annotated[int, Parameter(ge=1, le=8, description="hops")] = 1,
    limit: LimitParameter = 100,
) -> Neighborhood:
    """Return what is linked to a memory, breadth first."""
    found = await container.neighbors()(
        MemoryId(memory_id), type=link_type, direction=direction, depth=depth, limit=limit
    )
    return Neighborhood(found)


@get("/paths", responses=documented(400, 404))
async def find_path(
    source: str,
    target: str,
    container: Soma,
    link_type: TypeParameter = None,
    weighted: Annotated[
        bool, Parameter(description="least sum of 1/weight instead of fewest hops")
    ] = False,
) -> Path:
    """Return the shortest path along the direction of the links."""
    return await container.find_path()(
        source=MemoryId(source), target=MemoryId(target), type=link_type, weighted=weighted
    )


ROUTES = [connect, disconnect, neighbors, find_path]
