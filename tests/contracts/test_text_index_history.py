"""Fast Core's words against BM25 worked out from the store, after any history."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.fastcore import postings, words
from adapters.fastcore.budget import Budget
from adapters.fastcore.room import Room
from adapters.fastcore.words import FastWords
from adapters.sqlite.store import SqliteStore
from domain.events import Event, EventType
from domain.filter import Filter
from domain.lexical import CONTEXT_SHARE, bm25
from domain.memory import Memory, MemoryId
from domain.namespace import Namespace, Scope, ScopeKind
from domain.ports import CanonicalStore, Transaction
from tests.contracts.store_fixtures import START, a_memory, analysed, new_id

ACME = Scope(Namespace("acme"), ScopeKind.SUBTREE)
WORDS = ("tea", "milk", "sugar", "don't", "käse")

_texts = st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join)
_changes = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "revise", "around", "end", "forget", "ask"]),
        st.integers(0, 9),
        st.sampled_from(["acme", "acme/a", "acme/b"]),
        _texts,
        st.none() | _texts,
    ),
    min_size=6,
    max_size=25,
)
_questions = st.lists(st.sampled_from([*WORDS, "nowhere"]), min_size=1, max_size=4)


@dataclass
class Diary:
    """Writes memories, their terms and their events as the application does."""

    store: CanonicalStore
    live: dict[MemoryId, Memory] = field(default_factory=dict)

    async def add(self, namespace: str, text: str, context: str | None) -> None:
        """Store a memory; every other one has a tag."""
        tags = ("odd",) if len(self.live) % 2 else ()
        memory = a_memory(text, namespace=Namespace(namespace), tags=tags)
        async with self.store.writing() as tx:
            seq = await self._append(tx, memory, EventType.REMEMBERED)
            self.live[memory.id] = memory = replace(memory, seq=seq)
            await tx.memories.add([memory], actor="tester")
            await tx.lexicon.put({memory.id: analysed(text, context)})

    async def revise(self, memory: Memory, text: str, context: str | None) -> None:
        """Replace the text of a memory."""
        after = replace(memory, content=text, version=memory.version + 1)
        await self._replace(after)
        async with self.store.writing() as tx:
            await self._append(tx, after, EventType.EMBEDDED)
            await tx.lexicon.put({after.id: analysed(text, context)})

    async def end(self, memory: Memory) -> None:
        """Let a memory be true no longer; its text stays."""
        await self._replace(replace(memory, valid_to=START, version=memory.version + 1))

    async def around(self, memory: Memory, context: str | None) -> None:
        """Change what stands beside a memory."""
        async with self.store.writing() as tx:
            await self._append(tx, memory, EventType.EMBEDDED)
            await tx.lexicon.put({memory.id: analysed(memory.content, context)})

    async def forget(self, memory: Memory) -> None:
        """Forget a memory."""
        del self.live[memory.id]
        async with self.store.writing() as tx:
            await self._append(tx, memory, EventType.FORGOTTEN)
            await tx.memories.forget([memory.id], at=START, actor="tester")

    async def _replace(self, after: Memory) -> None:
        async with self.store.writing() as tx:
            await self._append(tx, after, EventType.REVISED)
            await tx.memories.replace([after], actor="tester")
        self.live[after.id] = after

    @staticmethod
    async def _append(tx: Transaction, memory: Memory, type: EventType) -> int:
        seq = (await tx.feed.lock([memory.namespace]))[memory.namespace] + 1
        event = Event(
            id=str(new_id()),
            namespace=memory.namespace,
            seq=seq,
            type=type,
            memory_id=memory.id,
            version=memory.version,
            at=START,
        )
        await tx.feed.append([event])
        return seq


def fast_words(store: CanonicalStore, *, budget_bytes: int = 10**8) -> FastWords:
    room = Room(store, 3, budget_bytes=budget_bytes)
    return FastWords(store, budget=Budget(budget_bytes), room=room)


@pytest.mark.parametrize("crowded", [False, True], ids=["at ease", "in threads and compacted"])
@settings(max_examples=40, deadline=None)
@given(
    changes=_changes,
    question=_questions,
    limit=st.integers(1, 6),
    scope=st.sampled_from([ACME, Scope(Namespace("acme/a"))]),
    filter=st.sampled_from([Filter(), Filter(valid_at=START), Filter(tags=("odd",))]),
)
async def test_nominates_exactly_the_best_after_any_history(
    *,
    crowded: bool,
    changes: list[tuple[str, int, str, str, str | None]],
    question: list[str],
    limit: int,
    scope: Scope,
    filter: Filter,
) -> None:
    async with AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        if crowded:
            patch.setattr(words, "_INLINE_CHANGED", -1)
            patch.setattr(words, "_INLINE_POSTINGS", -1)
            patch.setattr(words, "_PAGE", 2)
            patch.setattr(postings, "_DEAD_MIN", 0)
        store = SqliteStore(Path(stack.enter_context(TemporaryDirectory())) / "soma.db")
        await store.open()
        stack.push_async_callback(store.close)
        diary, index = Diary(store), fast_words(store)
        for change, victim, namespace, text, context in changes:
            known = sorted(diary.live)
            memory = diary.live[known[victim % len(known)]] if known else None
            if change == "add":
                await diary.add(namespace, text, context)
            elif memory is not None and change == "revise":
                await diary.revise(memory, text, context)
            elif memory is not None and change == "around":
                await diary.around(memory, context)
            elif memory is not None and change == "end":
                await diary.end(memory)
            elif memory is not None and change == "forget":
                await diary.forget(memory)
            if crowded or change == "ask":
                await index.nominate(question, scope, filter, limit=limit)

        found = await index.nominate(question, scope, filter, limit=limit)
        rebuilt = await fast_words(store).nominate(question, scope, filter, limit=limit)
        squeezed = fast_words(store, budget_bytes=1)
        tight = await squeezed.nominate(question, scope, filter, limit=limit)
        expected = await _brute_force(store, question, scope, filter, limit)
        pool = [*diary.live, new_id()]
        async with store.reading() as tx:
            position = await tx.feed.position(scope)
            stored = await tx.lexicon.evidence(pool, question, scope)
        counted = index.evidence(pool, question, scope, position)
        behind = index.evidence(pool, question, scope, replace(position, seq=position.seq + 1))

    assert found == rebuilt == tight == expected
    assert behind is None
    assert counted is not None
    assert (stored.own, stored.context) == (counted.own, counted.context)
    assert {id: both for id, both in stored.documents.items() if id in counted.documents} == (
        counted.documents
    )


async def _brute_force(
    store: CanonicalStore, question: list[str], scope: Scope, filter: Filter, limit: int
) -> list[MemoryId]:
    async with store.reading() as tx:
        ids = await tx.memories.find_ids(scope, filter)
        evidence = await tx.lexicon.evidence(ids, question, scope)
    scores = {
        id: bm25(question, own, evidence.own)
        + CONTEXT_SHARE * bm25(question, context, evidence.context)
        for id, (own, context) in evidence.documents.items()
    }
    matching = [id for id, score in scores.items() if score > 0]
    return sorted(matching, key=lambda id: (-scores[id], id))[:limit]
