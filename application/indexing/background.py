"""Compute waiting vectors for as long as the process lives, also those an earlier process left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from application.indexing.indexer import Indexer
from application.indexing.switching import SwitchModel
from domain.errors import SomaError
from domain.ports import EventBus

CHUNK = 64
IDLE_SECONDS = 30.0
RETRY_SECONDS_MAX = 60.0


@dataclass(frozen=True, kw_only=True)
class BackgroundIndexing:
    """Drain the queue of missing vectors; woken by the bus, and now and then by itself."""

    indexer: Indexer
    switch: SwitchModel
    bus: EventBus
    report: Callable[[SomaError], None]

    async def __call__(self) -> None:
        """Run until cancelled; what fails is reported and tried again, ever more slowly."""
        patience = 1.0
        async with self.bus.subscribe(None) as wakeups:
            while True:
                try:
                    while await self.indexer.drain(limit=CHUNK):
                        patience = 1.0
                        # While much is written something always waits to be computed.
                        await self.switch()
                    await self.switch()
                    seconds = IDLE_SECONDS
                except SomaError as error:
                    self.report(error)
                    seconds = patience
                    patience = min(patience * 2, RETRY_SECONDS_MAX)
                try:
                    # Not wait_for: in Python 3.11 it can swallow a cancellation.
                    async with asyncio.timeout(seconds):
                        await anext(wakeups)
                except TimeoutError:
                    continue
