"""What each call costs in operations: a change that makes one dearer has to say so here.

Counted are statements and hops to a thread in SQLite, round trips to PostgreSQL, and rows that are
read and decoded. Nothing is timed.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

import adapters.postgres.memories
import adapters.sqlite.standing
from adapters.sqlite.session import Channel
from adapters.sqlite.store import SqliteStore
from container import Container
from domain.draft import Draft, Wait
from domain.filter import Filter
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope
from domain.recall import RecallQuery
from tests.end_to_end.embedded import ACTOR, DIMENSION, BagOfWords, installation
from tests.postgres_server import TestServer

SPACE = Namespace("acme/alice")
MEMORIES = 120
HOPS, STATEMENTS, TRIPS, DECODED = "hops", "statements", "trips", "decoded"

Call = Callable[[Container], Awaitable[object]]


@dataclass(frozen=True)
class Costs:
    """What a call may cost, by profile."""

    embedded: dict[str, int]
    server: dict[str, int]


def query(text: str | None = None, *, tags: tuple[str, ...] = ()) -> RecallQuery:
    """Ask by a vector, and by words where there are some."""
    vector = BagOfWords._vector(text or "the old kettle", DIMENSION)
    values = memoryview(vector.data).cast("f").tolist()
    return RecallQuery(text=text, vector=values, scope=Scope(SPACE), filter=Filter(tags=tags))


def draft(text: str) -> Draft:
    """Make a memory with a vector of its own."""
    values = memoryview(BagOfWords._vector(text, DIMENSION).data).cast("f").tolist()
    return Draft(content=text, namespace=SPACE, vector=values, tags=("all",))


async def fill(soma: Container, first: int, count: int) -> list[MemoryId]:
    """Store memories in one batch."""
    drafts = [draft(f"{number} the old kettle whistles") for number in range(first, first + count)]
    stored = await soma.remember_batch()(drafts, wait=Wait.INDEXED, actor=ACTOR)
    return [one.memory.id for one in stored]


@pytest.fixture(params=["embedded", "server"])
async def soma(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Container]:
    """Give an installation with some memories, that everything has been asked of before."""
    async with AsyncExitStack() as stack:
        url = None
        if request.param == "server":
            server: TestServer = request.getfixturevalue("postgres_server")
            url = await stack.enter_async_context(server.database())
        here = installation(tmp_path, background_embedding=False, postgres_url=url)
        soma = await stack.enter_async_context(here)
        await fill(soma, 0, MEMORIES)
        for asked in (query(), query("the old kettle"), query(tags=("all",))):
            await soma.recall()(asked)
        yield soma


def bare(store: object) -> object:
    """Return the store behind what times its calls."""
    return getattr(store, "_port", store)


@contextmanager
def counted(soma: Container, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Count operations inside the block."""
    counts: Counter[str] = Counter()
    with ExitStack() as stack, monkeypatch.context() as patch:
        _count_calls(patch, psycopg.AsyncCursor, "execute", counts, TRIPS)
        _count_calls(patch, psycopg.AsyncCursor, "copy", counts, TRIPS)
        _count_calls(patch, Channel, "_submit", counts, HOPS)
        _count_calls(patch, Channel, "post", counts, HOPS)
        for module in (adapters.sqlite.standing, adapters.postgres.memories):
            _count_calls(patch, module, "memory_of", counts, DECODED)
        store = bare(soma.store())
        if isinstance(store, SqliteStore):
            for connection in _connections(store):
                connection.set_trace_callback(lambda _: counts.update([STATEMENTS]))
                stack.callback(connection.set_trace_callback, None)
        yield counts


def _connections(store: SqliteStore) -> list[sqlite3.Connection]:
    channels = [store._opened(), *store._readers]
    found = [store._here, *(channel._connection for channel in channels)]
    return [connection for connection in found if connection is not None]


def _count_calls(
    patch: pytest.MonkeyPatch, owner: Any, name: str, counts: Counter[str], kind: str
) -> None:
    original = getattr(owner, name)

    def counting(*args: Any, **kwargs: Any) -> Any:
        counts[kind] += 1
        return original(*args, **kwargs)

    patch.setattr(owner, name, counting)


async def get(soma: Container) -> object:
    """Show the memory that was stored first."""
    found = await soma.list_memories()(scope=Scope(SPACE), filter=Filter(), limit=1)
    return found.items[0].id


COSTS: dict[str, tuple[Call, Costs]] = {
    "recall by a vector": (
        lambda soma: soma.recall()(query()),
        Costs({STATEMENTS: 5}, {TRIPS: 1}),
    ),
    "recall by words and a vector": (
        lambda soma: soma.recall()(query("the old kettle")),
        Costs({STATEMENTS: 8}, {TRIPS: 2}),
    ),
    "recall with a filter": (
        lambda soma: soma.recall()(query(tags=("all",))),
        Costs({STATEMENTS: 5}, {TRIPS: 1}),
    ),
    "store one": (
        lambda soma: soma.remember()(draft("new"), actor=ACTOR),
        Costs({HOPS: 10, STATEMENTS: 34}, {TRIPS: 15}),
    ),
}


@pytest.mark.parametrize("name", COSTS)
async def test_a_call_costs_what_it_is_known_to_cost(
    soma: Container, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    call, costs = COSTS[name]

    with counted(soma, monkeypatch) as counts:
        await call(soma)

    expected = costs.embedded if isinstance(bare(soma.store()), SqliteStore) else costs.server
    assert dict(counts) == expected


async def test_showing_a_memory_is_one_statement(
    soma: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    [id] = await fill(soma, 1000, 1)

    with counted(soma, monkeypatch) as counts:
        await soma.show()(id)

    embedded = {HOPS: 1, STATEMENTS: 3, DECODED: 1}
    server = {TRIPS: 1, DECODED: 1}
    assert dict(counts) == (embedded if counts[HOPS] else server)


async def test_a_recall_after_a_change_reads_what_changed_and_no_more(
    soma: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(soma, 2000, 3)

    with counted(soma, monkeypatch) as counts:
        await soma.recall()(query())

    assert counts[DECODED] <= 3
    assert counts[HOPS] <= 12
    assert counts[TRIPS] <= 12


async def test_a_batch_costs_as_many_trips_whatever_its_size(
    soma: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips = []
    for first, size in ((3000, 10), (4000, 100)):
        with counted(soma, monkeypatch) as counts:
            await fill(soma, first, size)
        trips.append((counts[HOPS], counts[TRIPS]))

    assert trips[0] == trips[1]


async def test_many_at_once_cost_hardly_more_than_two(
    soma: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counted(soma, monkeypatch) as one:
        await soma.remember()(draft("one"), wait=Wait.STORED, actor=ACTOR)
    with counted(soma, monkeypatch) as many:
        calls = [
            soma.remember()(draft(f"many {number}"), wait=Wait.STORED, actor=ACTOR)
            for number in range(32)
        ]
        await asyncio.gather(*calls)

    assert many[HOPS] + many[TRIPS] <= 2 * (one[HOPS] + one[TRIPS]) + 2
