"""Work that must not hold up the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

#: How many threads one search is dealt out to: more would only wait for the same memory.
SHARES = max(1, min(4, os.cpu_count() or 1))


async def in_thread(work: Callable[[], Result]) -> Result:
    """Work in a thread, and let it end even if the caller is cancelled: nobody else may write."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
