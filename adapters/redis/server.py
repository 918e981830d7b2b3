"""The server that may be away: every question has a deadline, and silence is asked rarely."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from adapters.redis.circuit import Circuit
from adapters.redis.client import client_of
from adapters.redis.failures import first_line, is_demotion, is_refusal, troubles
from domain.errors import CacheUnavailable, SomaError

if TYPE_CHECKING:
    from adapters.redis.client import Client

_Answer = TypeVar("_Answer")

_CLOSING_SECONDS = 1.0
#: How often an error that the server itself gives is worth a line.
_REFUSAL_REPORT_SECONDS = 60.0


class RedisServer:
    """Construct, `open`, use, `close`; shared by everything in a process that uses the server.

    `redis://`, `rediss://` (TLS) and `unix://` name one server, `redis+cluster://` and
    `rediss+cluster://` any node of a cluster. A server that does not answer within
    `timeout_seconds` (twice that where a connection has to be made first) is left alone for
    `pause_seconds`; then one question finds out whether it is back.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "soma:",
        timeout_seconds: float = 0.1,
        pause_seconds: float = 1.0,
        report: Callable[[SomaError], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._prefix = prefix
        self._timeout_seconds = timeout_seconds
        self._report = report
        self._clock = clock
        self._circuit = Circuit(pause_seconds=pause_seconds, clock=clock)
        self._refusal_reported: float | None = None
        self._client: Client | None = None
        self._was_opened = False

    async def open(self) -> None:
        """Prepare the client without calling the server, which may be away.

        Raises `ConfigurationError` for a URL that cannot be used.
        """
        self._client = client_of(self._url)
        self._was_opened = True

    async def close(self) -> None:
        """Close every connection."""
        client, self._client = self._client, None
        if client is not None:
            await _closed(client)

    async def ping(self) -> None:
        """Raise `CacheUnavailable` when the server does not answer."""
        await self.ask(lambda client: client.ping())

    def key(self, kind: str, name: str) -> str:
        """Return the server's name of something."""
        return f"{self._prefix}{kind}:{name}"

    async def ask(self, question: Callable[[Client], Awaitable[_Answer]]) -> _Answer:
        """Return the server's answer.

        Raises `CacheUnavailable` when the server is not asked or does not give one. The first
        failure of an outage is reported, and a refusal once a minute.
        """
        if not self._was_opened:
            # Otherwise a forgotten call would look like an outage that never ends.
            raise RuntimeError("RedisServer.open was not called")
        if self._client is None or not self._circuit.lets_through():
            raise CacheUnavailable("Redis is not asked at present")
        try:
            async with asyncio.timeout(self._deadline_seconds()):
                answer = await question(self._client)
        except troubles() as error:
            if is_demotion(error):
                await self._reconnect()
            raise self._noted(error) from error
        self._circuit.note_answer()
        return answer

    def _deadline_seconds(self) -> float:
        steps = 1 if self._circuit.is_settled else 2
        return steps * self._timeout_seconds

    def _noted(self, error: Exception) -> CacheUnavailable:
        if is_refusal(error):
            # It answers: other questions may do better (a full server still reads).
            self._circuit.note_answer()
            outcome = CacheUnavailable(f"Redis refuses ({first_line(error)})")
            if self._is_worth_reporting_again():
                self._report(outcome)
            return outcome
        outcome = CacheUnavailable(f"Redis does not answer ({first_line(error)})")
        if self._circuit.note_failure():
            self._report(outcome)
        return outcome

    def _is_worth_reporting_again(self) -> bool:
        now = self._clock()
        before = self._refusal_reported
        if before is not None and now - before < _REFUSAL_REPORT_SECONDS:
            return False
        self._refusal_reported = now
        return True

    async def _reconnect(self) -> None:
        # After a failover the name leads to another machine; open connections lead to the old one.
        old, self._client = self._client, client_of(self._url)
        if old is not None:
            await _closed(old)


async def _closed(client: Client) -> None:
    with contextlib.suppress(*troubles()):
        async with asyncio.timeout(_CLOSING_SECONDS):
            await client.aclose()
