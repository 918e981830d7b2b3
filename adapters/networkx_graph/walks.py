"""Walks over a graph of links."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from domain.link import Direction, Link
from domain.memory import MemoryId

if TYPE_CHECKING:
    import networkx as nx

    Graph: TypeAlias = nx.MultiDiGraph

Step = tuple[MemoryId, int, tuple[Link, ...]]


def around(
    graph: Graph,
    ids: Sequence[MemoryId],
    *,
    direction: Direction,
    link_type: str | None,
    depth: int,
    limit: int,
) -> tuple[Step, ...]:
    """Return what is reached within `depth` hops, nearest first, ties by id."""
    steps: list[Step] = []
    seen = set(ids)
    frontier = sorted(seen)
    for distance in range(1, depth + 1):
        reached: dict[MemoryId, set[tuple[str, str, str]]] = {}
        found: dict[tuple[str, str, str], Link] = {}
        for here in frontier:
            for there, link in _at(graph, here, direction):
                if there not in seen and link_type in {None, link.type}:
                    key = (link.source, link.target, link.type)
                    found[key] = link
                    reached.setdefault(there, set()).add(key)
        frontier = sorted(reached)
        for there in frontier:
            if len(steps) == limit:
                return tuple(steps)
            steps.append((there, distance, tuple(found[key] for key in sorted(reached[there]))))
        seen.update(frontier)
    return tuple(steps)


def _at(graph: Graph, here: MemoryId, direction: Direction) -> Iterator[tuple[MemoryId, Link]]:
    """Yield the other end and the link of every edge at a memory."""
    if here not in graph:
        return
    if direction is not Direction.IN:
        for there, parallel in graph.adj[here].items():
            yield from ((there, edge["link"]) for edge in parallel.values())
    if direction is not Direction.OUT:
        for there, parallel in graph.pred[here].items():
            yield from ((there, edge["link"]) for edge in parallel.values())


def shortest(
    graph: Graph, source: MemoryId, target: MemoryId, link_type: str | None, weighted: bool
) -> tuple[Step, ...] | None:
    """Return the shortest path, both ends included; None when there is none."""
    import networkx as nx

    if source == target:
        return ((source, 0, ()),)
    if source not in graph or target not in graph:
        return None

    def cost(_: object, __: object, parallel: Mapping[str, Mapping[str, Link]]) -> float | None:
        link = _strongest(parallel, link_type)
        if link is None:
            return None
        return 1 / link.weight if weighted else 1.0

    try:
        length = nx.dijkstra_path_length(graph, source, target, weight=cost)
    except nx.NetworkXNoPath:
        return None
    # Every predecessor on an equally short path is known: going back over the least ids settles it.
    before, _ = nx.dijkstra_predecessor_and_distance(graph, source, cutoff=length, weight=cost)
    ids = [target]
    while ids[-1] != source:
        # A cost too small to change the sum makes equals of two that lead to each other.
        onward = [id for id in before[ids[-1]] if id not in ids]
        if not onward:
            ids = list(reversed(nx.dijkstra_path(graph, source, target, weight=cost)))
            break
        ids.append(min(onward))
    ids.reverse()
    steps: list[Step] = [(source, 0, ())]
    for depth, (here, there) in enumerate(pairwise(ids), start=1):
        link = _strongest(graph.adj[here][there], link_type)
        steps.append((there, depth, () if link is None else (link,)))
    return tuple(steps)


def _strongest(parallel: Mapping[str, Mapping[str, Link]], link_type: str | None) -> Link | None:
    """Return the closest of parallel links, the first type on a tie."""
    links = [edge["link"] for edge in parallel.values() if link_type in {None, edge["link"].type}]
    return min(links, key=lambda link: (-link.weight, link.type), default=None)
