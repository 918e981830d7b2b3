"""Requests that come at the same time share a transaction; each is whole or absent by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from dependency_injector import providers

from application.tracing import traced
from container import Container
from domain.draft import Draft, NewLink, Remembered, Wait
from domain.errors import IdempotencyConflict, InvalidInput, MemoryNotFound, SomaError
from domain.filter import Filter
from domain.memory import MemoryId, Source
from domain.namespace import Namespace, Scope
from domain.ports import Answer, CanonicalStore, Finding, Transaction
from domain.vector import Vector
from tests.end_to_end.embedded import ACTOR, BagOfWords, installation
from tests.postgres_server import TestServer

CLIENTS = 32
SPACE = "acme/alice"


class Recording(BagOfWords):
    """An embedder that notes how many texts it is given at once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    async def embed_passages(self, texts: Sequence[str], /) -> list[Vector]:
        """Note the number, and embed."""
        self.asked.append(len(texts))
        return await super().embed_passages(texts)


class Counting:
    """A store that counts the changes that are opened."""

    def __init__(self, inner: CanonicalStore) -> None:
        self._inner = inner
        self.changes = 0

    def reading(self) -> AbstractAsyncContextManager[Transaction]:
        """Pass on."""
        return self._inner.reading()

    async def glance(self, ask: Callable[[Transaction], Awaitable[Answer]], /) -> Answer:
        """Pass on."""
        return await self._inner.glance(ask)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        """Count, and pass on."""
        self.changes += 1
        async with self._inner.writing() as tx:
            yield tx

    async def ping(self) -> None:
        """Pass on."""
        await self._inner.ping()

    async def check(self) -> list[Finding]:
        """Pass on."""
        return await self._inner.check()


@pytest.fixture
def embedder() -> Recording:
    """Give the embedder of the installation."""
    return Recording()


@pytest.fixture(params=["embedded", "server"])
async def soma(
    request: pytest.FixtureRequest, tmp_path: Path, embedder: Recording
) -> AsyncIterator[Container]:
    """Give an installation that computes vectors only when somebody waits for them."""
    async with AsyncExitStack() as stack:
        url = None
        if request.param == "server":
            server: TestServer = request.getfixturevalue("postgres_server")
            url = await stack.enter_async_context(server.database())
        here = installation(
            tmp_path, embedder=embedder, background_embedding=False, postgres_url=url
        )
        yield await stack.enter_async_context(here)


@pytest.fixture
def counting(soma: Container) -> Counting:
    """Count the changes from now on."""
    store = Counting(soma.store())
    soma.remember_batch_once.add_kwargs(store=providers.Object(store))
    soma.remember_together.reset()
    return store


def store_one(
    soma: Container, content: str, *, key: str | None = None, wait: Wait = Wait.STORED
) -> Awaitable[Remembered]:
    """Store a memory as one client does."""
    draft = Draft(content=content, namespace=SPACE)
    return soma.remember()(draft, wait=wait, actor=ACTOR, idempotency_key=key)


async def contents(soma: Container) -> list[str]:
    """Return all that is stored."""
    async with soma.store().reading() as tx:
        found = await tx.memories.find(Scope(Namespace(SPACE)), Filter(), limit=1000)
    return sorted(memory.content for memory in found)


async def outcomes(
    calls: Sequence[Awaitable[Remembered]],
) -> list[Remembered | BaseException]:
    """Call all at the same time."""
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_many_callers_share_a_few_transactions(soma: Container, counting: Counting) -> None:
    texts = [f"memory {number}" for number in range(CLIENTS)]

    stored = await asyncio.gather(*(store_one(soma, text) for text in texts))

    assert [one.memory.content for one in stored] == texts
    assert sorted(texts) == await contents(soma)
    assert len({one.memory.seq for one in stored}) == CLIENTS
    assert counting.changes == 2  # the first, and all who came meanwhile


async def test_a_single_caller_waits_for_nobody(soma: Container, counting: Counting) -> None:
    for number in range(3):
        await store_one(soma, f"memory {number}")

    assert counting.changes == 3


async def test_one_that_is_refused_fails_alone(soma: Container, counting: Counting) -> None:
    drafts = [Draft(content=f"memory {number}", namespace=SPACE) for number in range(8)]
    drafts[3] = Draft(content="", namespace=SPACE)
    drafts[5] = Draft(
        content="leads nowhere", namespace=SPACE, links=(NewLink(target=MemoryId("x"), type="to"),)
    )
    remember = soma.remember()

    found = await outcomes([remember(one, wait=Wait.STORED, actor=ACTOR) for one in drafts])

    assert isinstance(found[3], InvalidInput)
    assert found[3].field == "content"
    assert isinstance(found[5], MemoryNotFound)
    kept = [one for one in found if isinstance(one, Remembered)]
    assert [one.memory.content for one in kept] == await contents(soma)
    assert len(kept) == 6


async def test_the_same_content_at_the_same_time_is_one_memory(soma: Container) -> None:
    stored = await asyncio.gather(*(store_one(soma, "the same") for _ in range(8)))

    assert len({one.memory.id for one in stored}) == 1
    assert sorted(one.deduplicated for one in stored) == [False] + [True] * 7
    assert await contents(soma) == ["the same"]


async def test_an_idempotency_key_counts_once_whoever_comes_along(soma: Container) -> None:
    calls = [store_one(soma, "before"), store_one(soma, "one", key="k"), store_one(soma, "b")]
    calls += [store_one(soma, "one", key="k"), store_one(soma, "other", key="k")]

    found = await outcomes(calls)
    again = await store_one(soma, "one", key="k")

    assert isinstance(found[4], IdempotencyConflict)
    first, second = found[1], found[3]
    assert isinstance(first, Remembered)
    assert isinstance(second, Remembered)
    assert first.memory.id == second.memory.id == again.memory.id
    assert await contents(soma) == ["b", "before", "one"]


async def test_a_caller_that_goes_away_takes_nobody_along(soma: Container) -> None:
    tasks = [asyncio.ensure_future(store_one(soma, f"memory {number}")) for number in range(6)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[3].cancel()

    found = await asyncio.gather(*tasks, return_exceptions=True)

    assert {n for n, one in enumerate(found) if isinstance(one, asyncio.CancelledError)} == {0, 3}
    kept = await contents(soma)
    assert {"memory 1", "memory 2", "memory 4", "memory 5"} <= set(kept)
    assert (await store_one(soma, "afterwards")).memory.content == "afterwards"


async def test_each_event_belongs_to_the_trace_of_its_request(soma: Container) -> None:
    traces = {f"memory {n}": f"00-{n + 1:032x}-{n + 1:016x}-01" for n in range(6)}

    async def stored(content: str, trace: str) -> Remembered:
        with traced(trace):
            return await store_one(soma, content)

    found = await asyncio.gather(*(stored(text, trace) for text, trace in traces.items()))

    async with soma.store().reading() as tx:
        events = await tx.feed.after(Namespace(SPACE), 0, limit=100)
    names = {one.memory.id: one.memory.content for one in found}
    assert {names[event.memory_id]: event.trace for event in events} == traces


async def test_all_wait_for_their_vectors_together(soma: Container, embedder: Recording) -> None:
    calls = [store_one(soma, f"memory {n}", wait=Wait.INDEXED) for n in range(CLIENTS)]

    stored = await asyncio.gather(*calls)

    assert all(one.indexed for one in stored)
    assert sorted(embedder.asked) == [1, CLIENTS - 1]


async def test_what_fails_for_all_reaches_all(soma: Container) -> None:
    calls = [asyncio.ensure_future(store_one(soma, f"memory {n}")) for n in range(4)]
    await asyncio.sleep(0)
    await soma.store().close()

    found = await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(one, Remembered | SomaError) for one in found)
    assert any(isinstance(one, SomaError) for one in found)


async def test_neighbours_in_a_session_know_each_other(soma: Container) -> None:
    remember = soma.remember()
    drafts = [
        Draft(content=f"turn {n}", namespace=SPACE, source=Source(session="talk")) for n in range(5)
    ]

    stored = await asyncio.gather(*(remember(one, actor=ACTOR) for one in drafts))

    ids = [one.memory.id for one in stored]
    async with soma.store().reading() as tx:
        places = await tx.memories.session_places(ids)
        model = soma.embedder().model.id
        assert await tx.embeddings.pending(model, ids) == 0
        vectors = {one.memory_id: one for one in await tx.embeddings.of(ids, model)}
    assert [places[id].next for id in ids] == [*ids[1:], None]
    assert all(vectors[id].own and vectors[id].context for id in ids)
