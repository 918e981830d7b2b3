"""Make, list and revoke API keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from application.access.keyring import Keyring, token_of
from application.show import check_limit
from domain.access import ApiKey, CreatedKey, Permission, check_key_name, is_inside
from domain.draft import Page
from domain.errors import InvalidInput, KeyNotFound
from domain.memory import check_time
from domain.namespace import Namespace
from domain.ports import CanonicalStore, StoredKey


@dataclass(frozen=True, kw_only=True)
class CreateKey:
    """Make a key. The token is returned once; the store has a keyed hash of it."""

    store: CanonicalStore
    keyring: Keyring
    now: Callable[[], datetime]
    new_key_id: Callable[[], str]
    new_secret: Callable[[], str]

    async def __call__(
        self,
        *,
        name: str,
        permission: Permission,
        namespace: Namespace | None,
        expires_at: datetime | None = None,
        actor: str,
    ) -> CreatedKey:
        """Return the key and its token; raise `InvalidInput` naming the field."""
        at = self.now()
        expiry = check_time(expires_at, "expires_at")
        if expiry is not None and expiry <= at:
            raise InvalidInput("expires_at", "lies in the past")
        key = ApiKey(
            id=self.new_key_id(),
            name=check_key_name(name),
            permission=permission,
            namespace=namespace,
            created_at=at,
            created_by=actor,
            expires_at=expiry,
        )
        token = token_of(key.id, self.new_secret())
        digest = await self.keyring.digest(token)
        async with self.store.writing() as tx:
            await tx.keys.add(StoredKey(key, digest))
        self.keyring.changed(key.id)
        return CreatedKey(key, token)


@dataclass(frozen=True, kw_only=True)
class ListKeys:
    """List the keys that are bound inside a subtree, revoked and expired ones too."""

    store: CanonicalStore

    async def __call__(
        self, *, within: Namespace | None, limit: int = 100, cursor: str | None = None
    ) -> Page[ApiKey]:
        """Return one page in id order; `within` None lists all."""
        check_limit(limit)
        async with self.store.reading() as tx:
            found = await tx.keys.page(within, limit=limit + 1, after=cursor)
        page = tuple(found[:limit])
        return Page(page, page[-1].id if len(found) > limit else None)


@dataclass(frozen=True, kw_only=True)
class RevokeKey:
    """End a key for good, on every replica within five seconds; again changes nothing."""

    store: CanonicalStore
    keyring: Keyring
    now: Callable[[], datetime]

    async def __call__(self, id: str, *, within: Namespace | None, actor: str) -> None:
        """Raise `KeyNotFound` for a key that there is not, or that is not bound inside."""
        async with self.store.writing() as tx:
            stored = await tx.keys.find(id)
            if stored is None or not _is_bound_inside(stored.key, within):
                raise KeyNotFound(id)
            await tx.keys.revoke(id, at=self.now(), actor=actor)
        self.keyring.changed(id)


def _is_bound_inside(key: ApiKey, within: Namespace | None) -> bool:
    if key.namespace is None:
        return within is None
    return is_inside(key.namespace, within)
