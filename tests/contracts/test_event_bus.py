"""What every event bus must do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from adapters.inprocess.bus import InProcessBus
from domain.namespace import Namespace, Scope, ScopeKind
from domain.ports import EventBus

ACME, CHILD, OTHER = Namespace("acme"), Namespace("acme/a"), Namespace("other")


@pytest.fixture
def bus() -> EventBus:
    """A bus without subscribers."""
    return InProcessBus()


async def woken(wakeups: AsyncIterator[None]) -> bool:
    """Tell whether a wake-up is due."""
    try:
        async with asyncio.timeout(0.05):
            await anext(wakeups)
    except TimeoutError:
        return False
    return True


async def test_wakes_those_whose_scope_moved(bus: EventBus) -> None:
    async with (
        bus.subscribe(Scope(ACME)) as exact,
        bus.subscribe(Scope(ACME, ScopeKind.SUBTREE)) as subtree,
        bus.subscribe(Scope(OTHER)) as elsewhere,
        bus.subscribe(None) as everywhere,
    ):
        await bus.publish([CHILD])

        assert (False, True, False, True) == (
            await woken(exact),
            await woken(subtree),
            await woken(elsewhere),
            await woken(everywhere),
        )


async def test_wakes_one_who_is_already_waiting(bus: EventBus) -> None:
    async with bus.subscribe(Scope(ACME)) as wakeups:
        waiting = asyncio.ensure_future(woken(wakeups))
        await asyncio.sleep(0)

        await bus.publish([ACME])

        assert await waiting


async def test_keeps_wakeups_for_a_slow_subscriber_without_growing(bus: EventBus) -> None:
    async with bus.subscribe(None) as wakeups:
        for _ in range(10_000):
            await bus.publish([ACME, OTHER])

        assert await woken(wakeups)
        count = 1
        while await woken(wakeups):
            count += 1
        assert count <= 3


async def test_what_was_published_before_subscribing_is_not_heard(bus: EventBus) -> None:
    await bus.publish([ACME])

    async with bus.subscribe(None) as wakeups:
        assert not await woken(wakeups)


async def test_a_subscription_ends_with_its_block(bus: EventBus) -> None:
    async with bus.subscribe(None) as wakeups:
        pass

    await bus.publish([ACME])

    assert [] == [wakeup async for wakeup in wakeups]


async def test_publishing_to_nobody_is_harmless(bus: EventBus) -> None:
    await bus.publish([ACME])
    await bus.publish([])
