"""The client of redis-py, set so that deadlines and second attempts are the caller's business."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from adapters.redis.failures import is_unknown_script, troubles
from domain.errors import ConfigurationError

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster

    Client: TypeAlias = Redis | RedisCluster

_CLUSTER = "+cluster://"
_CONNECTIONS_MAX = 64


def client_of(url: str) -> Client:
    """Make a client without calling the server.

    Raises `ConfigurationError` for a URL that cannot be used.
    """
    # redis takes over 0.3 s to import: only a process that has a server pays for it.
    from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as Disconnected

    # A connection that the server has closed is made anew at once; silence is not tried again.
    retry = Retry(NoBackoff(), 1, (Disconnected,))
    try:
        if _CLUSTER in url:
            return RedisCluster.from_url(
                url.replace(_CLUSTER, "://", 1),
                max_connections=_CONNECTIONS_MAX,
                retry=retry,
                socket_timeout=None,
                protocol=2,
            )
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS_MAX,
            timeout=None,
            retry=retry,
            socket_timeout=None,
            protocol=2,
            driver_info=None,
        )
    except ValueError as error:
        # The library's message names the URL, which may hold a password.
        raise ConfigurationError("the Redis URL cannot be used") from error
    return Redis.from_pool(pool)


@dataclass(frozen=True)
class Script:
    """A program that the server runs as one step."""

    text: str

    @cached_property
    def digest(self) -> str:
        """What the server knows the script by."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, client: Client, key: str, *arguments: str | int) -> object:
        """Run it on one key; a server that has not seen it, or has forgotten it, gets the text."""
        try:
            return await client.execute_command("EVALSHA", self.digest, 1, key, *arguments)
        except troubles() as error:
            if not is_unknown_script(error):
                raise
        return await client.execute_command("EVAL", self.text, 1, key, *arguments)
