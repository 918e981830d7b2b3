"""Vectors and the queue of missing ones in a canonical store."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace
from datetime import timedelta

from domain.memory import Memory, MemoryId
from domain.namespace import Namespace
from domain.ports import (
    GIVEN,
    Behind,
    CanonicalStore,
    Embedding,
    EmbeddingTask,
    IndexedVector,
    KeptStates,
    Transaction,
)
from domain.vector import VECTORS, Role, TokenStates, Vector
from tests.contracts.store_fixtures import (
    HOME,
    MODEL,
    START,
    a_memory,
    a_vector,
    exactly,
    ids,
    new_id,
    revised,
    stored,
)

LEASE = START + timedelta(minutes=1)
ALWAYS = (-math.inf, math.inf, math.inf)


def a_task(memory: Memory, role: Role = Role.OWN) -> EmbeddingTask:
    """Build the task for a memory's vector."""
    return EmbeddingTask(memory.id, memory.namespace, role, memory.version)


def an_embedding(
    memory: Memory, vector: Vector, role: Role = Role.OWN, model: str = MODEL
) -> Embedding:
    """Build a computed vector."""
    return Embedding(memory.id, memory.version, role, model, "hash", vector)


def kept_states(memory: Memory, data: bytes = b"states", model: str = MODEL) -> KeptStates:
    """Build token states."""
    return KeptStates(memory.id, memory.version, model, "hash", TokenStates(data))


async def claim(tx: Transaction, *, limit: int = 10, minutes: float = 0) -> list[EmbeddingTask]:
    """Claim tasks some minutes after `START`, for one minute."""
    now = START + timedelta(minutes=minutes)
    return await tx.embeddings.claim(
        MODEL, now=now, lease_until=now + timedelta(minutes=1), limit=limit
    )


async def test_leases_each_task_to_one_worker_oldest_first(store: CanonicalStore) -> None:
    memories = [a_memory() for _ in range(3)]
    await stored(store, *memories)
    tasks = [a_task(memory) for memory in memories[::-1]]
    async with store.writing() as tx:
        await tx.embeddings.queue(tasks, model=MODEL, lease_until=None)

    async with store.writing() as tx:
        assert await claim(tx, limit=2) == tasks[:2]
        assert await claim(tx) == tasks[2:]
        assert await claim(tx, minutes=0.99) == []
        assert await claim(tx, minutes=1) == tasks
        assert await tx.embeddings.pending(MODEL) == 3
        assert await tx.embeddings.claim("other", now=START, lease_until=LEASE, limit=9) == []


async def test_keeps_workers_off_what_the_writer_will_compute(store: CanonicalStore) -> None:
    memory = a_memory()
    await stored(store, memory)
    async with store.writing() as tx:
        await tx.embeddings.queue([a_task(memory)], model=MODEL, lease_until=LEASE)

        assert await claim(tx) == []
        assert await claim(tx, minutes=1) == [a_task(memory)]


async def test_stores_a_vector_and_forgets_its_task(store: CanonicalStore) -> None:
    memory = a_memory()
    await stored(store, memory)
    embedding = an_embedding(memory, a_vector(3, 4))
    async with store.writing() as tx:
        await tx.embeddings.queue(
            [a_task(memory), a_task(memory, Role.CONTEXT)], model=MODEL, lease_until=None
        )
        assert await tx.embeddings.pending(MODEL, [memory.id]) == 2

        assert await tx.embeddings.store([embedding]) == [embedding]

        assert await tx.embeddings.pending(MODEL, [memory.id]) == 1
        assert await tx.embeddings.pending(MODEL, [new_id()]) == 0
        assert await tx.embeddings.of([memory.id], MODEL) == [
            IndexedVector(memory.id, embedding.vector, None, ALWAYS)
        ]
        assert await tx.embeddings.of([memory.id], "other") == []
        (stats,) = await tx.namespaces.stats(exactly(), limit=1)
    assert stats.pending_vectors == 1


async def test_says_how_far_a_model_is_behind_another(store: CanonicalStore) -> None:
    memories = [a_memory() for _ in range(3)]
    await stored(store, *memories)
    tasks = [a_task(memory) for memory in memories]
    async with store.writing() as tx:
        assert await tx.embeddings.behind("next", MODEL, limit=9) == Behind(0, 0)
        await tx.embeddings.queue(tasks, model="next", lease_until=None)
        await tx.embeddings.queue(tasks[:1], model=MODEL, lease_until=LEASE)
        context = a_task(memories[1], Role.CONTEXT)
        await tx.embeddings.queue([context], model=MODEL, lease_until=None)

        assert await tx.embeddings.behind("next", MODEL, limit=9) == Behind(3, 2)
        assert await tx.embeddings.behind(MODEL, "next", limit=9) == Behind(2, 1)
        assert (await tx.embeddings.behind("next", MODEL, limit=2)).missing == 2

        await tx.embeddings.store([an_embedding(memories[0], a_vector(), model="next")])
        assert await tx.embeddings.behind("next", MODEL, limit=9) == Behind(2, 2)


async def test_stores_only_for_the_live_version(store: CanonicalStore) -> None:
    current, changed, forgotten = a_memory("a"), a_memory("b"), a_memory("c")
    await stored(store, current, changed, forgotten)
    async with store.writing() as tx:
        await tx.embeddings.queue([a_task(changed)], model=MODEL, lease_until=None)
        await tx.memories.replace([revised(changed, "new")], actor="tester")
        await tx.memories.forget([forgotten.id], at=START, actor="tester")
        late = [an_embedding(memory, a_vector()) for memory in (changed, forgotten, current)]
        unknown = dataclasses.replace(late[0], memory_id=MemoryId("unknown"))

        assert await tx.embeddings.store([unknown, *late]) == [late[2]]
        assert await tx.embeddings.store([]) == []

        assert await tx.embeddings.pending(MODEL) == 1
        assert (await claim(tx))[0].version == 2
        found = await tx.embeddings.of(ids([changed, forgotten, current]), MODEL)
    assert [vector.memory_id for vector in found] == [current.id]


async def test_queueing_deletes_the_vectors_of_every_model(store: CanonicalStore) -> None:
    memory, other = a_memory(), a_memory()
    await stored(store, memory, other)
    vector = a_vector()
    async with store.writing() as tx:
        await tx.embeddings.store(
            [
                an_embedding(memory, vector),
                an_embedding(memory, vector, model="older"),
                an_embedding(memory, vector, Role.CONTEXT),
                an_embedding(other, vector),
            ]
        )

        await tx.embeddings.queue([a_task(memory)], model=MODEL, lease_until=None)
        await tx.embeddings.queue([a_task(memory)], model=MODEL, lease_until=None)

        assert await tx.embeddings.of([memory.id], "older") == []
        assert await tx.embeddings.page(HOME, MODEL, limit=9) == [
            IndexedVector(memory.id, None, vector, ALWAYS),
            IndexedVector(other.id, vector, None, ALWAYS),
        ]
        assert await tx.embeddings.pending(MODEL) == 1


async def test_drops_vectors_and_tasks_that_have_no_text(store: CanonicalStore) -> None:
    memory = a_memory()
    await stored(store, memory)
    async with store.writing() as tx:
        await tx.embeddings.store(
            [an_embedding(memory, a_vector(), role) for role in (Role.OWN, Role.CONTEXT)]
        )
        await tx.embeddings.queue([a_task(memory)], model=MODEL, lease_until=None)

        await tx.embeddings.drop([a_task(memory), a_task(memory, Role.CONTEXT)])
        await tx.embeddings.drop([])

        assert await tx.embeddings.of([memory.id], MODEL) == []
        assert await tx.embeddings.pending(MODEL) == 0


async def test_pages_vectors_in_id_order_with_their_times(store: CanonicalStore) -> None:
    memories = [a_memory(minutes=-number) for number in range(5)]
    memories[1] = dataclasses.replace(
        memories[1],
        valid_from=START - timedelta(days=30_000),
        valid_to=START + timedelta(days=1),
        expires_at=START + timedelta(days=2),
    )
    foreign = a_memory(namespace=Namespace("acme"))
    await stored(store, *memories, foreign)
    vectors = [a_vector(1.0, float(number)) for number in range(5)]
    async with store.writing() as tx:
        await tx.embeddings.store(
            [
                *(an_embedding(m, v) for m, v in zip(memories, vectors, strict=True)),
                an_embedding(memories[0], vectors[4], Role.CONTEXT),
                an_embedding(foreign, vectors[0]),
            ]
        )
        await tx.memories.forget([memories[3].id], at=START, actor="tester")

    async with store.reading() as tx:
        first = await tx.embeddings.page(HOME, MODEL, limit=2)
        rest = await tx.embeddings.page(HOME, MODEL, limit=9, after=memories[1].id)
    span = (
        (START - timedelta(days=30_000)).timestamp(),
        (START + timedelta(days=1)).timestamp(),
        (START + timedelta(days=2)).timestamp(),
    )
    assert first == [
        IndexedVector(memories[0].id, vectors[0], vectors[4], ALWAYS),
        IndexedVector(memories[1].id, vectors[1], None, span),
    ]
    assert [vector.memory_id for vector in rest] == ids([memories[2], memories[4]])


async def test_forgetting_removes_vectors_and_tasks(store: CanonicalStore) -> None:
    memory = a_memory()
    await stored(store, memory)
    async with store.writing() as tx:
        await tx.embeddings.store([an_embedding(memory, a_vector())])
        await tx.embeddings.queue([a_task(memory, Role.CONTEXT)], model=MODEL, lease_until=None)
        await tx.memories.forget([memory.id], at=START, actor="tester")

        await tx.embeddings.queue([a_task(memory)], model=MODEL, lease_until=None)

        assert await tx.embeddings.pending(MODEL) == 0
        assert await tx.embeddings.page(HOME, MODEL, limit=9) == []
    assert await store.check() == []


async def test_requeues_what_lacks_a_vector_page_by_page(store: CanonicalStore) -> None:
    talking = [a_memory(session="talk", minutes=number) for number in range(2)]
    alone, done, gone = a_memory(session="alone"), a_memory(), a_memory()
    everything = [*talking, alone, done, gone]
    await stored(store, *everything)
    async with store.writing() as tx:
        await tx.embeddings.store(
            [an_embedding(done, a_vector()), an_embedding(talking[0], a_vector(), model="older")]
        )
        await tx.embeddings.queue([a_task(talking[0])], model=MODEL, lease_until=None)
        await tx.memories.forget([gone.id], at=START, actor="tester")

        last = await tx.embeddings.requeue(MODEL, VECTORS, limit=3, after=None)
        assert last == alone.id
        last = await tx.embeddings.requeue(MODEL, VECTORS, limit=3, after=last)
        assert last == done.id
        assert await tx.embeddings.requeue(MODEL, VECTORS, limit=3, after=last) is None

        tasks = await claim(tx, limit=99)
    assert sorted((task.memory_id, task.role) for task in tasks) == sorted(
        [(id, role) for id in ids(talking) for role in (Role.OWN, Role.CONTEXT)]
        + [(alone.id, Role.OWN)]
    )


async def test_discards_one_model_page_by_page_and_nothing_of_the_others(
    store: CanonicalStore,
) -> None:
    memories = sorted((a_memory(f"text {n}") for n in range(3)), key=lambda m: m.id)
    await stored(store, *memories)
    vector = a_vector()
    async with store.writing() as tx:
        await tx.embeddings.queue([a_task(memories[2])], model="older", lease_until=None)
        await tx.embeddings.queue([a_task(memories[2])], model=MODEL, lease_until=None)
        await tx.embeddings.store(
            [
                an_embedding(m, vector, model=model)
                for m in memories[:2]
                for model in ("older", MODEL)
            ]
        )

        last = await tx.embeddings.discard("older", limit=1, after=None)
        assert last == memories[0].id
        (left,) = await tx.embeddings.page(HOME, "older", limit=9)
        assert left.memory_id == memories[1].id

        last = await tx.embeddings.discard("older", limit=9, after=last)
        assert last == memories[2].id
        assert await tx.embeddings.discard("older", limit=9, after=last) is None

        assert await tx.embeddings.page(HOME, "older", limit=9) == []
        assert await tx.embeddings.pending("older") == 0
        assert len(await tx.embeddings.page(HOME, MODEL, limit=9)) == 2
        assert await tx.embeddings.pending(MODEL) == 1


async def test_keeps_token_states_beside_the_vectors(store: CanonicalStore) -> None:
    memory, other = a_memory(), a_memory()
    await stored(store, memory, other)
    own, states = an_embedding(memory, a_vector()), kept_states(memory)
    async with store.writing() as tx:
        await tx.embeddings.queue(
            [a_task(memory, Role.STATES), a_task(other, Role.STATES)], model=MODEL, lease_until=None
        )

        assert await tx.embeddings.store([own, states]) == [own, states]

        assert await tx.embeddings.pending(MODEL) == 1
        assert await tx.embeddings.states(ids([memory, other]), MODEL) == [states]
        assert await tx.embeddings.states(ids([memory]), "other") == []
        assert await tx.embeddings.stored(ids([memory]), MODEL) == [own]
        (indexed,) = await tx.embeddings.page(HOME, MODEL, limit=9)
        assert indexed.context is None
    again = kept_states(memory, b"others")
    async with store.writing() as tx:
        await tx.embeddings.store([again])
        assert await tx.embeddings.states(ids([memory]), MODEL) == [again]


async def test_states_leave_with_their_text_their_memory_and_their_model(
    store: CanonicalStore,
) -> None:
    changed, forgotten, erased, left = (a_memory(f"text {n}") for n in range(4))
    await stored(store, changed, forgotten, erased, left)
    everyone = ids([changed, forgotten, erased, left])
    async with store.writing() as tx:
        await tx.embeddings.store(
            [kept_states(m) for m in (changed, forgotten, erased, left)]
            + [kept_states(left, model="older")]
        )
    async with store.writing() as tx:
        await tx.embeddings.queue([a_task(changed, Role.STATES)], model=MODEL, lease_until=None)
        await tx.memories.forget([forgotten.id], at=START, actor="tester")
        await tx.memories.erase([erased.id], at=START, actor="tester")
        await tx.embeddings.discard("older", limit=9, after=None)

        assert await tx.embeddings.states(everyone, MODEL) == [kept_states(left)]
        assert await tx.embeddings.states(everyone, "older") == []
    assert await store.check() == []


async def test_requeues_states_only_where_they_are_wanted(store: CanonicalStore) -> None:
    done, missing = a_memory(), a_memory()
    await stored(store, done, missing)
    async with store.writing() as tx:
        await tx.embeddings.store([an_embedding(m, a_vector()) for m in (done, missing)])
        await tx.embeddings.store([kept_states(done)])

        await tx.embeddings.requeue(MODEL, VECTORS, limit=9, after=None)
        assert await tx.embeddings.pending(MODEL) == 0

        await tx.embeddings.requeue(MODEL, (*VECTORS, Role.STATES), limit=9, after=None)
        assert await claim(tx) == [a_task(missing, Role.STATES)]
        assert len(await tx.embeddings.page(HOME, MODEL, limit=9)) == 2


async def test_requeues_no_states_for_whom_a_vector_was_brought_along(
    store: CanonicalStore,
) -> None:
    brought, computed = a_memory(), a_memory()
    await stored(store, brought, computed)
    async with store.writing() as tx:
        given = replace(an_embedding(brought, a_vector()), input_hash=GIVEN)
        await tx.embeddings.store([given, an_embedding(computed, a_vector())])

        await tx.embeddings.requeue(MODEL, (*VECTORS, Role.STATES), limit=9, after=None)

        assert await claim(tx) == [a_task(computed, Role.STATES)]
