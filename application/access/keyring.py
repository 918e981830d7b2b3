"""The keys of the store as this process knows them: never older than a few seconds."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from domain.access import ApiKey
from domain.errors import Overloaded
from domain.ports import CanonicalStore, StoredKey

T = TypeVar("T")

#: A revocation is known to every replica after this long; 5 s are promised.
FRESH_SECONDS = 3.0
KEYS_MAX = 10_000
#: How many ids that name no key are remembered, and how many ids that this process has not seen
#: as a key are looked up at a time: whoever makes ids up gets no more of the store than that.
STRANGERS_MAX = 10_000
STRANGERS_AT_ONCE = 4
#: Of those that wait for it no more than this: each holds a place that others could be served in.
STRANGERS_WAITING_MAX = 16
SECRET_SETTING = "key_secret"  # noqa: S105  (the name of it)
PREFIX = "soma"


@dataclass(frozen=True, slots=True)
class _Seen:
    """A key, and until when it may be relied on."""

    stored: StoredKey
    until: float


class Keyring:
    """Finds keys, and checks tokens against them.

    A token is `soma_<id>_<secret>`; the store keeps HMAC-SHA256(key secret, token). The key secret
    is the one that was configured, or else one that is made once and kept in the store.
    """

    def __init__(
        self,
        store: CanonicalStore,
        elapsed: Callable[[], float],
        new_secret: Callable[[], str],
        *,
        configured_secret: str | None,
    ) -> None:
        """`elapsed` returns seconds from any fixed moment, `new_secret` text nobody can guess."""
        self._store = store
        self._elapsed = elapsed
        self._new_secret = new_secret
        self._secret = configured_secret
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        # Apart from the keys, which ids that somebody makes up must not push out.
        self._strangers: OrderedDict[str, float] = OrderedDict()
        self._stranger_asks = asyncio.Semaphore(STRANGERS_AT_ONCE)
        self._strangers_inside = 0
        self._exist = False
        self._none_until = float("-inf")

    async def find(self, id: str) -> StoredKey | None:
        """Return a key as it was at most three seconds ago."""
        seen = self._seen.get(id)
        if seen is None:
            return await self._find_stranger(id)
        if self._elapsed() < seen.until:
            return seen.stored
        return await self._ask(id)

    async def _find_stranger(self, id: str) -> StoredKey | None:
        """Look for an id that was no key so far: a few at a time, and none twice in a moment.

        Raises `Overloaded` when too many wait already.
        """
        if self._is_strange(id):
            return None
        if self._strangers_inside >= STRANGERS_AT_ONCE + STRANGERS_WAITING_MAX:
            raise Overloaded("too many keys that are not known here are looked up: try again")
        self._strangers_inside += 1
        try:
            async with self._stranger_asks:
                # Others may have asked about the same id while this one waited.
                seen = self._seen.get(id)
                if seen is not None and self._elapsed() < seen.until:
                    return seen.stored
                return None if self._is_strange(id) else await self._ask(id)
        finally:
            self._strangers_inside -= 1

    def _is_strange(self, id: str) -> bool:
        return self._elapsed() < self._strangers.get(id, float("-inf"))

    async def _ask(self, id: str) -> StoredKey | None:
        asked_at = self._elapsed()
        async with self._store.reading() as tx:
            stored = await tx.keys.find(id)
        until = asked_at + FRESH_SECONDS
        if stored is None:
            self._seen.pop(id, None)
            _keep(self._strangers, id, until, STRANGERS_MAX)
        else:
            self._strangers.pop(id, None)
            _keep(self._seen, id, _Seen(stored, until), KEYS_MAX)
        return stored

    async def exist(self) -> bool:
        """Tell whether there ever was a key; known at most three seconds late."""
        if self._exist or self._elapsed() < self._none_until:
            return self._exist
        asked_at = self._elapsed()
        async with self._store.reading() as tx:
            self._exist = await tx.keys.exist()
        self._none_until = asked_at + FRESH_SECONDS
        return self._exist

    async def checked(self, token: str) -> StoredKey | None:
        """Return the key whose token this is, whether or not it still works."""
        id = id_of(token)
        stored = None if id is None else await self.find(id)
        digest = await self.digest(token)
        # Compared also where there is no such key: the answer takes the same time.
        expected = "" if stored is None else stored.digest
        return stored if hmac.compare_digest(digest, expected) else None

    async def digest(self, token: str) -> str:
        """Return the keyed hash of a token in hexadecimal digits."""
        secret = self._secret or await self._kept_secret()
        message = token.encode("utf-8", "surrogatepass")
        return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()

    def changed(self, id: str) -> None:
        """Ask anew about a key that this process has changed or made."""
        self._seen.pop(id, None)
        self._strangers.pop(id, None)
        self._none_until = float("-inf")

    async def _kept_secret(self) -> str:
        """Return the store's own secret; whoever is first makes it, under a lock."""
        async with self._store.reading() as tx:
            kept = await tx.settings.get(SECRET_SETTING)
        if kept is None:
            async with self._store.writing() as tx:
                await tx.fences.take(SECRET_SETTING)
                kept = await tx.settings.get(SECRET_SETTING)
                if kept is None:
                    kept = self._new_secret()
                    await tx.settings.set(SECRET_SETTING, kept)
        self._secret = kept
        return kept


class KeyUsage:
    """When keys were last used, gathered in memory: a request writes nothing."""

    def __init__(self, store: CanonicalStore) -> None:
        self._store = store
        self._used: dict[str, datetime] = {}

    def note(self, key: ApiKey, at: datetime) -> None:
        """Remember that a key was used."""
        self._used[key.id] = at

    async def flush(self) -> int:
        """Write down what was gathered and return 0: the next time is as good as now."""
        gathered: Mapping[str, datetime] = self._used
        self._used = {}
        if not gathered:
            return 0
        try:
            async with self._store.writing() as tx:
                await tx.keys.used(gathered)
        except BaseException:
            self._used = {**gathered, **self._used}
            raise
        return 0


def _keep(kept: OrderedDict[str, T], id: str, value: T, limit: int) -> None:
    """Note the latest; the one that was noted longest ago leaves."""
    kept[id] = value
    kept.move_to_end(id)
    if len(kept) > limit:
        kept.popitem(last=False)


def token_of(id: str, secret: str) -> str:
    """Write a token."""
    return f"{PREFIX}_{id}_{secret}"


def id_of(token: str) -> str | None:
    """Return the public part of a token, None for what is no token."""
    prefix, _, rest = token.partition("_")
    id, separator, _ = rest.partition("_")
    return id if prefix == PREFIX and separator and id.isascii() and id.isalnum() else None
