"""What looking for keys may cost the store, whoever asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from application.access import keyring
from application.access.keyring import (
    FRESH_SECONDS,
    STRANGERS_AT_ONCE,
    STRANGERS_WAITING_MAX,
    Keyring,
)
from domain.access import ApiKey, Permission
from domain.errors import Overloaded
from domain.ports import StoredKey

KNOWN = "00000000000000aa"


class Counting:
    """A store with one key; it answers when it is told to, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.asking = 0
        self.most_at_once = 0
        self.asked_for_known = asyncio.Event()
        self.answering = asyncio.Event()
        self.answering.set()
        self.keys = self

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Counting]:
        """Begin to read."""
        yield self

    async def find(self, id: str) -> StoredKey | None:
        """Return the one key."""
        self.asked.append(id)
        if id == KNOWN:
            self.asked_for_known.set()
        self.asking += 1
        self.most_at_once = max(self.most_at_once, self.asking)
        await self.answering.wait()
        self.asking -= 1
        if id != KNOWN:
            return None
        return StoredKey(
            ApiKey(
                id=id,
                name="bot",
                permission=Permission.READ,
                namespace=None,
                created_by="tester",
                created_at=datetime(2026, 3, 1, tzinfo=UTC),
            ),
            "digest",
        )


class Elapsed:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.seconds


def made(store: Counting, elapsed: Elapsed) -> Keyring:
    """Return a keyring over a store."""
    secret: Any = str
    return Keyring(store, elapsed, secret, configured_secret="a secret")  # type: ignore[arg-type]


async def test_a_few_strangers_are_looked_up_at_a_time_and_a_known_key_does_not_wait() -> None:
    store, elapsed = Counting(), Elapsed()
    keys = made(store, elapsed)
    await keys.find(KNOWN)
    elapsed.seconds += FRESH_SECONDS
    store.answering.clear()
    store.asked_for_known.clear()
    strangers = [asyncio.create_task(keys.find(f"{n:016x}")) for n in range(20)]
    known = asyncio.create_task(keys.find(KNOWN))
    await store.asked_for_known.wait()
    asked_meanwhile = len(store.asked) - 2

    store.answering.set()

    assert STRANGERS_AT_ONCE == asked_meanwhile
    assert STRANGERS_AT_ONCE + 1 == store.most_at_once
    assert await known is not None
    assert [None] * 20 == await asyncio.gather(*strangers)


async def test_of_strangers_only_a_few_wait_and_the_others_are_told_to_come_again() -> None:
    store = Counting()
    keys = made(store, Elapsed())
    store.answering.clear()
    strangers = [asyncio.create_task(keys.find(f"{n:016x}")) for n in range(300)]
    done, waiting = await asyncio.wait(strangers, timeout=0)
    store.answering.set()
    await asyncio.wait(waiting)

    assert len(waiting) == STRANGERS_AT_ONCE + STRANGERS_WAITING_MAX
    assert all(isinstance(one.exception(), Overloaded) for one in done)
    assert await keys.find(KNOWN) is not None


async def test_an_id_that_names_no_key_is_asked_for_once_in_a_while() -> None:
    store, elapsed = Counting(), Elapsed()
    keys = made(store, elapsed)

    await asyncio.gather(*(keys.find("0") for _ in range(20)))
    elapsed.seconds += FRESH_SECONDS
    await keys.find("0")

    assert ["0", "0"] == store.asked


async def test_ids_that_somebody_makes_up_push_no_key_out(monkeypatch: Any) -> None:
    monkeypatch.setattr(keyring, "STRANGERS_MAX", 10)
    store, elapsed = Counting(), Elapsed()
    keys = made(store, elapsed)
    await keys.find(KNOWN)

    for number in range(100):
        await keys.find(f"{number:x}")
    await keys.find(KNOWN)

    assert 1 == store.asked.count(KNOWN)


async def test_a_key_that_was_made_since_is_found_at_once() -> None:
    store, elapsed = Counting(), Elapsed()
    keys = made(store, elapsed)
    await keys.find("0")

    keys.changed("0")
    await keys.find("0")

    assert ["0", "0"] == store.asked
