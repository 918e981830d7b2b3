"""Connect memories by links, and walk along them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from application.access.subtree import seen_from
from application.remember import check_same_root
from application.storing.sequencing import Sequencer
from domain.errors import InvalidInput, LinkNotFound, MemoryNotFound, PathNotFound
from domain.events import EventType
from domain.link import DEPTH_MAX, Direction, Link, Neighbor, Path, check_link_type, check_weight
from domain.memory import Limits, Memory, MemoryId, check_payload
from domain.namespace import Namespace, root_of
from domain.ports import CanonicalStore, EventBus, MemoryGraph, Transaction, Walk

NEIGHBORS_MAX = 1000


@dataclass(frozen=True, kw_only=True)
class Connect:
    """Link two memories, or change the link they have. Raises `MemoryNotFound`, `InvalidInput`."""

    store: CanonicalStore
    bus: EventBus
    now: Callable[[], datetime]
    new_event_id: Callable[[], str]
    limits: Limits

    async def __call__(
        self,
        *,
        source: MemoryId,
        target: MemoryId,
        type: str,
        weight: float = 1.0,
        properties: Mapping[str, object] | None = None,
        actor: str,
        within: Namespace | None = None,
    ) -> Link:
        """Return the link as stored."""
        if source == target:
            raise InvalidInput("target", "is the source itself")
        at = self.now()
        link = Link(
            source=source,
            target=target,
            type=check_link_type(type),
            weight=check_weight(weight),
            properties=check_payload(properties or {}, self.limits, "properties"),
            created_at=at,
            seq=0,
        )
        async with seen_from(self.store, within).writing() as tx:
            one, other = await both_ends(tx, source, target)
            check_same_root(one.namespace, other.namespace)
            heads = await tx.feed.lock({one.namespace, other.namespace})
            one, other = await both_ends(tx, source, target)
            sequencer = Sequencer(heads, at, self.new_event_id)
            link = replace(link, seq=sequencer.note_link(link, one, other, EventType.LINKED))
            await tx.links.put([link])
            await tx.feed.append(sequencer.events)
        await self.bus.publish({one.namespace, other.namespace})
        return link


@dataclass(frozen=True, kw_only=True)
class Disconnect:
    """Remove a link. Raises `LinkNotFound`."""

    store: CanonicalStore
    bus: EventBus
    now: Callable[[], datetime]
    new_event_id: Callable[[], str]

    async def __call__(
        self,
        *,
        source: MemoryId,
        target: MemoryId,
        type: str,
        actor: str,
        within: Namespace | None = None,
    ) -> None:
        """Remove exactly one link."""
        async with seen_from(self.store, within).writing() as tx:
            ends = await tx.memories.get([source, target])
            if source not in ends or target not in ends:
                raise LinkNotFound(source, target, type)
            one, other = ends[source], ends[target]
            heads = await tx.feed.lock({one.namespace, other.namespace})
            if not await tx.links.remove(source, target, type):
                raise LinkNotFound(source, target, type)
            at = self.now()
            sequencer = Sequencer(heads, at, self.new_event_id)
            gone = Link(source=source, target=target, type=type, created_at=at, seq=0)
            sequencer.note_link(gone, one, other, EventType.UNLINKED)
            await tx.feed.append(sequencer.events)
        await self.bus.publish({one.namespace, other.namespace})


@dataclass(frozen=True, kw_only=True)
class Neighbors:
    """Return what is linked to a memory, breadth first. Raises `MemoryNotFound`, `InvalidInput`."""

    store: CanonicalStore
    graph: MemoryGraph

    async def __call__(
        self,
        id: MemoryId,
        *,
        type: str | None = None,
        direction: Direction = Direction.BOTH,
        depth: int = 1,
        limit: int = 100,
        within: Namespace | None = None,
    ) -> tuple[Neighbor, ...]:
        """Walk at most `depth` hops."""
        if not 1 <= depth <= DEPTH_MAX:
            raise InvalidInput("depth", f"must be 1 to {DEPTH_MAX}")
        if not 1 <= limit <= NEIGHBORS_MAX:
            raise InvalidInput("limit", f"must be 1 to {NEIGHBORS_MAX}")
        if type is not None:
            check_link_type(type)
        async with seen_from(self.store, within).reading() as tx:
            start = (await tx.memories.get([id])).get(id)
        if start is None:
            raise MemoryNotFound(id)
        root = within or root_of(start.namespace)
        await self.graph.catch_up(root)
        walk = await self.graph.neighbors(
            [id], root, direction=direction, type=type, depth=depth, limit=limit
        )
        steps = [step for step in walk.steps if step[1]]
        async with seen_from(self.store, within).reading() as tx:
            live = await tx.memories.get([reached for reached, _, _ in steps])
        return tuple(
            Neighbor(memory=live[reached], depth=hops, links=links)
            for reached, hops, links in steps
            if reached in live
        )


@dataclass(frozen=True, kw_only=True)
class FindPath:
    """Return the shortest path along link direction. Raises `MemoryNotFound`, `PathNotFound`."""

    store: CanonicalStore
    graph: MemoryGraph

    async def __call__(
        self,
        *,
        source: MemoryId,
        target: MemoryId,
        type: str | None = None,
        weighted: bool = False,
        within: Namespace | None = None,
    ) -> Path:
        """Count hops, or the sum of 1 / weight when `weighted`."""
        if type is not None:
            check_link_type(type)
        async with seen_from(self.store, within).reading() as tx:
            one, other = await both_ends(tx, source, target)
        if root_of(one.namespace) != root_of(other.namespace):
            raise PathNotFound(source, target)
        root = within or root_of(one.namespace)
        await self.graph.catch_up(root)
        walk = await self.graph.path(source, target, root, type=type, weighted=weighted)
        if walk is None:
            raise PathNotFound(source, target)
        return await self._verified(walk, source, target, within)

    async def _verified(
        self, walk: Walk, source: MemoryId, target: MemoryId, within: Namespace | None
    ) -> Path:
        ids = [id for id, _, _ in walk.steps]
        async with seen_from(self.store, within).reading() as tx:
            live = await tx.memories.get(ids)
        if any(id not in live for id in ids):
            raise PathNotFound(source, target)
        links = tuple(link for _, _, hop in walk.steps for link in hop)
        return Path(memories=tuple(live[id] for id in ids), links=links)


async def both_ends(tx: Transaction, source: MemoryId, target: MemoryId) -> tuple[Memory, Memory]:
    """Return both memories; raise `MemoryNotFound` for the one that is missing."""
    ends = await tx.memories.get([source, target])
    for id in (source, target):
        if id not in ends:
            raise MemoryNotFound(id)
    return ends[source], ends[target]
