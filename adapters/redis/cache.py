"""The cache that every replica shares."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from adapters.redis.server import RedisServer
from domain.errors import CacheUnavailable

if TYPE_CHECKING:
    from adapters.redis.client import Client

_SEAL_BYTES = 16
#: A question has one deadline. This takes 70 ms at 1 Gbit/s.
_QUESTION_BYTES_MAX = 8 * 1024 * 1024


class RedisCache:
    """Keeps values for `ttl_seconds`; none larger than `value_bytes_max`.

    So many values are asked for in one round trip as could make up 8 MiB (64 by default).
    Each value carries a digest of its key and itself. What is not whole, or was never stored
    under that key, counts as absent. No method raises: without a server there is nothing kept.
    """

    def __init__(
        self,
        server: RedisServer,
        *,
        ttl_seconds: float = 3600.0,
        value_bytes_max: int = 128 * 1024,
    ) -> None:
        self._server = server
        self._ttl_ms = max(1, round(ttl_seconds * 1000))
        self._value_bytes_max = value_bytes_max
        self._keys_max = max(1, _QUESTION_BYTES_MAX // max(1, value_bytes_max))

    async def get(self, key: str, /) -> bytes | None:
        """Return the value if it is still there."""
        return (await self.get_many([key])).get(key)

    async def put(self, key: str, value: bytes, /) -> None:
        """Keep the value; one that is too large is not kept."""
        await self.put_many({key: value})

    async def get_many(self, keys: Sequence[str], /) -> dict[str, bytes]:
        """Return those values that are still there."""
        found: dict[str, bytes] = {}
        for some in _batches(keys, self._keys_max):
            try:
                answers = await self._each([("GET", self._name(key)) for key in some])
            except CacheUnavailable:
                break
            for key, sealed in zip(some, answers, strict=True):
                value = _opened(key, sealed)
                if value is not None:
                    found[key] = value
        return found

    async def put_many(self, values: Mapping[str, bytes], /) -> None:
        """Keep the values; those that are too large are not kept."""
        kept = {key: value for key, value in values.items() if len(value) <= self._value_bytes_max}
        for some in _batches(kept, self._keys_max):
            commands = [
                ("SET", self._name(key), _seal(key, kept[key]) + kept[key], "PX", self._ttl_ms)
                for key in some
            ]
            try:
                await self._each(commands)
            except CacheUnavailable:
                break

    async def drop(self, keys: Sequence[str], /) -> bool:
        """Remove values; False when the server could not be asked, or not about all of them."""
        for some in _batches(keys, self._keys_max):
            try:
                await self._each([("UNLINK", self._name(key)) for key in some])
            except CacheUnavailable:
                return False
        return True

    async def _each(self, commands: Sequence[tuple[str | bytes | int, ...]]) -> list[object]:
        """Ask several things about one key each; in a cluster the keys live on many nodes."""

        async def question(client: Client) -> list[object]:
            pipeline = client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            answers: list[object] = await pipeline.execute()
            return answers

        return await self._server.ask(question)

    def _name(self, key: str) -> str:
        return self._server.key("value", key)


def _seal(key: str, value: bytes) -> bytes:
    digest = hashlib.blake2b(key.encode(), digest_size=_SEAL_BYTES)
    digest.update(b"\0")
    digest.update(value)
    return digest.digest()


def _opened(key: str, sealed: object) -> bytes | None:
    if not isinstance(sealed, bytes):
        return None
    value = sealed[_SEAL_BYTES:]
    return value if sealed[:_SEAL_BYTES] == _seal(key, value) else None


def _batches(keys: Iterable[str], keys_max: int) -> Iterator[list[str]]:
    remaining = iter(dict.fromkeys(keys))
    while some := list(islice(remaining, keys_max)):
        yield some
