"""What is missing of memories' vectors and token states, and how a model makes it."""

from __future__ import annotations

from collections.abc import Sequence

from application.indexing.models import Installed
from application.indexing.surroundings import Surroundings
from domain.memory import Memory, MemoryId
from domain.ports import GIVEN, Embedding, EmbeddingTask, Transaction
from domain.texts import text_hash
from domain.vector import Role, TokenStates, Vector


def without_context(near: Surroundings, ids: Sequence[MemoryId]) -> list[EmbeddingTask]:
    """Name the context vectors of memories in a session that have no neighbour (any more)."""
    return [
        EmbeddingTask(id, near.memories[id].namespace, Role.CONTEXT, near.memories[id].version)
        for id in ids
        if id in near.places and near.context_of(id) is None
    ]


def in_roles(tasks: Sequence[EmbeddingTask], roles: Sequence[Role]) -> list[EmbeddingTask]:
    """Return the tasks of these roles."""
    return [task for task in tasks if task.role in roles]


async def present_roles(
    tx: Transaction, ids: Sequence[MemoryId], model: Installed
) -> dict[MemoryId, set[Role]]:
    """Say what is there already of memories, or not wanted: states beside a given vector."""
    present: dict[MemoryId, set[Role]] = {}
    for stored in await tx.embeddings.stored(ids, model.model.id):
        roles = present.setdefault(stored.memory_id, set())
        roles.add(stored.role)
        if stored.role is Role.OWN and stored.input_hash == GIVEN:
            roles.add(Role.STATES)
    if model.reader is not None:
        for kept in await tx.embeddings.states(ids, model.model.id):
            present.setdefault(kept.memory_id, set()).add(Role.STATES)
    return present


async def missing_tasks(
    tx: Transaction, ids: Sequence[MemoryId], near: Surroundings, model: Installed
) -> list[EmbeddingTask]:
    """Name what a model lacks of memories."""
    present = await present_roles(tx, ids, model)
    tasks = []
    for id in ids:
        memory = near.memories.get(id)
        if memory is None:
            continue
        needed = set(model.roles) - present.get(id, set())
        if near.context_of(id) is None:
            needed.discard(Role.CONTEXT)
        tasks += [
            EmbeddingTask(id, memory.namespace, role, memory.version) for role in sorted(needed)
        ]
    return tasks


async def read_states(model: Installed, texts: Sequence[str]) -> list[tuple[Vector, TokenStates]]:
    """Return vector and states of each text; nothing where no states are kept."""
    return await model.reader.read_passages(texts) if model.reader is not None and texts else []


async def embedded(model: Installed, texts: Sequence[str]) -> list[Vector]:
    """Return the vector of each text."""
    return await model.embedder.embed_passages(texts) if texts else []


def embedding_of(
    memory: Memory, role: Role, model: Installed, text: str, vector: Vector
) -> Embedding:
    """Return a computed vector with what it was computed from."""
    return Embedding(memory.id, memory.version, role, model.model.id, text_hash(text), vector)
