"""Links as NetworkX graphs, one per root namespace, kept fresh by the change feed.

The root of a graph may be any namespace: whoever is bound to a subtree walks in its own graph.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from weakref import WeakValueDictionary

from domain.events import Event, EventType, FeedPosition
from domain.link import Direction, Link
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope, ScopeKind, root_of
from domain.ports import CanonicalStore, Transaction, Walk

if TYPE_CHECKING:
    import networkx as nx

    Graph: TypeAlias = nx.MultiDiGraph

_PAGE = 2000
_SOURCES_AT_ONCE = 500
_LINKS_MAX = 1_000_000
#: Beyond this many events, reading all links again is cheaper than following the feed.
_EVENTS_MAX = 20_000
#: Up to here a walk takes less than handing it to a thread.
_INLINE_NODES = 500

_LINKS_MOVED = {EventType.LINKED, EventType.UNLINKED}
_MEMORY_GONE = {EventType.FORGOTTEN, EventType.ERASED}

T = TypeVar("T")
Step = tuple[MemoryId, int, tuple[Link, ...]]


class NetworkxGraph:
    """Holds the graphs of the roots used last; a walk and a change of one root take turns."""

    def __init__(self, store: CanonicalStore, *, roots_max: int = 64) -> None:
        self._store = store
        self._roots_max = roots_max
        self._roots: OrderedDict[Namespace, _Root] = OrderedDict()
        self._locks: WeakValueDictionary[Namespace, asyncio.Lock] = WeakValueDictionary()
        self._generation = 0

    async def neighbors(
        self,
        ids: Sequence[MemoryId],
        root: Namespace,
        /,
        *,
        direction: Direction,
        type: str | None,
        depth: int,
        limit: int,
    ) -> Walk:
        """Return what is reached within `depth` hops, nearest first, ties by id."""
        async with self._lock(root):
            known = await self._known(root)
            walk = partial(_around, known.graph, ids, direction=direction, link_type=type)
            steps = await _compute(known.graph, lambda: walk(depth=depth, limit=limit))
            return Walk(steps, known.position)

    async def path(
        self,
        source: MemoryId,
        target: MemoryId,
        root: Namespace,
        /,
        *,
        type: str | None,
        weighted: bool,
    ) -> Walk | None:
        """Return the shortest path, both ends included; None when there is none.

        Of equally short paths it is always the same one, however the graph came about.
        """
        async with self._lock(root):
            known = await self._known(root)
            steps = await _compute(
                known.graph, lambda: _shortest(known.graph, source, target, type, weighted)
            )
            return None if steps is None else Walk(steps, known.position)

    async def catch_up(self, root: Namespace, /) -> None:
        """Apply every event of the root's subtree that was committed before this call."""
        async with self._lock(root):
            await self._refreshed(root)

    async def reset(self) -> None:
        """Forget every graph; one that is being built is not kept either."""
        self._generation += 1
        self._roots.clear()

    def _lock(self, root: Namespace) -> asyncio.Lock:
        return self._locks.setdefault(root, asyncio.Lock())

    async def _known(self, root: Namespace) -> _Root:
        known = self._roots.get(root)
        if known is None:
            return await self._refreshed(root)
        self._roots.move_to_end(root)
        return known

    async def _refreshed(self, root: Namespace) -> _Root:
        generation = self._generation
        scope = Scope(root, ScopeKind.SUBTREE)
        async with self._store.reading() as tx:
            epoch = (await tx.feed.position(scope)).epoch
            heads = await _heads(tx, scope)
            known = self._roots.get(root)
            events = None if known is None else await _missed(tx, known, epoch, heads)
            if known is None or events is None:
                known = await _built(tx, scope, epoch, heads)
            else:
                await _apply(tx, root, known.graph, events)
                known.watermarks = heads
        if generation == self._generation:
            self._roots[root] = known
            self._roots.move_to_end(root)
            if len(self._roots) > self._roots_max:
                self._roots.popitem(last=False)
        return known


@dataclass(slots=True)
class _Root:
    """One root's graph and how far it follows each feed below the root."""

    graph: Graph
    epoch: str
    watermarks: dict[Namespace, int]

    @property
    def position(self) -> FeedPosition:
        return FeedPosition(self.epoch, sum(self.watermarks.values()))


async def _compute(graph: Graph, work: Callable[[], T]) -> T:
    return work() if len(graph) <= _INLINE_NODES else await asyncio.to_thread(work)


async def _heads(tx: Transaction, scope: Scope) -> dict[Namespace, int]:
    heads: dict[Namespace, int] = {}
    last: Namespace | None = None
    while page := await tx.feed.heads(scope, limit=_PAGE, after=last):
        heads.update(page)
        last = list(page)[-1]
        if len(page) < _PAGE:
            break
    return heads


async def _built(tx: Transaction, scope: Scope, epoch: str, heads: dict[Namespace, int]) -> _Root:
    import networkx as nx

    graph: Graph = nx.MultiDiGraph()
    last: tuple[str, str, str] | None = None
    while page := await tx.links.page(scope, limit=_PAGE, after=last):
        _put(graph, await _inside(tx, scope.namespace, page))
        last = (page[-1].source, page[-1].target, page[-1].type)
        if len(page) < _PAGE:
            break
    return _Root(graph, epoch, heads)


async def _missed(
    tx: Transaction, known: _Root, epoch: str, heads: Mapping[Namespace, int]
) -> list[Event] | None:
    """Return the events since the watermarks; None when the graph must be built anew."""
    behind = {
        namespace: watermark
        for namespace, head in heads.items()
        if (watermark := known.watermarks.get(namespace, 0)) != head
    }
    ahead = any(heads.get(name, 0) < seq for name, seq in known.watermarks.items())
    gap = sum(heads[namespace] - watermark for namespace, watermark in behind.items())
    if known.epoch != epoch or ahead or gap > _EVENTS_MAX:
        return None
    missed: list[Event] = []
    for namespace, watermark in behind.items():
        last = watermark
        while last < heads[namespace]:
            events = await tx.feed.after(namespace, last, limit=_PAGE)
            if not events or events[0].seq != last + 1:
                return None  # The feed was pruned beyond the watermark.
            missed += events
            last = events[-1].seq
    return missed


async def _apply(tx: Transaction, root: Namespace, graph: Graph, events: Sequence[Event]) -> None:
    """Read the links of every touched source as they are now, then change the graph at once."""
    gone = {event.memory_id for event in events if event.type in _MEMORY_GONE}
    sources = sorted({event.memory_id for event in events if event.type in _LINKS_MOVED})
    links: list[Link] = []
    for start in range(0, len(sources), _SOURCES_AT_ONCE):
        links += await tx.links.of(
            sources[start : start + _SOURCES_AT_ONCE], direction=Direction.OUT, limit=_LINKS_MAX
        )
    links = await _inside(tx, root, links)
    graph.remove_nodes_from(gone)
    for source in sources:
        if source in graph:
            graph.remove_edges_from(list(graph.out_edges(source, keys=True)))
    _put(graph, links)


async def _inside(tx: Transaction, root: Namespace, links: list[Link]) -> list[Link]:
    """Leave out links with an end outside the root; they never leave a root of one segment."""
    if root == root_of(root):
        return links
    scope = Scope(root, ScopeKind.SUBTREE)
    ends = list(dict.fromkeys(end for link in links for end in (link.source, link.target)))
    inside: set[MemoryId] = set()
    for start in range(0, len(ends), _SOURCES_AT_ONCE):
        found = await tx.memories.get(ends[start : start + _SOURCES_AT_ONCE])
        inside.update(id for id, memory in found.items() if scope.contains(memory.namespace))
    return [link for link in links if link.source in inside and link.target in inside]


def _put(graph: Graph, links: Iterable[Link]) -> None:
    graph.add_edges_from((link.source, link.target, link.type, {"link": link}) for link in links)


def _around(
    graph: Graph,
    ids: Sequence[MemoryId],
    *,
    direction: Direction,
    link_type: str | None,
    depth: int,
    limit: int,
) -> tuple[Step, ...]:
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


def _shortest(
    graph: Graph, source: MemoryId, target: MemoryId, link_type: str | None, weighted: bool
) -> tuple[Step, ...] | None:
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
