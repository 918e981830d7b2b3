"""Any sequence of changes leaves Soma and a dictionary in agreement, and Soma with itself."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from container import Container
from domain.draft import KEEP, Changes, Draft, Keep, Remembered, Wait
from domain.errors import (
    IdempotencyConflict,
    InvalidInput,
    LinkNotFound,
    MemoryNotFound,
    VersionConflict,
)
from domain.filter import Filter
from domain.link import Direction
from domain.memory import MemoryId, Source
from domain.namespace import Namespace, Scope, ScopeKind
from domain.recall import RecallAnswer, RecallQuery
from domain.transfer import ImportLine
from tests.end_to_end.embedded import ACTOR, installation, settled

T = TypeVar("T")

NAMESPACES = ("acme", "acme/ann", "zoo")
SCOPES = (
    *(Scope(Namespace(path)) for path in NAMESPACES),
    Scope(Namespace("acme"), ScopeKind.SUBTREE),
)
CONTENTS = ("the red kettle", "a blue boat", "green tea at noon", "Ann's boat is red")
PLACES: tuple[tuple[float, ...], ...] = ((0.0,), (1.0, 2.0))
TYPES = ("follows", "cites")
EVERYTHING = 1000

content = st.sampled_from(CONTENTS)
tags = st.none() | st.sampled_from([("a",), ("a", "b"), ()])
session = st.sampled_from([None, "s1", "s1", "s2"])
wait = st.sampled_from(list(Wait))
number = st.integers(0, 1000)


@dataclass(frozen=True)
class Entry:
    """What the dictionary knows of one memory."""

    namespace: str
    content: str
    tags: tuple[str, ...] = ()
    place: tuple[float, ...] | None = None
    session: str | None = None
    version: int = 1

    def with_draft(self, draft: Draft) -> Entry:
        """Return what storing a draft again makes of it."""
        return replace(
            self,
            content=draft.content,
            tags=self.tags if draft.tags is None else tuple(draft.tags),
            place=self.place if draft.coordinate is None else tuple(draft.coordinate),
            session=self.session if draft.source is None else draft.source.session,
        )


@st.composite
def drafts(draw: st.DrawFn, placed: bool = True) -> Draft:
    name = draw(session)
    return Draft(
        content=draw(content),
        namespace=draw(st.sampled_from(NAMESPACES)),
        tags=draw(tags),
        coordinate=draw(st.none() | st.sampled_from(PLACES)) if placed else None,
        source=None if name is None else Source(session=name),
        deduplicate=draw(st.sampled_from([True, True, False])),
    )


class MemoryMachine(RuleBasedStateMachine):
    """Changes Soma and a dictionary alike, and compares all that can be read."""

    def __init__(self) -> None:
        super().__init__()
        self.live: dict[MemoryId, Entry] = {}
        self.forgotten: dict[MemoryId, int] = {}
        self.erased: set[MemoryId] = set()
        self.links: dict[tuple[MemoryId, MemoryId, str], float] = {}
        self.keys = 0
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.soma: Container

    def run(self, doing: Awaitable[T]) -> T:
        async def done() -> T:
            return await doing

        return self.runner.run(done())

    @initialize()
    def open(self) -> None:
        self.soma = self.run(self.stack.enter_async_context(installation(self.folder)))

    # --- Changes ---------------------------------------------------------------------------------

    @rule(draft=drafts(), wait=wait)
    def remember(self, draft: Draft, wait: Wait) -> None:
        stored = self.run(self.soma.remember()(draft, wait=wait, actor=ACTOR))
        self._note([draft], [stored])

    @rule(batch=st.lists(drafts(placed=False), min_size=1, max_size=5), wait=wait)
    def remember_batch(self, batch: list[Draft], wait: Wait) -> None:
        stored = self.run(self.soma.remember_batch()(batch, wait=wait, actor=ACTOR))
        self._note(batch, stored)

    @rule(draft=drafts(placed=False))
    def remember_twice_under_one_key(self, draft: Draft) -> None:
        self.keys += 1
        remember, key = self.soma.remember(), f"key {self.keys}"
        stored = self.run(remember(draft, actor=ACTOR, idempotency_key=key))
        self._note([draft], [stored])
        again = self.run(remember(draft, actor=ACTOR, idempotency_key=key))
        assert again.memory == stored.memory
        other = replace(draft, content=draft.content + "!")
        with pytest.raises(IdempotencyConflict):
            self.run(remember(other, actor=ACTOR, idempotency_key=key))

    @precondition(lambda self: self.live)
    @rule(
        pick=number,
        content=content | st.just(KEEP),
        tags=tags | st.just(KEEP),
        place=st.sampled_from([KEEP, KEEP, None, *PLACES]),
        wait=wait,
    )
    def revise(
        self,
        pick: int,
        content: str | Keep,
        tags: tuple[str, ...] | Keep | None,
        place: tuple[float, ...] | Keep | None,
        wait: Wait,
    ) -> None:
        id = self._pick(pick)
        before = self.live[id]
        after = replace(
            before,
            content=before.content if content is KEEP else content,
            tags=before.tags if tags is KEEP else tags or (),
            place=before.place if place is KEEP else place,
        )
        changes = Changes(content=content, tags=tags, coordinate=place)
        revise = self.soma.revise()
        with pytest.raises(VersionConflict):
            self.run(revise(id, changes, expected_version=before.version + 1, actor=ACTOR))
        if after != before and self._occupied(after, but=id):
            with pytest.raises(InvalidInput, match="coordinate"):
                self.run(revise(id, changes, actor=ACTOR))
            return
        stored = self.run(
            revise(id, changes, expected_version=before.version, wait=wait, actor=ACTOR)
        )
        self.live[id] = replace(after, version=before.version + (after != before))
        assert stored.memory.version == self.live[id].version

    @precondition(lambda self: self.live)
    @rule(pick=number)
    def forget(self, pick: int) -> None:
        id = self._pick(pick)
        for _ in range(2):
            self.run(self.soma.forget()(id, actor=ACTOR))
        self.forgotten[id] = self.live[id].version
        self._gone(id)

    @precondition(lambda self: self.live or self.forgotten)
    @rule(pick=number)
    def erase(self, pick: int) -> None:
        candidates = [*self.live, *self.forgotten]
        id = candidates[pick % len(candidates)]
        for _ in range(2):
            self.run(self.soma.erase()(id, actor=ACTOR))
        self.forgotten.pop(id, None)
        self.erased.add(id)
        self._gone(id)

    @precondition(lambda self: len(self.live) > 1)
    @rule(one=number, other=number, type=st.sampled_from(TYPES), weight=st.sampled_from([0.5, 2.0]))
    def link(self, one: int, other: int, type: str, weight: float) -> None:
        source, target = self._pick(one), self._pick(other)
        connecting = self.soma.connect()(
            source=source, target=target, type=type, weight=weight, actor=ACTOR
        )
        roots = {self.live[id].namespace.split("/")[0] for id in (source, target)}
        if source == target or len(roots) > 1:
            with pytest.raises(InvalidInput, match="target"):
                self.run(connecting)
            return
        self.run(connecting)
        self.links[source, target, type] = weight

    @precondition(lambda self: self.links)
    @rule(pick=number)
    def unlink(self, pick: int) -> None:
        source, target, type = edge = sorted(self.links)[pick % len(self.links)]
        disconnect = self.soma.disconnect()
        self.run(disconnect(source=source, target=target, type=type, actor=ACTOR))
        del self.links[edge]
        with pytest.raises(LinkNotFound):
            self.run(disconnect(source=source, target=target, type=type, actor=ACTOR))

    @rule()
    def restart(self) -> None:
        self.run(self.stack.aclose())
        self.open()

    # --- What must hold after each ---------------------------------------------------------------

    @invariant()
    def reads_agree(self) -> None:
        self.run(self._reads_agree())

    async def _reads_agree(self) -> None:
        for id, entry in self.live.items():
            shown = await self.soma.show()(id)
            assert entry == Entry(
                shown.namespace,
                shown.content,
                shown.tags,
                shown.coordinate,
                shown.source.session,
                shown.version,
            )
            await self._history_is_continuous(id, entry.version)
        for id, version in self.forgotten.items():
            await self._history_is_continuous(id, version)
        for id in (*self.forgotten, *self.erased):
            with pytest.raises(MemoryNotFound):
                await self.soma.show()(id)
        for scope in SCOPES:
            expected = self._in(scope)
            page = await self.soma.list_memories()(scope=scope, filter=Filter(), limit=EVERYTHING)
            assert sorted(m.id for m in page.items) == expected
        await self._neighbors_agree()
        await self._feeds_have_no_gaps()

    @invariant()
    def recall_agrees(self) -> None:
        self.run(self._recall_agrees())

    async def _recall_agrees(self) -> None:
        recalled = await self._recalled()
        for scope, answer in recalled.items():
            found = {hit.memory.id: hit.memory.version for hit in answer.hits}
            assert found.keys() <= set(self._in(scope))
            assert all(self.live[id].version == version for id, version in found.items())
        await settled(self.soma)
        for scope, answer in (await self._recalled()).items():
            assert sorted(hit.memory.id for hit in answer.hits) == self._in(scope)
            for hit in answer.hits:
                assert sum(hit.parts.values()) == pytest.approx(hit.score, abs=1e-6)

    async def _recalled(self, soma: Container | None = None) -> dict[Scope, RecallAnswer]:
        recall = (soma or self.soma).recall()
        return {
            scope: await recall(RecallQuery(text="Ann's red boat", scope=scope, k=EVERYTHING))
            for scope in SCOPES
        }

    async def _history_is_continuous(self, id: MemoryId, version: int) -> None:
        page = await self.soma.history()(id, limit=EVERYTHING)
        assert [entry.version for entry in page.items] == list(range(version, 0, -1))

    async def _neighbors_agree(self) -> None:
        for id in self.live:
            near = await self.soma.neighbors()(id, direction=Direction.OUT, limit=EVERYTHING)
            links = {
                (link.source, link.target, link.type): link.weight for n in near for link in n.links
            }
            assert links == {edge: w for edge, w in self.links.items() if edge[0] == id}
            both = await self.soma.neighbors()(id, direction=Direction.BOTH, limit=EVERYTHING)
            beside = {end for edge in self.links for end in edge[:2] if id in edge[:2]} - {id}
            assert {neighbor.memory.id for neighbor in both} == beside

    async def _feeds_have_no_gaps(self) -> None:
        for path in NAMESPACES:
            async with self.soma.store().reading() as tx:
                head = (await tx.feed.position(Scope(Namespace(path)))).seq
                events = await tx.feed.after(Namespace(path), 0, limit=100_000)
            assert [event.seq for event in events] == list(range(1, head + 1))

    # --- In the end ------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            if hasattr(self, "soma"):
                self.run(self._projections_equal_a_rebuild())
                self.run(self.stack.aclose())
        finally:
            self.runner.close()
            shutil.rmtree(self.folder)

    async def _projections_equal_a_rebuild(self) -> None:
        await settled(self.soma)
        assert await self.soma.reconcile()(check=True) == []
        assert await self.soma.reindex()() == 0, "a vector was missing that nobody was to compute"
        before = await self._recalled()
        await self.soma.index().reset()
        await self.soma.graph().reset()
        after = await self._recalled()
        assert {s: a.hits for s, a in before.items()} == {s: a.hits for s, a in after.items()}
        await self._neighbors_agree()
        await self._a_copy_gives_the_same_answers(after)

    async def _a_copy_gives_the_same_answers(self, answers: dict[Scope, RecallAnswer]) -> None:
        """Make every index and vector anew from what is exported: nothing derived may differ."""

        async def lines() -> AsyncIterator[ImportLine]:
            for root in ("acme", "zoo"):
                scope = Scope(Namespace(root), ScopeKind.SUBTREE)
                async for record in self.soma.export()(scope):
                    yield ImportLine(1, record)

        async with installation(self.folder / "copy") as copy:
            report = await copy.import_lines()(lines(), actor=ACTOR)
            assert report.errors == ()
            await settled(copy)
            for scope, answer in (await self._recalled(copy)).items():
                expected = {hit.memory.id: hit.parts for hit in answers[scope].hits}
                assert {hit.memory.id for hit in answer.hits} == expected.keys()
                for hit in answer.hits:
                    assert hit.parts == pytest.approx(expected[hit.memory.id], abs=1e-6)

    # --- The dictionary --------------------------------------------------------------------------

    def _note(self, batch: list[Draft], stored: list[Remembered]) -> None:
        originals = dict(self.live)
        for draft, result in zip(batch, stored, strict=True):
            known = self._known(draft)
            assert result.deduplicated is (known is not None)
            id = result.memory.id
            if known is None:
                assert id not in {*self.live, *self.forgotten, *self.erased}
                self.live[id] = Entry(draft.namespace, draft.content).with_draft(draft)
                continue
            assert id == known
            entry = self.live[id].with_draft(draft)
            original = originals.get(id)
            if original is None:
                self.live[id] = entry
            else:
                same = replace(entry, version=original.version) == original
                self.live[id] = replace(entry, version=original.version + (not same))
        for result in stored:
            assert result.memory.version == self.live[result.memory.id].version

    def _known(self, draft: Draft) -> MemoryId | None:
        for id, entry in self.live.items():
            if entry.namespace != draft.namespace:
                continue
            if draft.coordinate is not None:
                if entry.place == draft.coordinate:
                    return id
            elif draft.deduplicate and (entry.content, entry.session) == (
                draft.content,
                draft.source.session if draft.source else None,
            ):
                return id
        return None

    def _occupied(self, entry: Entry, *, but: MemoryId) -> bool:
        return entry.place is not None and any(
            (other.namespace, other.place) == (entry.namespace, entry.place)
            for id, other in self.live.items()
            if id != but
        )

    def _pick(self, number: int) -> MemoryId:
        return sorted(self.live)[number % len(self.live)]

    def _in(self, scope: Scope) -> list[MemoryId]:
        return sorted(
            id for id, entry in self.live.items() if scope.contains(Namespace(entry.namespace))
        )

    def _gone(self, id: MemoryId) -> None:
        self.live.pop(id, None)
        self.links = {edge: w for edge, w in self.links.items() if id not in edge[:2]}


TestMemoryMachine = pytest.mark.slow(MemoryMachine.TestCase)
TestMemoryMachine.settings = settings(
    max_examples=15, stateful_step_count=16, deadline=None, derandomize=True
)
