"""What copies of a whole store must be: one moment, complete, and safe to put in its place."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from secrets import token_hex

import pytest

from domain.access import ApiKey, Permission
from domain.backup import StoreFacts
from domain.errors import BackupDamaged, DataDirectoryNewer, JobCancelled, StoreNotEmpty
from domain.job import Job, JobKind, JobState
from domain.memory import MemoryId
from domain.namespace import Namespace, NamespacePolicy
from domain.ports import CanonicalStore, IdempotencyRecord, StoredKey
from tests.contracts.snapshot_places import Place, postgres_place, sqlite_place
from tests.contracts.store_fixtures import (
    HOME,
    MODEL,
    START,
    a_link,
    a_memory,
    a_vector,
    add,
    analysed,
    events,
    exactly,
    revised,
)
from tests.contracts.test_canonical_store_embeddings import a_task, an_embedding
from tests.postgres_server import TestServer

EPOCH = "a new epoch"


@pytest.fixture(params=["sqlite", "postgres"])
async def places(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[Place, Place]]:
    """Give two places of one kind: a full one, and one that is empty."""
    async with AsyncExitStack() as stack:
        if request.param == "sqlite":
            full, empty = sqlite_place(tmp_path / "a.db"), sqlite_place(tmp_path / "b.db")
        else:
            server: TestServer = request.getfixturevalue("postgres_server")
            full = postgres_place(await stack.enter_async_context(server.database()))
            empty = postgres_place(await stack.enter_async_context(server.database()))
        async with full.opened() as store:
            await fill(store)
        yield full, empty


async def fill(store: CanonicalStore) -> None:
    """Store something of everything, text of every kind among it."""
    plain = a_memory("the kettle\twhistles\n\\N \\. “ünïcödé” 🫖", payload={"a": [1, 2.5, None]})
    old = a_memory("an old version", tags=("x", "y,\\"), coordinate=(1.0, -2.5))
    gone, erased = a_memory("forgotten"), a_memory("erased")
    async with store.writing() as tx:
        await tx.feed.lock([HOME, Namespace("acme/zoe")])
        await add(tx, plain, old, gone, erased)
        await tx.feed.append(events(HOME, 1, 4))
    async with store.writing() as tx:
        await tx.memories.replace([revised(old, "a new version")], actor="tester")
        await tx.lexicon.put({old.id: analysed("a new version", "in context")})
        await tx.links.put([a_link(plain, old)])
        await tx.embeddings.store([an_embedding(plain, a_vector(0.1, 1 / 3))])
        await tx.embeddings.queue([a_task(old)], model=MODEL, lease_until=None)
        await tx.memories.forget([gone.id], at=START, actor="tester")
        await tx.memories.erase([erased.id], at=START, actor="tester")
        await tx.namespaces.set_policy(HOME, NamespacePolicy(half_life_days=30.0))
        await tx.idempotency.add(
            "owner", "key", IdempotencyRecord("hash", (plain.id,), (1,)), at=START
        )
        await tx.settings.set("embedding_model", "test-model")
        await tx.fences.take("job:reindex")
        await tx.projections.advance("index", {HOME: 2})
        await tx.jobs.add(a_running_job())
        await tx.keys.add(StoredKey(a_bound_key(), "a\tdigest"))


def a_bound_key() -> ApiKey:
    """Build a key to a part of the store."""
    return ApiKey(
        id="k1",
        name="support-bot",
        permission=Permission.WRITE,
        namespace=HOME,
        created_at=START,
        created_by="me",
    )


def a_running_job() -> Job:
    """Build a job that runs when the copy is made."""
    job = Job(id="job", kind=JobKind.BACKUP, requested_by="me", created_at=START, not_before=START)
    return job.claimed("me", 1, START)


async def no_ids() -> AsyncIterator[Sequence[MemoryId]]:
    """Iterate over nothing."""
    for page in list[list[MemoryId]]():
        yield page


async def ids(*pages: list[MemoryId]) -> AsyncIterator[Sequence[MemoryId]]:
    """Iterate over pages."""
    for page in pages:
        yield page


async def unreported(_: int, __: int | None) -> None:
    """Hear of progress and do nothing."""


async def put(place: Place, folder: Path, facts: StoreFacts) -> None:
    """Put a copy in place, with nothing erased since."""
    await place.snapshots.put_in_place(
        folder, facts, epoch=EPOCH, at=START + timedelta(days=1), erased=no_ids()
    )


async def epoch_of(store: CanonicalStore) -> str | None:
    """Return the epoch."""
    async with store.reading() as tx:
        return await tx.settings.get("epoch")


async def test_a_copy_holds_every_row(places: tuple[Place, Place], tmp_path: Path) -> None:
    full, empty = places
    folder = tmp_path / "copy"
    folder.mkdir()
    reported: list[tuple[int, int | None]] = []

    async def report(written: int, total: int | None) -> None:
        reported.append((written, total))

    facts = await full.snapshots.write(folder, report=report)
    await put(empty, folder, facts)

    # Every table of the schema is compared, so none that is added later can be forgotten.
    assert {"erasures_due"} == {table for table, rows in full.rows().items() if not rows}
    assert empty.rows() == full.rows()
    assert reported
    assert all(total is None or written <= total for written, total in reported)
    assert facts.counts["memories"] == 4
    assert facts.counts["memory_versions"] >= 1
    async with empty.opened() as store:
        assert await store.check() == []
        assert await epoch_of(store) == EPOCH != facts.epoch
        async with store.reading() as tx:
            assert (await tx.feed.position(exactly())).seq == 4
            assert await tx.projections.backlog("index") == 4  # Its watermark counts no more.
            job = await tx.jobs.get("job")
        assert job is not None
        assert (job.state, job.error) == (JobState.FAILED, "it ran when the backup was made")


async def test_a_store_that_was_put_in_place_goes_on(
    places: tuple[Place, Place], tmp_path: Path
) -> None:
    """Numbers that the database gives continue where the copy ended."""
    full, empty = places
    (tmp_path / "copy").mkdir()
    facts = await full.snapshots.write(tmp_path / "copy", report=unreported)
    await put(empty, tmp_path / "copy", facts)

    async with empty.opened() as store:
        more = a_memory("more", namespace=Namespace("another"))
        async with store.writing() as tx:
            await tx.feed.lock([more.namespace, HOME])
            await add(tx, more)
            await tx.feed.append([*events(more.namespace, 1, 1), *events(HOME, 5, 5)])
            await tx.memories.erase([more.id], at=START, actor="tester")
        assert await store.check() == []
        async with store.reading() as tx:
            assert await tx.projections.backlog("index") == 6


async def test_a_copy_is_of_one_moment_while_others_write(
    places: tuple[Place, Place], tmp_path: Path
) -> None:
    full, empty = places
    (tmp_path / "copy").mkdir()
    async with full.opened() as store:
        written = asyncio.Event()

        async def write() -> None:
            number = 4
            while not written.is_set():
                number += 1
                async with store.writing() as tx:
                    await tx.feed.lock([HOME])
                    await add(tx, a_memory(f"memory {number}"))
                    await tx.feed.append(events(HOME, number, number))

        writing = asyncio.create_task(write())
        facts = await full.snapshots.write(tmp_path / "copy", report=unreported)
        written.set()
        await writing
    await put(empty, tmp_path / "copy", facts)

    async with empty.opened() as store:
        assert await store.check() == []
        async with store.reading() as tx:
            position = await tx.feed.position(exactly())
        assert position.seq == facts.counts["memories"] == facts.counts["events"]


async def test_knows_whether_there_is_anything_to_lose(places: tuple[Place, Place]) -> None:
    full, empty = places
    fresh = await empty.snapshots.holds_anything()
    async with empty.opened():
        pass

    assert not fresh
    assert not await empty.snapshots.holds_anything()
    assert await full.snapshots.holds_anything()


async def test_what_was_erased_since_is_owed(places: tuple[Place, Place], tmp_path: Path) -> None:
    """Whether the replaced store knows of it, or only a ledger."""
    full, _ = places
    (tmp_path / "copy").mkdir()
    facts = await full.snapshots.write(tmp_path / "copy", report=unreported)
    async with full.opened() as store:
        async with store.reading() as tx:
            page = await tx.memories.not_erased(HOME, limit=10)
        async with store.writing() as tx:
            await tx.memories.erase(page[:1], at=START, actor="tester")

    await full.snapshots.put_in_place(
        tmp_path / "copy",
        facts,
        epoch=EPOCH,
        at=START,
        erased=ids(page[1:2], [MemoryId("unknown"), *page[:2]]),
    )

    async with full.opened() as store:
        async with store.writing() as tx:
            assert await tx.erasures.due(limit=10) == sorted(page[:2])
            assert await tx.erasures.due(limit=1) == sorted(page[:2])[:1]
            await tx.erasures.settle(page[:1])
        async with store.reading() as tx:
            assert await tx.erasures.due(limit=10) == page[1:2]


async def test_what_cannot_be_put_in_place_changes_nothing(
    places: tuple[Place, Place], tmp_path: Path
) -> None:
    full, _ = places
    (tmp_path / "copy").mkdir()
    facts = await full.snapshots.write(tmp_path / "copy", report=unreported)
    before = full.rows()
    for file in (tmp_path / "copy").iterdir():
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    with pytest.raises(BackupDamaged):
        await put(full, tmp_path / "copy", facts)
    with pytest.raises(BackupDamaged):
        await put(full, tmp_path / "copy", replace(facts, engine="another"))

    assert full.rows() == before


async def test_a_cancelled_copy_ends(places: tuple[Place, Place], tmp_path: Path) -> None:
    full, _ = places
    (tmp_path / "copy").mkdir()

    async def report(_: int, __: int | None) -> None:
        raise JobCancelled("job")

    with pytest.raises(JobCancelled):
        await full.snapshots.write(tmp_path / "copy", report=report)

    async with full.opened() as store:
        assert await store.check() == []


async def test_a_database_in_use_is_not_replaced(
    postgres_server: TestServer, tmp_path: Path
) -> None:
    async with postgres_server.database() as url:
        place = postgres_place(url)
        async with place.opened() as store:
            await fill(store)
            facts = await place.snapshots.write(tmp_path, report=unreported)
            with pytest.raises(StoreNotEmpty, match="stop servers and workers"):
                await put(place, tmp_path, facts)


async def test_a_copy_of_a_newer_schema_is_refused(
    postgres_server: TestServer, tmp_path: Path
) -> None:
    async with postgres_server.database() as url:
        facts = await postgres_place(url).snapshots.write(tmp_path, report=unreported)
        with pytest.raises(DataDirectoryNewer):
            await put(postgres_place(url), tmp_path, replace(facts, schema_version=9999))


async def test_a_folder_that_cannot_be_written_is_no_fault_of_the_store(
    places: tuple[Place, Place], tmp_path: Path
) -> None:
    """What is raised names no part of the store, and is not taken for an outage that passes."""
    full, _ = places
    async with full.opened() as store, store.writing() as tx:
        await tx.feed.lock([HOME])
        await add(tx, *(a_memory(token_hex(1000)) for _ in range(200)))
    folder = tmp_path / "copy"
    folder.mkdir()

    with pytest.raises(OSError, match=r"Input/output|too large"), no_file_over(65536):
        await full.snapshots.write(folder, report=unreported)

    again = tmp_path / "again"
    again.mkdir()
    facts = await full.snapshots.write(again, report=unreported)
    assert facts.counts["memories"] == 204


@contextmanager
def no_file_over(bytes: int) -> Iterator[None]:
    """Let every write fail that makes a file larger, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
