"""Locks for jobs, shared by every worker."""

from __future__ import annotations

import math

from adapters.redis.client import Script
from adapters.redis.server import RedisServer
from domain.errors import CacheUnavailable

_ACQUIRE = Script(
    """
    if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return 1
    """
)
_RELEASE = Script(
    """
    if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
    return 1
    """
)


class RedisLocks:
    """A lock is a key with its owner as value; it ends by itself when it is not renewed.

    A server that is away, emptied or replaced lets two owners work at once. Fencing tokens in the
    canonical store decide between them (`domain.ports.Fences`).
    """

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    async def acquire(self, name: str, owner: str, /, *, ttl_seconds: float) -> bool:
        """Take a free lock, or renew one's own; granted where nobody can be asked."""
        ttl_ms = max(1, math.ceil(ttl_seconds * 1000))
        key = self._server.key("lock", name)
        try:
            return (
                await self._server.ask(lambda client: _ACQUIRE.run(client, key, owner, ttl_ms)) == 1
            )
        except CacheUnavailable:
            return True

    async def release(self, name: str, owner: str, /) -> None:
        """Give the lock back if it is still one's own; unreleased it ends with its time."""
        key = self._server.key("lock", name)
        try:
            await self._server.ask(lambda client: _RELEASE.run(client, key, owner))
        except CacheUnavailable:
            return
