"""Changes that collide are made again; nothing else is."""

from __future__ import annotations

import asyncio

import pytest

from adapters.postgres.store import PostgresStore
from application.storing.retrying import Retried
from domain.errors import ChangeCollided, StoreUnavailable
from domain.namespace import Namespace
from tests.contracts.store_fixtures import events


class Unlucky:
    """A use case that fails some times before it succeeds."""

    def __init__(self, error: Exception, times: int) -> None:
        self._error = error
        self._times = times
        self.calls = 0

    async def __call__(self, answer: str, *, loud: bool) -> str:
        self.calls += 1
        if self.calls <= self._times:
            raise self._error
        return answer.upper() if loud else answer


async def test_calls_again_until_nothing_collides() -> None:
    unlucky = Unlucky(ChangeCollided("in the way"), times=3)

    answer = await Retried(unlucky)("yes", loud=True)

    assert (answer, unlucky.calls) == ("YES", 4)


async def test_gives_up_after_the_last_attempt() -> None:
    unlucky = Unlucky(ChangeCollided("in the way"), times=9)

    with pytest.raises(ChangeCollided):
        await Retried(unlucky, attempts_max=2)("yes", loud=True)

    assert unlucky.calls == 2


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), ValueError("no")])
async def test_calls_only_once_what_fails_otherwise(error: Exception) -> None:
    unlucky = Unlucky(error, times=1)

    with pytest.raises(type(error)):
        await Retried(unlucky)("yes", loud=True)

    assert unlucky.calls == 1


async def test_both_of_two_changes_in_a_deadlock_are_made(postgres_url: str) -> None:
    store = PostgresStore(postgres_url)
    await store.open()
    spaces = [Namespace("left"), Namespace("right")]
    met = asyncio.Barrier(2)
    attempts = 0

    async def change(first: Namespace, second: Namespace) -> None:
        nonlocal attempts
        attempts += 1
        together = attempts <= len(spaces)
        async with store.writing() as tx:
            heads = await tx.feed.lock([first])
            if together:
                await met.wait()
            heads |= await tx.feed.lock([second])
            for space in spaces:
                await tx.feed.append(events(space, heads[space] + 1, heads[space] + 1))

    try:
        changes = Retried(change)
        async with asyncio.timeout(20):
            await asyncio.gather(changes(*spaces), changes(*spaces[::-1]))

        async with store.reading() as tx:
            heads = [len(await tx.feed.after(space, 0, limit=9)) for space in spaces]
        assert (attempts, heads) == (3, [2, 2])
    finally:
        await store.close()
