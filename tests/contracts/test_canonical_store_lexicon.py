"""The lexical index of a canonical store: nominations and exact statistics."""

from __future__ import annotations

import itertools
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.filter import Filter
from domain.lexical import AnalysedText, FieldStatistics, TermCounts
from domain.memory import Kind, MemoryId
from domain.namespace import Namespace
from domain.ports import CanonicalStore
from tests.contracts.store_fixtures import (
    HOME,
    START,
    a_memory,
    add,
    analysed,
    below,
    exactly,
    ids,
    stored,
)

_spaces = itertools.count()

ODD_TERMS = (
    *(
        "käse",
        "日本語",
        "don't",
        "snake_case",
        "well-known",
        "3.14",
        "a.b:c",
        '"quoted"',
        "a*",
        "^a",
    ),
    *("(a", "NEAR", "AND", "or", "col:x", "{own}", "_6b", "_", "é", "e\u0301", "\U0001f600", "%"),
    *("UPPER", "x" * 500, "ü" * 70, "0", "-1", ";", "\\", "\u00a0", "''", "own"),
)


@pytest.mark.parametrize("term", ODD_TERMS)
async def test_keeps_terms_intact(store: CanonicalStore, term: str) -> None:
    memory, other = a_memory("one"), a_memory("two")
    async with store.writing() as tx:
        await tx.memories.add([memory, other], actor="tester")
        rest = tuple(odd for odd in ODD_TERMS if odd != term)
        await tx.lexicon.put(
            {
                memory.id: AnalysedText((term, "tea", term), (term, "tea", term)),
                other.id: AnalysedText(rest, rest),
            }
        )

        assert await tx.lexicon.nominate([term], exactly(), Filter(), limit=10) == [memory.id]
        evidence = await tx.lexicon.evidence(ids([memory, other]), [term, "absent"], exactly())

    assert evidence.own == FieldStatistics(2, 3 + len(rest), {term: 1})
    assert evidence.documents == {
        memory.id: (TermCounts(3, {term: 2}), TermCounts(3, {term: 2})),
        other.id: (TermCounts(len(rest), {}), TermCounts(len(rest), {})),
    }


async def test_tells_own_terms_from_those_of_the_neighbours(store: CanonicalStore) -> None:
    memory, alone = a_memory(), a_memory()
    async with store.writing() as tx:
        await tx.memories.add([memory, alone], actor="tester")
        await tx.lexicon.put(
            {
                memory.id: analysed("tea", "milk tea milk"),
                alone.id: analysed("coffee"),
            }
        )

        found = await tx.lexicon.nominate(["milk"], exactly(), Filter(), limit=10)
        evidence = await tx.lexicon.evidence([memory.id], ["tea", "milk", "coffee"], exactly())

    assert found == [memory.id]
    assert evidence.own == FieldStatistics(2, 2, {"tea": 1, "coffee": 1})
    assert evidence.context == FieldStatistics(2, 4, {"tea": 1, "milk": 1, "coffee": 1})
    assert evidence.documents == {
        memory.id: (TermCounts(1, {"tea": 1}), TermCounts(3, {"tea": 1, "milk": 2}))
    }


async def test_nominates_the_better_match_first(store: CanonicalStore) -> None:
    weak = a_memory("tea with a great many other words that say nothing at all of interest")
    strong = a_memory("green tea")
    none = a_memory("coffee")
    await stored(store, weak, strong, none)

    async with store.reading() as tx:
        found = await tx.lexicon.nominate(["green", "tea"], exactly(), Filter(), limit=10)
        best = await tx.lexicon.nominate(["green", "tea"], exactly(), Filter(), limit=1)

    assert found == [strong.id, weak.id]
    assert best == [strong.id]


async def test_applies_scope_and_filter_before_the_limit(store: CanonicalStore) -> None:
    wanted = a_memory("some rather long text about tea", tags=("keep",))
    crowd = [a_memory("tea tea") for _ in range(20)]
    foreign = [a_memory("tea tea tea", namespace=Namespace("acme/bob")) for _ in range(20)]
    await stored(store, *crowd, *foreign, wanted)

    async with store.reading() as tx:
        filtered = await tx.lexicon.nominate(["tea"], exactly(), Filter(tags=("keep",)), limit=1)
        kinds = Filter(kinds=(Kind.SEMANTIC,))
        none = await tx.lexicon.nominate(["tea"], exactly(), kinds, limit=1)
        scoped = await tx.lexicon.nominate(["tea"], exactly(), Filter(), limit=100)
        subtree = await tx.lexicon.nominate(["tea"], below("acme"), Filter(), limit=100)

    assert filtered == [wanted.id]
    assert none == []
    assert set(scoped) == set(ids([*crowd, wanted]))
    assert set(subtree) == set(ids([*crowd, *foreign, wanted]))


async def test_searches_a_subtree_of_many_namespaces(store: CanonicalStore) -> None:
    inside = [a_memory("tea", namespace=Namespace(f"big/{number}")) for number in range(80)]
    outside = a_memory("tea", namespace=Namespace("bigger"))
    await stored(store, *inside, outside)

    async with store.reading() as tx:
        found = await tx.lexicon.nominate(["tea"], below("big"), Filter(), limit=100)
        evidence = await tx.lexicon.evidence([], ["tea"], below("big"))

    assert found == sorted(ids(inside))
    assert evidence.own == FieldStatistics(80, 80, {"tea": 80})


async def test_nominates_nothing_for_nothing(store: CanonicalStore) -> None:
    async with store.writing() as tx:
        await tx.lexicon.put({})
        assert await tx.lexicon.nominate(["tea"], exactly(), Filter(), limit=5) == []
        await add(tx, a_memory("tea"))
        assert await tx.lexicon.nominate([], exactly(), Filter(), limit=5) == []
        assert await tx.lexicon.nominate(["tea"], exactly(Namespace("x")), Filter(), limit=5) == []
        evidence = await tx.lexicon.evidence([], [], exactly(Namespace("x")))
    assert evidence.own == FieldStatistics(0, 0, {})


async def test_takes_a_query_of_thousands_of_terms(store: CanonicalStore) -> None:
    memory = a_memory("needle")
    await stored(store, memory, a_memory("hay"))
    terms = [*(f"term{number}" for number in range(5000)), "needle"]

    async with store.reading() as tx:
        assert await tx.lexicon.nominate(terms, exactly(), Filter(), limit=5) == [memory.id]
        evidence = await tx.lexicon.evidence([memory.id], terms, exactly())
    assert evidence.own.frequencies == {"needle": 1}


async def test_indexes_a_memory_without_terms(store: CanonicalStore) -> None:
    memory = a_memory("!!!")
    async with store.writing() as tx:
        await tx.memories.add([memory], actor="tester")
        await tx.lexicon.put({memory.id: AnalysedText((), ())})
        evidence = await tx.lexicon.evidence([memory.id], ["tea"], exactly())

    assert evidence.own == FieldStatistics(1, 0, {})
    assert evidence.documents == {memory.id: (TermCounts(0, {}), TermCounts(0, {}))}
    assert await store.check() == []


async def test_replaces_what_a_memory_said_before(store: CanonicalStore) -> None:
    memory = a_memory("tea tea")
    await stored(store, memory)
    async with store.writing() as tx:
        await tx.lexicon.put({memory.id: analysed("coffee")})
        await tx.lexicon.put({memory.id: analysed("coffee")})

        assert await tx.lexicon.nominate(["tea"], exactly(), Filter(), limit=5) == []
        evidence = await tx.lexicon.evidence([memory.id], ["tea", "coffee"], exactly())

    assert evidence.own == FieldStatistics(1, 1, {"coffee": 1})
    assert await store.check() == []


WORDS = ["tea", "milk", "don't", "日本", "a_b", "x1"]
phrases = st.lists(st.sampled_from(WORDS), max_size=5).map(tuple)


@dataclass(frozen=True)
class Step:
    """One change: `place` picks the memory, `text` is what is indexed."""

    action: str
    place: int
    text: AnalysedText


class _RolledBackError(Exception):
    """Ends a step without effect."""


texts = st.builds(AnalysedText, phrases, phrases) | phrases.map(lambda own: AnalysedText(own, own))
additions = st.lists(st.builds(Step, st.just("add"), st.just(0), texts), min_size=1, max_size=4)
changes = st.lists(
    st.builds(
        Step,
        st.sampled_from(["put", "put", "put", "add", "forget", "erase", "fail"]),
        st.integers(0, 3),
        texts,
    ),
    min_size=1,
    max_size=20,
)


@dataclass
class Model:
    """The lexical index as it should be, in one namespace."""

    texts: dict[MemoryId, AnalysedText] = field(default_factory=dict)
    order: list[MemoryId] = field(default_factory=list)

    def statistics(self, name: str) -> FieldStatistics:
        """Count everything anew."""
        fields = [getattr(text, name) for text in self.texts.values()]
        frequencies = Counter(term for terms in fields for term in set(terms))
        return FieldStatistics(len(fields), sum(map(len, fields)), dict(frequencies))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(additions=additions, changes=changes)
async def test_keeps_statistics_equal_to_a_recount(
    store: CanonicalStore, additions: list[Step], changes: list[Step]
) -> None:
    namespace = Namespace(f"recount/{next(_spaces)}")
    model = Model()
    for step in [*additions, *changes]:
        await _step(store, model, namespace, step)

    async with store.reading() as tx:
        evidence = await tx.lexicon.evidence(list(model.texts), WORDS, exactly(namespace))
        for word in WORDS:
            found = await tx.lexicon.nominate([word], exactly(namespace), Filter(), limit=100)
            holding = {id for id, text in model.texts.items() if word in text.own + text.context}
            assert set(found) == holding
    assert evidence.own == model.statistics("own")
    assert evidence.context == model.statistics("context")
    assert evidence.documents == {
        id: tuple(
            TermCounts(len(terms), dict(Counter(terms))) for terms in (text.own, text.context)
        )
        for id, text in model.texts.items()
    }
    assert await store.check() == []


async def _step(store: CanonicalStore, model: Model, namespace: Namespace, step: Step) -> None:
    memory = a_memory(namespace=namespace)
    new = step.action == "add"
    if not new and step.place >= len(model.order):
        return
    id = memory.id if new else model.order[step.place]
    live = id in model.texts
    with suppress(_RolledBackError):
        async with store.writing() as tx:
            if new:
                await tx.memories.add([memory], actor="tester")
            if new or (live and step.action in {"put", "fail"}):
                await tx.lexicon.put({id: step.text})
            if step.action == "forget":
                await tx.memories.forget([id], at=START, actor="tester")
            if step.action == "erase":
                await tx.memories.erase([id], at=START, actor="tester")
            if step.action == "fail":
                raise _RolledBackError
        if new:
            model.order.append(id)
        if new or (live and step.action == "put"):
            model.texts[id] = step.text
        if step.action in {"forget", "erase"}:
            model.texts.pop(id, None)


async def test_notices_a_live_memory_that_is_not_indexed(store: CanonicalStore) -> None:
    memory = a_memory()
    async with store.writing() as tx:
        await tx.memories.add([memory], actor="tester")

    (finding,) = await store.check()

    assert finding.subject == "lexicon"
    assert memory.id in finding.detail


async def test_counts_namespaces_apart(store: CanonicalStore) -> None:
    await stored(store, a_memory("tea"), a_memory("tea", namespace=Namespace("acme/bob")))

    async with store.reading() as tx:
        own = await tx.lexicon.evidence([], ["tea"], exactly(HOME))
        both = await tx.lexicon.evidence([], ["tea"], below("acme"))

    assert own.own == FieldStatistics(1, 1, {"tea": 1})
    assert both.own == FieldStatistics(2, 2, {"tea": 2})
