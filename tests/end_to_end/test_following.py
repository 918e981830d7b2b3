"""The change feed reaches what stands outside the store, however slow that or short a life is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from application.projecting.following import EVENTS_AT_FIRST, Follower
from container import Container
from domain.draft import Draft, Wait
from domain.errors import IndexUnavailable, Unavailable
from domain.events import Event
from domain.namespace import DEFAULT_NAMESPACE, Scope
from tests.end_to_end.embedded import ACTOR, BagOfWords, installation

NAME = "outside"
MEMORIES = 3 * EVENTS_AT_FIRST
AT_ONCE = 10 * MEMORIES


class Killed(BaseException):
    """The process ends: nothing of it gets to react."""


@pytest.fixture(params=["embedded", "server"])
def place(request: pytest.FixtureRequest) -> dict[str, object]:
    """The settings that say where memories are kept."""
    if request.param == "embedded":
        return {}
    return {"postgres_url": request.getfixturevalue("postgres_url")}


@pytest.fixture
async def soma(place: dict[str, object], tmp_path: Path) -> AsyncIterator[Container]:
    """An installation with more events than are applied at first."""
    settings = {**place, "embedder": BagOfWords(), "background_embedding": False}
    async with installation(tmp_path, **settings) as opened:  # type: ignore[arg-type]
        drafts = [Draft(content=f"note {number}") for number in range(MEMORIES)]
        await opened.remember_batch()(drafts, wait=Wait.STORED, actor=ACTOR)
        yield opened


def follower_of(soma: Container) -> Follower:
    """Return what a process that has just started follows with."""
    return Follower(store=soma.store(), events_at_once=AT_ONCE)


async def head_of(soma: Container) -> int:
    """Return the last sequence number."""
    async with soma.store().reading() as tx:
        position = await tx.feed.position(Scope(DEFAULT_NAMESPACE))
    head: int = position.seq
    return head


async def test_what_is_too_slow_for_many_events_is_given_ever_fewer(soma: Container) -> None:
    follower = follower_of(soma)
    applied: list[int] = []
    refused: list[int] = []

    async def apply(events: Sequence[Event], _: str) -> None:
        if len(events) > 7:
            refused.append(len(events))
            raise IndexUnavailable("too slow")
        applied.extend(event.seq for event in events)

    for _ in range(MEMORIES):
        try:
            if not await follower.follow(NAME, apply):
                break
        except Unavailable:
            continue

    assert applied == list(range(1, await head_of(soma) + 1))
    assert refused[:4] == [100, 50, 25, 12]
    # Having failed, it is tempted by a little more only now and then.
    assert len(refused) < len(applied) / 7


async def test_what_goes_well_is_given_ever_more(soma: Container) -> None:
    follower = follower_of(soma)
    batches: list[int] = []

    async def apply(events: Sequence[Event], _: str) -> None:
        batches.append(len(events))

    while await follower.follow(NAME, apply):
        pass

    assert batches[:2] == [EVENTS_AT_FIRST, 2 * EVENTS_AT_FIRST]
    assert sum(batches) == await head_of(soma)


async def test_a_process_that_always_ends_before_all_is_done_leaves_something_done(
    soma: Container,
) -> None:
    applied: list[int] = []
    lives = 0

    async def apply(events: Sequence[Event], _: str) -> None:
        if len(events) > EVENTS_AT_FIRST:
            raise Killed  # No process here lives long enough for so many.
        applied.extend(event.seq for event in events)

    while len(applied) < await head_of(soma) and lives < MEMORIES:
        lives += 1
        follower = follower_of(soma)
        try:
            while await follower.follow(NAME, apply):
                pass
        except Killed:
            continue

    assert applied == list(range(1, await head_of(soma) + 1))
