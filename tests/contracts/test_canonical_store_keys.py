"""What a canonical store keeps of API keys."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

from domain.access import ApiKey, Permission
from domain.namespace import Namespace
from domain.ports import CanonicalStore, StoredKey
from tests.contracts.store_fixtures import START

_numbers = itertools.count(1)


def a_key(
    namespace: str | None = "acme/alice",
    *,
    name: str = "support-bot",
    expires_at: datetime | None = None,
) -> StoredKey:
    """Build a key with an id greater than all before."""
    id = f"k{next(_numbers):06}"
    key = ApiKey(
        id=id,
        name=name,
        permission=Permission.WRITE,
        namespace=None if namespace is None else Namespace(namespace),
        created_at=START,
        created_by="tester",
        expires_at=expires_at,
    )
    return StoredKey(key, f"digest of {id}")


async def added(store: CanonicalStore, *keys: StoredKey) -> None:
    """Insert keys."""
    async with store.writing() as tx:
        for key in keys:
            await tx.keys.add(key)


async def test_returns_a_key_as_it_was_added(store: CanonicalStore) -> None:
    bound = a_key(expires_at=START + timedelta(days=1, microseconds=1))
    free = a_key(None, name="a laptop")
    await added(store, bound, free)

    async with store.reading() as tx:
        assert bound == await tx.keys.find(bound.key.id)
        assert free == await tx.keys.find(free.key.id)
        assert await tx.keys.find("unknown") is None
        assert await tx.keys.find("") is None


async def test_knows_whether_there_ever_was_a_key(store: CanonicalStore) -> None:
    async with store.reading() as tx:
        assert not await tx.keys.exist()
    key = a_key()
    await added(store, key)
    async with store.writing() as tx:
        await tx.keys.revoke(key.key.id, at=START, actor="tester")

    async with store.reading() as tx:
        assert await tx.keys.exist()


async def test_lists_keys_bound_inside_a_subtree_page_by_page(store: CanonicalStore) -> None:
    names = ["acme", "acme/alice", "acme/alice/phone", "acme/alicent", "acme/bob", "acm", None]
    made = {name: a_key(name) for name in names}
    keys = {name: stored.key.id for name, stored in made.items()}
    await added(store, *made.values())

    async def inside(within: str | None) -> list[str]:
        found: list[ApiKey] = []
        after = None
        async with store.reading() as tx:
            root = None if within is None else Namespace(within)
            while page := await tx.keys.page(root, limit=2, after=after):
                found += page
                after = page[-1].id
        return [key.id for key in found]

    assert list(keys.values()) == await inside(None)
    assert [keys["acme/alice"], keys["acme/alice/phone"]] == await inside("acme/alice")
    assert [keys[n] for n in names[:5]] == await inside("acme")
    assert [] == await inside("nowhere")


async def test_a_revocation_is_for_good_and_keeps_its_first_time(store: CanonicalStore) -> None:
    key = a_key()
    await added(store, key)

    for minutes in (1, 2):
        async with store.writing() as tx:
            at = START + timedelta(minutes=minutes)
            await tx.keys.revoke(key.key.id, at=at, actor="tester")
            await tx.keys.revoke("unknown", at=at, actor="tester")

    async with store.reading() as tx:
        found = await tx.keys.find(key.key.id)
    assert found is not None
    assert START + timedelta(minutes=1) == found.key.revoked_at
    assert not found.key.works_at(START)


async def test_the_last_use_never_goes_back(store: CanonicalStore) -> None:
    one, other = a_key(), a_key()
    await added(store, one, other)
    for minutes in (5, 3):
        async with store.writing() as tx:
            at = START + timedelta(minutes=minutes)
            await tx.keys.used({one.key.id: at, "unknown": at})
    async with store.writing() as tx:
        await tx.keys.used({})

    async with store.reading() as tx:
        found = [await tx.keys.find(key.key.id) for key in (one, other)]
    assert [START + timedelta(minutes=5), None] == [f.key.last_used_at for f in found if f]
