"""Watermarks agree with a model whatever happens to the feeds and to the projection."""

from __future__ import annotations

import dataclasses
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.namespace import Namespace
from domain.ports import CanonicalStore
from tests.contracts.projection_moves import (
    NAME,
    SPACES,
    append,
    backlog,
    numbers,
    outstanding,
)
from tests.contracts.store_fixtures import (
    new_id,
)


@dataclasses.dataclass
class Model:
    """What the watermarks of one projection must be."""

    heads: dict[Namespace, int]
    marks: dict[Namespace, int]

    def waiting(self, limit: int) -> dict[Namespace, list[int]]:
        """Return what an answer must hold, found by trying every quota."""
        amounts = {space: head - self.marks[space] for space, head in self.heads.items()}
        amounts = {space: amount for space, amount in amounts.items() if amount > 0}
        fitting = [
            quota
            for quota in range(1, max(amounts.values(), default=1) + 1)
            if sum(min(amount, quota) for amount in amounts.values()) <= limit
        ]
        return {
            space: [self.marks[space] + n + 1 for n in range(min(amount, fitting[-1]))]
            for space, amount in amounts.items()
        }

    def backlog(self) -> int:
        """Count what waits."""
        return sum(head - self.marks[space] for space, head in self.heads.items())


@dataclasses.dataclass(frozen=True)
class Append:
    """Move these namespaces on."""

    moves: list[tuple[Namespace, int]]

    async def __call__(self, store: CanonicalStore, model: Model) -> None:
        for space, number in self.moves:
            await append(store, space, number)
            model.heads[space] += number


@dataclasses.dataclass(frozen=True)
class Pull:
    """Take what waits, as a worker that succeeds or fails in the end."""

    limit: int
    fails: bool

    async def __call__(self, store: CanonicalStore, model: Model) -> None:
        expected = model.waiting(self.limit)
        marks = {space: seqs[-1] for space, seqs in expected.items()}
        with suppress(RuntimeError):
            async with store.writing() as tx:
                assert await tx.projections.lock_shard(NAME, 0)
                found = await tx.projections.outstanding(NAME, shard=0, shards=1, limit=self.limit)
                assert numbers(found) == expected
                await tx.projections.advance(NAME, marks)
                if self.fails:
                    raise RuntimeError("the index is down")
            model.marks.update(marks)


@dataclasses.dataclass(frozen=True)
class Discard:
    """Have one namespace built again, or all."""

    space: Namespace | None

    async def __call__(self, store: CanonicalStore, model: Model) -> None:
        async with store.writing() as tx:
            await tx.projections.discard(NAME, self.space)
        gone = SPACES if self.space is None else [self.space]
        model.marks.update(dict.fromkeys(gone, 0))


@dataclasses.dataclass(frozen=True)
class Renew:
    """Give the store another epoch."""

    async def __call__(self, store: CanonicalStore, model: Model) -> None:
        async with store.writing() as tx:
            await tx.settings.set("epoch", new_id())
        model.marks.update(dict.fromkeys(SPACES, 0))


_spaces = st.sampled_from(SPACES)
_steps = st.one_of(
    st.builds(Append, st.lists(st.tuples(_spaces, st.integers(1, 6)), max_size=3)),
    st.builds(Pull, st.integers(len(SPACES), 12), st.booleans()),
    st.builds(Discard, st.one_of(st.none(), _spaces)),
    st.builds(Renew),
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(_steps, max_size=12))
async def test_agrees_with_a_model_after_any_history(
    store: CanonicalStore, steps: list[Append | Pull | Discard | Renew]
) -> None:
    async with store.writing() as tx:
        heads = await tx.feed.lock(SPACES)
        await tx.projections.discard(NAME)
    model = Model(heads, dict.fromkeys(SPACES, 0))

    for step in steps:
        await step(store, model)
        assert await backlog(store) == model.backlog()
    assert await outstanding(store, limit=7) == model.waiting(7)
