"""Run one step of background work again and again, for as long as the process lives."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from domain.errors import SomaError

RETRY_SECONDS_MIN = 0.5
RETRY_SECONDS_MAX = 5.0


@dataclass(frozen=True, kw_only=True)
class Repeating:
    """Repeat `step` while it finds work; then look again every `idle_seconds`.

    What fails is reported and tried again, more slowly up to five seconds: whatever was down is
    used again soon after it returns, without anybody asking. `done` is told what each step did.
    `rest` may come back early, when there is news.
    """

    step: Callable[[], Awaitable[int]]
    idle_seconds: float
    report: Callable[[SomaError], None]
    done: Callable[[int], None]
    rest: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def __call__(self) -> None:
        """Run until cancelled."""
        patience = RETRY_SECONDS_MIN
        while True:
            try:
                count = await self.step()
                self.done(count)
                patience = RETRY_SECONDS_MIN
                pause = 0.0 if count else self.idle_seconds
            except SomaError as error:
                self.report(error)
                pause = patience
                patience = min(patience * 2, RETRY_SECONDS_MAX)
            await self.rest(pause)
