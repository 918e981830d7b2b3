"""What runs beside the serving of requests ends with it."""

from __future__ import annotations

import asyncio
from typing import Any

import container


async def test_a_lost_cancellation_does_not_hold_up_the_end(monkeypatch: Any) -> None:
    """As `asyncio.wait_for` loses one before Python 3.12, when it comes together with an answer."""
    monkeypatch.setattr(container, "_CANCELLED_AGAIN_SECONDS", 0.01)
    lost = asyncio.Event()
    log: Any = None

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost.set()
        await asyncio.Event().wait()

    async def serve() -> None:
        async with container._beside(work, log):
            await asyncio.sleep(0)

    served = asyncio.create_task(serve())
    # Not by a timeout around it: that cancels, and so would end what must end by itself.
    done, _ = await asyncio.wait({served}, timeout=10)
    served.cancel()

    assert lost.is_set()
    assert served in done
