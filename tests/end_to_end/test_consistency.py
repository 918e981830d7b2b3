"""No answer depends on a projection being current, whoever else reads, writes or restarts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from dependency_injector import providers

from container import DATABASE_NAME, Container, build
from domain.draft import Changes, Draft, NewLink, Wait
from domain.errors import InvalidInput, MemoryNotFound, NamespaceNotFound
from domain.events import Event, EventType, FeedPosition
from domain.filter import Filter
from domain.memory import Memory, MemoryId, Source
from domain.namespace import DEFAULT_NAMESPACE, Namespace, Scope, ScopeKind
from domain.recall import Hit, RecallQuery
from domain.transfer import (
    ExportedLink,
    ExportedMemory,
    ExportedVersion,
    ExportRecord,
    ImportLine,
    ImportReport,
)
from tests.end_to_end.embedded import (
    ACTOR,
    BagOfWords,
    computed_in_background,
    installation,
    settings_for,
    settled,
)

DEFAULT = Scope(DEFAULT_NAMESPACE)
ACME = Scope(Namespace("acme"), ScopeKind.SUBTREE)


@pytest.fixture
async def soma(tmp_path: Path) -> AsyncIterator[Container]:
    async with installation(tmp_path) as container:
        yield container


async def remember(soma: Container, content: str, **fields: object) -> MemoryId:
    draft = Draft(content=content, **fields)  # type: ignore[arg-type]
    return (await soma.remember()(draft, actor=ACTOR)).memory.id


async def recalled(soma: Container, text: str, scope: Scope = DEFAULT) -> list[MemoryId]:
    return [hit.memory.id for hit in await hits(soma, text, scope)]


async def hits(soma: Container, text: str, scope: Scope = DEFAULT) -> tuple[Hit, ...]:
    return (await soma.recall()(RecallQuery(text=text, scope=scope, k=1000))).hits


def replica(soma: Container, tmp_path: Path) -> Container:
    """Return a second set of projections over the same canonical store."""
    other = build(settings_for(tmp_path))
    other.local_embedder.override(providers.Object(BagOfWords()))
    other.store.override(providers.Object(soma.store()))
    return other


# --- Several readers -----------------------------------------------------------------------------


async def test_a_replica_reads_what_another_wrote_and_no_longer_what_it_forgot(
    soma: Container, tmp_path: Path
) -> None:
    other = replica(soma, tmp_path)
    kettle = await remember(soma, "red kettle", namespace="acme/ann")
    for reader in (soma, other):
        assert await recalled(reader, "kettle", ACME) == [kettle]
    boat = await remember(other, "red boat", namespace="acme/bob")
    assert set(await recalled(soma, "red", ACME)) == {kettle, boat}
    await soma.connect()(source=kettle, target=boat, type="beside", actor=ACTOR)
    assert [n.memory.id for n in await other.neighbors()(boat)] == [kettle]
    await other.forget()(kettle, actor=ACTOR)
    assert await recalled(soma, "kettle", ACME) == [boat]
    assert await soma.neighbors()(boat) == ()
    await soma.revise()(boat, Changes(content="green submarine"), actor=ACTOR)
    (hit,) = await hits(other, "submarine", ACME)
    assert (hit.memory.version, hit.parts["lexical"] > 0) == (2, True)


async def test_nothing_forgotten_is_recalled_while_others_write(soma: Container) -> None:
    forgotten: set[MemoryId] = set()
    writing = True

    async def write(writer: int) -> None:
        for number in range(8):
            id = await remember(
                soma, f"kettle {writer} {number}", source=Source(session=f"s{writer}")
            )
            if number % 2:
                await soma.forget()(id, actor=ACTOR)
                forgotten.add(id)

    async def read() -> int:
        answers = 0
        while writing:
            gone = set(forgotten)
            assert not gone & set(await recalled(soma, "kettle"))
            answers += 1
        return answers

    readers = [asyncio.create_task(read()) for _ in range(2)]
    await asyncio.gather(*(write(writer) for writer in range(3)))
    writing = False
    assert min(await asyncio.gather(*readers)) > 0
    assert len(await recalled(soma, "kettle")) == 12
    assert await soma.reconcile()(check=True) == []


async def test_answers_do_not_depend_on_how_much_fits_in_memory(tmp_path: Path) -> None:
    found = []
    for name, budget in (("all", 512 * 1024 * 1024), ("none", 0)):
        async with installation(tmp_path / name, fastcore_bytes=budget) as soma:
            for space in range(6):
                drafts = [
                    Draft(content=f"kettle {n} in {space}", namespace=f"acme/{space}")
                    for n in range(20)
                ]
                await soma.remember_batch()(drafts, actor=ACTOR)
            answer = await hits(soma, "kettle 3", ACME)
            found.append({hit.memory.content for hit in answer})
    assert found[0] == found[1]
    assert len(found[0]) == 120


# --- Restarts and interruptions ------------------------------------------------------------------


async def test_a_restart_changes_no_answer(tmp_path: Path) -> None:
    async with installation(tmp_path) as soma:
        drafts = [
            Draft(content=f"kettle {n}", source=Source(session=f"s{n % 3}")) for n in range(60)
        ]
        await soma.remember_batch()(drafts, actor=ACTOR)
        before = await hits(soma, "kettle 7")
    async with installation(tmp_path) as soma:
        assert await soma.pending()() == 0
        assert await hits(soma, "kettle 7") == before


async def test_vectors_that_were_missing_at_the_end_are_computed_after_a_restart(
    tmp_path: Path,
) -> None:
    async with installation(tmp_path) as soma:
        drafts = [Draft(content=f"kettle {n}") for n in range(200)]
        await soma.remember_batch()(drafts, wait=Wait.STORED, actor=ACTOR)
    async with installation(tmp_path) as soma:
        await computed_in_background(soma)
        assert await soma.reindex()() == 0
        assert all(hit.relevance > 0 for hit in await hits(soma, "kettle"))


async def test_a_cancelled_change_is_whole_or_absent_and_blocks_nobody(soma: Container) -> None:
    for turns in range(0, 60, 3):
        drafts = [Draft(content=f"kettle {turns} {n}", tags=[str(turns)]) for n in range(5)]
        task = asyncio.create_task(soma.remember_batch()(drafts, actor=ACTOR))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        page = await soma.list_memories()(scope=DEFAULT, filter=Filter(tags=(str(turns),)))
        assert len(page.items) in {0, 5}
    await remember(soma, "still alive")
    assert await soma.reconcile()(check=True) == []
    await settle_leased(soma)


async def settle_leased(soma: Container) -> None:
    """Vectors of cancelled calls stay queued: `reindex` finds no other that is missing."""
    waiting = await soma.pending()()
    assert await soma.reindex()() == waiting


# --- Forgetting and erasing ----------------------------------------------------------------------


def on_the_disk(data_dir: Path) -> bytes:
    return b"".join(file.read_bytes() for file in data_dir.glob(f"{DATABASE_NAME}*"))


async def test_what_is_erased_is_nowhere_in_the_files(tmp_path: Path) -> None:
    async with installation(tmp_path) as soma:
        stored = await remember(
            soma, "the password is xyzzyplugh", payload={"note": "swordfish42"}, tags=["tagxyzzy"]
        )
        beside = await remember(soma, "good night", source=Source(session="s"))
        await soma.revise()(stored, Changes(content="it was xyzzyplugh before"), actor=ACTOR)
        await soma.erase()(stored, actor=ACTOR)
        assert await recalled(soma, "xyzzyplugh") == [beside]
        assert (await soma.history()(stored)).items == ()
        for secret in (b"xyzzyplugh", b"swordfish42", b"tagxyzzy"):
            assert secret not in on_the_disk(tmp_path)
        await soma.erase()(stored, actor=ACTOR)
        with pytest.raises(MemoryNotFound):
            await soma.revise()(stored, Changes(content="back"), actor=ACTOR)


async def test_what_is_forgotten_keeps_its_history_and_nothing_else(soma: Container) -> None:
    one = await remember(soma, "red kettle")
    two = await remember(soma, "blue boat", links=(NewLink(target=one, type="after"),))
    await soma.forget()(one, actor=ACTOR)
    with pytest.raises(MemoryNotFound):
        await soma.show()(one)
    with pytest.raises(MemoryNotFound):
        await soma.connect()(source=two, target=one, type="after", actor=ACTOR)
    entry = (await soma.history()(one)).items[0]
    assert (entry.memory.content, entry.forgotten_at is not None) == ("red kettle", True)
    assert await soma.neighbors()(two) == ()
    for unknown in (soma.forget(), soma.erase()):
        with pytest.raises(MemoryNotFound):
            await unknown(MemoryId("never"), actor=ACTOR)


async def test_a_subtree_is_erased_and_its_counters_go_on(soma: Container) -> None:
    for path in ("acme", "acme/ann", "acme2"):
        await remember(soma, f"tea in {path}", namespace=path)
    await soma.forget()(await remember(soma, "gone", namespace="acme/ann"), actor=ACTOR)
    head = (await soma.show_namespace()(Namespace("acme/ann"))).head
    assert await soma.erase_namespace()(Namespace("acme"), actor=ACTOR) == 3
    assert await soma.erase_namespace()(Namespace("acme"), actor=ACTOR) == 0
    assert await recalled(soma, "tea", ACME) == []
    assert len(await recalled(soma, "tea", Scope(Namespace("acme2")))) == 1
    stats = await soma.show_namespace()(Namespace("acme/ann"))
    assert (stats.memories, stats.pending_vectors, stats.head > head) == (0, 0, True)
    with pytest.raises(NamespaceNotFound):
        await soma.erase_namespace()(Namespace("never"), actor=ACTOR)
    assert await soma.reconcile()(check=True) == []


# --- The change feed -----------------------------------------------------------------------------


async def followed(
    soma: Container, until: int, after: FeedPosition | None = None
) -> list[tuple[str, Event]]:
    seen = []
    async with asyncio.timeout(10), aclosing(soma.watch()(DEFAULT_NAMESPACE, after=after)) as feed:  # type: ignore[type-var]
        async for entry in feed:
            if entry is not None:
                seen.append(entry)
                if entry[1].seq >= until:
                    break
    return seen


async def test_the_change_feed_tells_all_in_order_and_resumes_anywhere(soma: Container) -> None:
    follower = asyncio.create_task(followed(soma, until=7))
    one = await remember(soma, "red kettle")
    two = await remember(soma, "blue boat")
    await soma.connect()(source=one, target=two, type="beside", actor=ACTOR)
    await soma.revise()(one, Changes(tags=["a"]), actor=ACTOR)
    await soma.forget()(two, actor=ACTOR)
    seen = await follower
    assert [event.seq for _, event in seen] == list(range(1, 8))
    assert [event.type for _, event in seen] == [
        EventType.REMEMBERED,
        EventType.EMBEDDED,
        EventType.REMEMBERED,
        EventType.EMBEDDED,
        EventType.LINKED,
        EventType.REVISED,
        EventType.FORGOTTEN,
    ]
    assert seen[5][1].changed == ("tags",)
    assert (seen[4][1].link_target, seen[4][1].link_type) == (two, "beside")
    epoch = seen[0][0]
    assert await followed(soma, until=7, after=FeedPosition(epoch, 4)) == seen[4:]
    for lost in (FeedPosition("another epoch", 4), FeedPosition(epoch, 999)):
        assert await followed(soma, until=7, after=lost) == seen


# --- Export and import ---------------------------------------------------------------------------


async def exported(soma: Container, scope: Scope, *, vectors: bool = False) -> list[ExportRecord]:
    return [record async for record in soma.export()(scope, vectors=vectors)]


async def imported(soma: Container, records: list[ExportRecord]) -> ImportReport:
    async def lines() -> AsyncIterator[ImportLine]:
        for number, record in enumerate(records, start=1):
            yield ImportLine(number, record)

    return await soma.import_lines()(lines(), wait=Wait.INDEXED, actor=ACTOR)


@pytest.mark.parametrize("vectors", [False, True])
async def test_an_export_loaded_elsewhere_is_the_same_memory(
    soma: Container, tmp_path: Path, vectors: bool
) -> None:
    ids = [
        await remember(
            soma,
            f"kettle {n}",
            namespace="acme/ann",
            payload={"n": n},
            coordinate=[n],
            source=Source(session="s"),
        )
        for n in range(30)
    ]
    for source, target in pairwise(ids):
        await soma.connect()(source=source, target=target, type="next", weight=2, actor=ACTOR)
    await soma.revise()(ids[3], Changes(content="kettle three"), actor=ACTOR)
    await soma.forget()(ids[4], actor=ACTOR)
    await settled(soma)
    records = await exported(soma, ACME, vectors=vectors)
    counts = [sum(isinstance(r, kind) for r in records) for kind in (ExportedMemory, ExportedLink)]
    assert counts == [29, 27]
    before = await hits(soma, "kettle three", ACME)

    async with installation(tmp_path / "other") as other:
        report = await imported(other, records)
        assert (report.imported, report.skipped, report.errors) == (len(records), 0, ())
        after = await hits(other, "kettle three", ACME)
        assert [h.memory.id for h in after] == [h.memory.id for h in before]
        for hit, same in zip(before, after, strict=True):
            assert hit.parts == pytest.approx(same.parts, abs=1e-6)
        assert [v.version for v in (await other.history()(ids[3])).items] == [2, 1]
        assert len(await other.neighbors()(ids[0], depth=8)) == 3
        assert await other.reconcile()(check=True) == []
        again = await imported(other, [r for r in records if not isinstance(r, ExportedLink)])
        assert (again.imported, again.errors) == (0, ())

        await other.forget()(ids[0], actor=ACTOR)
        memories = [r for r in records if isinstance(r, ExportedMemory)]
        refused = await imported(other, [*memories])
        assert ["forgotten" in error.detail for error in refused.errors] == [True]
        with pytest.raises(MemoryNotFound):
            await other.show()(ids[0])


async def test_a_bad_line_is_reported_with_its_number_and_the_rest_loads(soma: Container) -> None:
    async def lines() -> AsyncIterator[ImportLine]:
        for number in range(1, 41):
            match number:
                case 7:
                    yield ImportLine(number, None, "is not JSON")
                case 13:
                    yield ImportLine(number, Draft(content=" "))
                case 21:
                    yield ImportLine(number, Draft(content="x" * 70_000))
                case 22:
                    yield ImportLine(number, Draft(content="x", namespace="a//b"))
                case 23:
                    yield ImportLine(number, Draft(content="x", vector=[1.0]))
                case 24:
                    target = MemoryId("never")
                    yield ImportLine(
                        number, Draft(content="x", links=(NewLink(target=target, type="t"),))
                    )
                case _:
                    yield ImportLine(number, Draft(content=f"kettle {number}"))

    report = await soma.import_lines()(lines(), actor=ACTOR)
    assert [error.line for error in report.errors] == [7, 13, 21, 22, 23, 24]
    assert [error.detail.split(":")[0] for error in report.errors[1:5]] == [
        "content",
        "content",
        "namespace",
        "vector",
    ]
    assert (report.imported, report.errors_total) == (34, 6)
    await settled(soma)
    assert len(await recalled(soma, "kettle")) == 34


async def test_what_no_store_can_hold_is_refused_line_by_line(
    soma: Container, tmp_path: Path
) -> None:
    id = await remember(soma, "red kettle", coordinate=[1.0])
    memory = await soma.show()(id)
    bad: dict[str, Memory] = {
        "memory.coordinate": replace(memory, id=MemoryId("another")),
        "memory.id": replace(memory, id=MemoryId("a b"), coordinate=None),
        "memory.version": replace(memory, id=MemoryId("b"), coordinate=None, version=10**30),
        "memory.level": replace(memory, id=MemoryId("c"), coordinate=None, level=-1),
        "source.actor": replace(
            memory, id=MemoryId("d"), coordinate=None, source=Source(actor="a\x00")
        ),
        "memory.namespace": replace(
            memory, id=MemoryId("e"), coordinate=None, namespace=Namespace("a//b")
        ),
    }
    async with installation(tmp_path / "other") as other:
        records = [ExportedMemory(memory), *(ExportedMemory(m) for m in bad.values())]
        report = await imported(other, [*records])
        assert [error.detail.split(":")[0] for error in report.errors] == list(bad)
        assert report.imported == 1
        assert await other.reconcile()(check=True) == []


async def test_versions_of_unknown_memories_are_refused(soma: Container) -> None:
    id = await remember(soma, "red kettle")
    await soma.revise()(id, Changes(content="blue boat"), actor=ACTOR)
    version = (await soma.history()(id)).items[1]
    other = await soma.show()(id)
    report = await imported(soma, [ExportedVersion(version)])
    assert (report.imported, report.skipped) == (0, 1)
    await soma.erase()(other.id, actor=ACTOR)
    report = await imported(soma, [ExportedVersion(version)])
    assert report.errors[0].detail.startswith("version.memory.id")


# --- Batches -------------------------------------------------------------------------------------


async def test_an_invalid_item_refuses_the_whole_batch_by_its_index(soma: Container) -> None:
    target = await remember(soma, "target", namespace="zoo")
    bad: list[tuple[Draft, str]] = [
        (Draft(content=" "), "memories[1].content"),
        (Draft(content="a", namespace="a b"), "memories[1].namespace"),
        (Draft(content="a", tags=["a", ""]), "memories[1].tags[1]"),
        (
            Draft(content="a", links=(NewLink(target=target, type="a b"),), namespace="zoo"),
            "memories[1].links[0].type",
        ),
        (
            Draft(
                content="a", links=(NewLink(target=target, type="t", weight=0),), namespace="zoo"
            ),
            "memories[1].links[0].weight",
        ),
        (
            Draft(content="a", links=(NewLink(target=target, type="t"),)),
            "memories[1].links[0].target",
        ),
        (
            Draft(content="target", links=(NewLink(target=target, type="t"),), namespace="zoo"),
            "memories[1].links[0].target",
        ),
    ]
    for draft, field in bad:
        with pytest.raises(InvalidInput) as refusal:
            await soma.remember_batch()([Draft(content="kettle"), draft], actor=ACTOR)
        assert refusal.value.field == field
    for drafts in ([], [Draft(content=str(n)) for n in range(1001)]):
        with pytest.raises(InvalidInput, match=r"^memories: "):
            await soma.remember_batch()(drafts, actor=ACTOR)
    assert await recalled(soma, "kettle") == []
