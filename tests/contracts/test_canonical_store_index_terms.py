"""What a canonical store tells of the index terms it holds."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from domain.lexical import encoded
from domain.memory import Kind, Source
from domain.namespace import Namespace
from domain.ports import CanonicalStore, Facts, IndexedTerms
from tests.contracts.store_fixtures import HOME, START, a_memory, analysed, ids, stored

FOREVER = (-math.inf, math.inf, math.inf)


async def test_tells_terms_as_they_are_spelt_in_the_index(store: CanonicalStore) -> None:
    plain, beside = a_memory(), a_memory()
    async with store.writing() as tx:
        await tx.memories.add([plain, beside], actor="tester")
        await tx.lexicon.put(
            {plain.id: analysed("tea don't tea"), beside.id: analysed("milk", "milk tea")}
        )

        found = {one.memory_id: one for one in await tx.terms.of([plain.id, beside.id])}

    spelt = " ".join(["tea", encoded("don't"), "tea"])
    assert found[plain.id] == IndexedTerms(plain.id, spelt, None, FOREVER)
    assert found[beside.id] == IndexedTerms(beside.id, "milk", "milk tea", FOREVER)


async def test_tells_when_a_memory_is_valid(store: CanonicalStore) -> None:
    memory = replace(a_memory(), valid_from=START, valid_to=None, expires_at=START)
    await stored(store, memory)

    async with store.reading() as tx:
        [found] = await tx.terms.of([memory.id])

    assert found.span == (START.timestamp(), math.inf, START.timestamp())


async def test_tells_what_filters_look_at(store: CanonicalStore) -> None:
    memory = replace(
        a_memory("tea"),
        kind=Kind.PROCEDURAL,
        level=2,
        tags=("a", "ä"),
        coordinate=(1.5, -2.0),
        payload={"n": 2**60, "deep": {"x": [1, None]}},
        source=Source(actor="ana", session="s"),
        occurred_at=START + timedelta(microseconds=7),
    )
    plain = a_memory("milk")
    await stored(store, memory, plain)

    async with store.reading() as tx:
        found = {one.memory_id: one.facts for one in await tx.terms.of([memory.id, plain.id])}

    facts = found[memory.id]
    assert json.loads(facts.payload) == memory.payload
    assert replace(facts, payload="{}") == Facts(
        kind=Kind.PROCEDURAL,
        level=2,
        tags=("a", "ä"),
        actor="ana",
        session="s",
        happened_at=_micros(START) + 7,
        coordinate=(1.5, -2.0),
    )
    assert found[plain.id] == Facts(kind=plain.kind, happened_at=_micros(plain.happened_at))


def _micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


async def test_pages_through_one_namespace_in_id_order(store: CanonicalStore) -> None:
    here = [a_memory(f"tea {number}") for number in range(5)]
    await stored(store, *here, a_memory(namespace=Namespace("acme")))

    async with store.reading() as tx:
        first = await tx.terms.page(HOME, limit=3)
        rest = await tx.terms.page(HOME, limit=3, after=first[-1].memory_id)
        nowhere = await tx.terms.page(Namespace("unknown"), limit=3)

    assert [one.memory_id for one in [*first, *rest]] == ids(here)
    assert len(first) == 3
    assert nowhere == []


async def test_tells_nothing_of_what_is_gone(store: CanonicalStore) -> None:
    forgotten, erased, kept = a_memory("tea"), a_memory("tea"), a_memory("tea")
    await stored(store, forgotten, erased, kept)
    async with store.writing() as tx:
        await tx.memories.forget([forgotten.id], at=START, actor="tester")
        await tx.memories.erase([erased.id], at=START, actor="tester")

    async with store.reading() as tx:
        paged = await tx.terms.page(HOME, limit=10)
        asked = await tx.terms.of([forgotten.id, erased.id, kept.id])
        nothing = await tx.terms.of([])

    assert [one.memory_id for one in paged] == [kept.id]
    assert asked == paged
    assert nothing == []


async def test_tells_the_new_terms_after_a_change(store: CanonicalStore) -> None:
    memory = a_memory("tea")
    await stored(store, memory)
    async with store.writing() as tx:
        await tx.lexicon.put({memory.id: analysed("milk", "milk sugar")})

        [found] = await tx.terms.of([memory.id])

    assert (found.own, found.context) == ("milk", "milk sugar")
