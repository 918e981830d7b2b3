"""Write what the use cases return as messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp

from domain.draft import Remembered
from domain.events import Event
from domain.link import Link, Neighbor, Path
from domain.memory import Kind, Memory, Source
from domain.recall import Hit, RecallAnswer
from entrypoints.grpc.wire import memory_pb2 as wire

_KINDS: dict[Kind, wire.Kind] = {
    Kind.EPISODIC: wire.KIND_EPISODIC,
    Kind.SEMANTIC: wire.KIND_SEMANTIC,
    Kind.PROCEDURAL: wire.KIND_PROCEDURAL,
}


def memory_message(memory: Memory) -> wire.Memory:
    """Return a memory."""
    return wire.Memory(
        id=memory.id,
        namespace=memory.namespace,
        kind=_KINDS[memory.kind],
        level=memory.level,
        content=memory.content,
        payload_json=json_text(memory.payload),
        tags=memory.tags,
        coordinate=memory.coordinate,
        importance=memory.importance,
        pinned=memory.pinned,
        occurred_at=stamp(memory.occurred_at),
        valid_from=stamp(memory.valid_from),
        valid_to=stamp(memory.valid_to),
        expires_at=stamp(memory.expires_at),
        created_at=stamp(memory.created_at),
        updated_at=stamp(memory.updated_at),
        version=memory.version,
        seq=memory.seq,
        content_hash=memory.content_hash,
        source=_source(memory.source),
    )


def stored_message(remembered: Remembered) -> wire.StoreResponse:
    """Return what became of a draft."""
    return wire.StoreResponse(
        memory=memory_message(remembered.memory),
        indexed=remembered.indexed,
        deduplicated=remembered.deduplicated,
    )


def answer_message(answer: RecallAnswer) -> wire.RecallResponse:
    """Return the hits of a recall, and why each is where it is."""
    return wire.RecallResponse(
        hits=[_hit(hit) for hit in answer.hits],
        context=answer.context,
        degraded=answer.degraded,
        exact=answer.exact,
        took_ms=answer.took_ms,
    )


def link_message(link: Link) -> wire.Edge:
    """Return a link."""
    return wire.Edge(
        source=link.source,
        target=link.target,
        type=link.type,
        weight=link.weight,
        properties_json=json_text(link.properties),
        created_at=stamp(link.created_at),
        seq=link.seq,
    )


def neighbors_message(found: Iterable[Neighbor]) -> wire.NeighborsResponse:
    """Return what is linked to a memory, nearest first."""
    items = [
        wire.Neighbor(
            memory=memory_message(neighbor.memory),
            depth=neighbor.depth,
            links=[link_message(link) for link in neighbor.links],
        )
        for neighbor in found
    ]
    return wire.NeighborsResponse(items=items)


def path_message(path: Path) -> wire.PathResponse:
    """Return a way from one memory to another."""
    return wire.PathResponse(
        memories=[memory_message(memory) for memory in path.memories],
        links=[link_message(link) for link in path.links],
    )


def event_message(epoch: str, event: Event) -> wire.WatchResponse:
    """Return an event and the position after it."""
    return wire.WatchResponse(
        position=f"{epoch}:{event.seq}",
        event=wire.Event(
            id=event.id,
            namespace=event.namespace,
            seq=event.seq,
            type=event.type,
            memory_id=event.memory_id,
            version=event.version,
            at=stamp(event.at),
            changed=event.changed,
            link_target=event.link_target,
            link_type=event.link_type,
        ),
    )


def stamp(time: datetime | None) -> Timestamp | None:
    """Return a time to the microsecond; None stays absent."""
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time)
    return message


def json_text(value: Mapping[str, object]) -> str:
    """Return a JSON object as text."""
    return msgspec.json.encode(value).decode()


def _hit(hit: Hit) -> wire.Hit:
    return wire.Hit(
        memory=memory_message(hit.memory),
        score=hit.score,
        relevance=hit.relevance,
        parts=hit.parts,
    )


def _source(source: Source) -> wire.Source | None:
    if source.actor is None and source.session is None:
        return None
    return wire.Source(actor=source.actor, session=source.session)
