"""Rate limits that hold across replicas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from adapters.redis.client import Script
from adapters.redis.server import RedisServer
from domain.errors import CacheUnavailable
from domain.ports import Allowance, RateLimiter

if TYPE_CHECKING:
    from adapters.redis.client import Client

#: The window is cut into this many slots, so that it closes with at most 1/16 of it as delay.
_SLOTS = 16

# A hash of calls per slot of the server's clock. Every slot that touches the last window counts in
# full: slots now - 16 to now, which cover it whole. So no window of that length, wherever it
# begins, holds more than `limit` granted calls.
_TAKE = Script(
    """
    local limit, slot_us, slots = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
    local calls = tonumber(ARGV[4])
    local time = redis.call('TIME')
    local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
    local now = math.floor(now_us / slot_us)

    local counts, used = {}, 0
    local stored = redis.call('HGETALL', KEYS[1])
    for i = 1, #stored, 2 do
        local slot, count = tonumber(stored[i]), tonumber(stored[i + 1])
        if slot < now - slots or slot > now then  -- beyond now: the clock was set back
            redis.call('HDEL', KEYS[1], stored[i])
        else
            counts[slot] = count
            used = used + count
        end
    end

    local granted = used + calls <= limit
    if granted then
        redis.call('HINCRBY', KEYS[1], string.format('%.0f', now), calls)
        redis.call('PEXPIRE', KEYS[1], math.ceil((slots + 1) * slot_us / 1000))
        counts[now] = (counts[now] or 0) + calls
        used = used + calls
    end

    local reset, left = now + slots + 1, used
    for slot = now - slots, now do
        left = left - (counts[slot] or 0)
        if left < math.min(used, limit) then
            reset = slot + slots + 1
            break
        end
    end
    return {granted and 1 or 0, math.max(0, limit - used), reset * slot_us - now_us}
    """
)


class RedisRateLimiter:
    """Counts on the server; where it cannot be asked, `fallback` counts in its place."""

    def __init__(self, server: RedisServer, fallback: RateLimiter) -> None:
        self._server = server
        self._fallback = fallback

    async def take(
        self, key: str, /, *, limit: int, window_seconds: float, calls: int = 1
    ) -> Allowance:
        """Count calls, all or none, unless they exceed `limit` in any window of that length.

        A call counts for its window and up to 1/16 longer. Refused calls do not count.
        """
        slot_us = max(1, math.ceil(window_seconds * 1_000_000 / _SLOTS))
        name = self._server.key("limit", f"{slot_us}:{key}")

        async def question(client: Client) -> object:
            return await _TAKE.run(client, name, limit, slot_us, _SLOTS, calls)

        try:
            answer = await self._server.ask(question)
        except CacheUnavailable:
            return await self._fallback.take(
                key, limit=limit, window_seconds=window_seconds, calls=calls
            )
        match answer:
            case [int(granted), int(remaining), int(reset_us)]:
                return Allowance(granted == 1, limit, remaining, reset_us / 1_000_000)
        raise TypeError(f"the script answered {answer!r}")
