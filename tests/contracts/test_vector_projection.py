"""What the writing side of a vector index outside the store must do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from adapters.qdrant.collection import Collection
from adapters.qdrant.connection import QdrantConnection
from adapters.qdrant.layout import Layout
from adapters.qdrant.projection import QdrantProjection
from domain.errors import IndexUnavailable
from domain.memory import Memory, MemoryId
from domain.namespace import Namespace
from domain.ports import Embedding, ProjectedMemory, VectorProjection
from domain.vector import Role, unit_vector
from tests.contracts.projecting import projected
from tests.contracts.store_fixtures import HOME, a_memory, revised
from tests.qdrant_server import TestQdrant
from tests.servers.server import free_port

MODEL = "given:3"


@pytest.fixture
async def projection(qdrant: TestQdrant) -> VectorProjection:
    """The projection under test, open."""
    opened = QdrantProjection(qdrant.collection())
    await opened.open()
    return opened


def embedded(
    memory: Memory, values: Sequence[float] = (1, 0, 0), role: Role = Role.OWN, hash: str = "given"
) -> Embedding:
    return Embedding(memory.id, memory.version, role, MODEL, hash, unit_vector(values))


def with_vector(memory: Memory, values: Sequence[float] = (1, 0, 0)) -> ProjectedMemory:
    return projected(memory, embedded(memory, values))


async def contents(
    projection: VectorProjection, namespace: Namespace = HOME
) -> dict[str, MemoryId]:
    return dict(await projection.contents(namespace, limit=1000))


async def test_holds_the_points_that_it_says_it_would(projection: VectorProjection) -> None:
    alone, placed = a_memory("a"), a_memory("b")
    items = [
        projected(alone),
        projected(placed, embedded(placed), embedded(placed, role=Role.CONTEXT), context="a b"),
    ]

    await projection.put(items)

    expected = {alone.id: projection.points(items[0]), placed.id: projection.points(items[1])}
    assert [1, 2] == [len(points) for points in expected.values()]
    assert expected == await projection.held([alone.id, placed.id, MemoryId("unknown")])


async def test_putting_again_changes_nothing(projection: VectorProjection) -> None:
    item = with_vector(a_memory())
    await projection.put([item])
    before = await contents(projection)

    await projection.put([item])
    await projection.put([])

    assert before == await contents(projection)


@pytest.mark.parametrize("change", ["version", "hash", "vector", "words", "role"])
async def test_removes_what_a_point_supersedes(projection: VectorProjection, change: str) -> None:
    memory = a_memory("a")
    old = projected(memory, embedded(memory), embedded(memory, role=Role.CONTEXT), context="a x")
    later = revised(memory, "b") if change == "version" else memory
    role = Role.OWN
    new = projected(
        later,
        embedded(
            later,
            (0, 1, 0) if change == "vector" else (1, 0, 0),
            role,
            "another" if change == "hash" else "given",
        ),
        context="a y" if change == "words" else "a x",
    )
    if change == "role":
        new = projected(memory, embedded(memory))
    await projection.put([old])

    await projection.put([new])

    assert projection.points(old) != projection.points(new)
    assert {memory.id: projection.points(new)} == await projection.held([memory.id])


async def test_an_older_version_replaces_a_newer_one_after_a_restore(
    projection: VectorProjection,
) -> None:
    first = a_memory()
    await projection.put([with_vector(revised(first, "later"))])

    await projection.put([with_vector(first)])

    assert {first.id: projection.points(with_vector(first))} == await projection.held([first.id])


async def test_leaves_other_memories_alone(projection: VectorProjection) -> None:
    one, other = a_memory("one"), a_memory("other")
    await projection.put([with_vector(one), with_vector(other)])

    await projection.put([with_vector(revised(one, "changed"))])
    await projection.remove([one.id, MemoryId("unknown")])

    assert {other.id} == set((await contents(projection)).values())


async def test_clears_one_namespace_and_not_what_is_below_it(
    projection: VectorProjection,
) -> None:
    here = a_memory(namespace=Namespace("acme"))
    below = a_memory(namespace=Namespace("acme/alice"))
    await projection.put([with_vector(here), with_vector(below)])

    await projection.clear(Namespace("acme"))

    assert {} == await contents(projection, Namespace("acme"))
    assert {below.id} == set((await contents(projection, Namespace("acme/alice"))).values())


async def test_pages_through_the_contents_in_order(projection: VectorProjection) -> None:
    items = [with_vector(a_memory(f"memory {number}")) for number in range(7)]
    await projection.put(items)

    pages: list[list[tuple[str, MemoryId]]] = []
    after: str | None = None
    while page := await projection.contents(HOME, limit=3, after=after):
        pages.append(page)
        after = page[-1][0]

    assert [3, 3, 1] == [len(page) for page in pages]
    found = [entry for page in pages for entry in page]
    assert sorted(found) == found
    assert {point for item in items for point in projection.points(item)} == {
        point for point, _ in found
    }


async def test_takes_more_than_one_request_holds(projection: VectorProjection) -> None:
    items = [with_vector(a_memory(f"memory {number}")) for number in range(230)]

    await projection.put(items)

    held = await projection.held([item.memory.id for item in items])
    assert {item.memory.id: projection.points(item) for item in items} == held
    await projection.remove(list(held))
    assert {} == await contents(projection)


async def test_keeps_its_name_over_restarts(qdrant: TestQdrant) -> None:
    first = await QdrantProjection(qdrant.collection()).open()

    assert first == await QdrantProjection(qdrant.collection()).open()


async def test_another_model_or_dimension_is_another_index(qdrant: TestQdrant) -> None:
    collections = [
        qdrant.collection("model", 3),
        qdrant.collection("model", 4),
        qdrant.collection("a/model", 3),
        qdrant.collection("a model", 3),
    ]

    names = {await QdrantProjection(collection).open() for collection in collections}

    assert len(collections) == len(names)


async def test_those_who_open_at_once_agree(qdrant: TestQdrant) -> None:
    projections = [QdrantProjection(qdrant.collection()) for _ in range(4)]

    names = set(await asyncio.gather(*(projection.open() for projection in projections)))

    assert 1 == len(names)


async def test_finishes_what_a_maker_left_half_done(
    qdrant: TestQdrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = qdrant.collection()
    with monkeypatch.context() as patched:
        patched.setattr(Collection, "_write_generation", _ends_here)
        with pytest.raises(IndexUnavailable):
            await collection.opened()
    monkeypatch.setattr("adapters.qdrant.collection._MAKER_SECONDS", 0.01)

    name = await QdrantProjection(qdrant.collection()).open()

    assert name == await QdrantProjection(qdrant.collection()).open()


async def _ends_here(*_: object) -> None:
    raise IndexUnavailable("the process has ended")


async def test_a_lost_index_is_made_again_under_another_name(
    qdrant: TestQdrant, projection: VectorProjection
) -> None:
    before = await projection.open()
    await projection.put([with_vector(a_memory())])

    await qdrant.remove_collections()

    assert before != await projection.open()
    assert {} == await contents(projection)


@pytest.mark.parametrize("remade", [False, True])
async def test_does_not_confirm_what_went_into_another_index(
    qdrant: TestQdrant, projection: VectorProjection, remade: bool
) -> None:
    memory = a_memory()
    await qdrant.remove_collections()
    if remade:
        await QdrantProjection(qdrant.collection()).open()

    with pytest.raises(IndexUnavailable):
        await projection.put([with_vector(memory)])
    with pytest.raises(IndexUnavailable):
        await projection.remove([memory.id])
    with pytest.raises(IndexUnavailable):
        await projection.clear(HOME)


@pytest.mark.parametrize(
    "layout",
    [
        Layout(quantization="scalar", on_disk=True),
        Layout(quantization="binary"),
        Layout(shards=2, replicas=3),
    ],
)
async def test_every_layout_takes_memories(qdrant: TestQdrant, layout: Layout) -> None:
    projection = QdrantProjection(qdrant.collection(layout=layout))
    await projection.open()
    item = with_vector(replace(a_memory(), coordinate=(0.5, 2.0), tags=("t",)))

    await projection.put([item])

    assert projection.points(item) == set(await contents(projection))


async def test_answers_a_ping(projection: VectorProjection) -> None:
    await projection.ping()


@pytest.mark.parametrize("protocol", ["http", "grpc"])
async def test_nobody_there_is_an_unavailable_index(protocol: str) -> None:
    connection = QdrantConnection(
        f"http://127.0.0.1:{free_port()}",
        api_key="not shown",
        grpc_port=free_port() if protocol == "grpc" else None,
        read_seconds=1.0,
        write_seconds=1.0,
    )
    projection = QdrantProjection(Collection(connection, MODEL, 3))
    item = with_vector(a_memory())

    for call in (
        projection.open(),
        projection.put([item]),
        projection.remove([item.memory.id]),
        projection.clear(HOME),
        projection.held([item.memory.id]),
        projection.contents(HOME, limit=1),
        projection.ping(),
    ):
        with pytest.raises(IndexUnavailable) as refusal:
            await call
        assert "not shown" not in str(refusal.value)
    await connection.close()
    with pytest.raises(IndexUnavailable):
        await projection.ping()
