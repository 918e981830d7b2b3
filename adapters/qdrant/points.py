"""Memories as points: one per role, named by what it was made from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from adapters.qdrant.facts import facts_of
from adapters.qdrant.words import document_words
from domain.memory import Memory
from domain.namespace import ancestors
from domain.ports import Embedding, ProjectedMemory
from domain.vector import Role, Vector

if TYPE_CHECKING:
    from qdrant_client.models import PointStruct

DENSE = "dense"
WORDS = "words"
_POINTS = UUID("8f0f7c58-5a0e-5c2c-9a53-0f7b1d1f3a66")


@dataclass(frozen=True, slots=True)
class _Part:
    role: Role
    embedding: Embedding | None
    terms: tuple[str, ...]


def point_ids(item: ProjectedMemory) -> frozenset[str]:
    """Return the ids of a memory's points."""
    return frozenset(_id(item.memory, part) for part in _parts(item))


def points_of(item: ProjectedMemory) -> list[PointStruct]:
    """Return a memory's points: its own text, and where it has neighbours its context."""
    from qdrant_client.models import PointStruct

    payload = _payload(item.memory)
    return [
        PointStruct(
            id=_id(item.memory, part),
            vector={
                **({} if part.embedding is None else {DENSE: numbers(part.embedding.vector)}),
                **({WORDS: document_words(part.terms)} if part.terms else {}),
            },
            payload={"role": part.role.value, **payload},
        )
        for part in _parts(item)
    ]


def numbers(vector: Vector) -> list[float]:
    """Return a vector as the client wants it."""
    import numpy as np

    values: list[float] = np.frombuffer(vector.data, "<f4").tolist()
    return values


def size_of(item: ProjectedMemory) -> int:
    """Estimate the bytes of a memory's points in a request."""
    return sum(
        8_000
        + 30 * len(part.terms)
        + (0 if part.embedding is None else 20 * part.embedding.vector.dimension)
        for part in _parts(item)
    )


def _parts(item: ProjectedMemory) -> Iterator[_Part]:
    embeddings = {embedding.role: embedding for embedding in item.embeddings}
    yield _Part(Role.OWN, embeddings.get(Role.OWN), item.terms.own)
    context = embeddings.get(Role.CONTEXT)
    if context is not None or item.terms.context != item.terms.own:
        yield _Part(Role.CONTEXT, context, item.terms.context)


def _id(memory: Memory, part: _Part) -> str:
    """Name a point by everything that it holds.

    Memory, role, version and input hash say it all but for given vectors and for the words of
    neighbours, which change under one version: hence the digest of both.
    """
    digest = hashlib.blake2b("\0".join(part.terms).encode(), digest_size=16)
    if part.embedding is not None:
        digest.update(part.embedding.vector.data)
    source = "" if part.embedding is None else part.embedding.input_hash
    name = (memory.id, part.role, str(memory.version), source, digest.hexdigest())
    return str(uuid5(_POINTS, "/".join(name)))


def _payload(memory: Memory) -> dict[str, object]:
    """Return what filters ask about; absent fields stay away."""
    facts = facts_of(memory.payload)
    coordinate = memory.coordinate or ()
    fields: dict[str, object] = {
        "memory": memory.id,
        "version": memory.version,
        "namespace": memory.namespace,
        "path": list(ancestors(memory.namespace)),
        "kind": memory.kind.value,
        "level": memory.level,
        "tags": list(memory.tags) or None,
        "happened": _time(memory.happened_at),
        "valid_from": _time(memory.valid_from),
        "valid_to": _time(memory.valid_to),
        "expires": _time(memory.expires_at),
        "actor": memory.source.actor,
        "session": memory.source.session,
        "arity": len(coordinate) or None,
        **{axis_field(number): axis for number, axis in enumerate(coordinate)},
        "facts": list(facts.tokens) or None,
        "numbers": [{"path": path, "value": value} for path, value in facts.numbers] or None,
        "cut": facts.cut or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def axis_field(number: int) -> str:
    """Return the field that holds one axis of the coordinate."""
    return f"axis_{number}"


def _time(moment: datetime | None) -> str | None:
    """Write a time to the microsecond, as Qdrant's datetime index reads it."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
