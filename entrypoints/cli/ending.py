"""How a command ends that is told to stop: in order, so that it leaves nothing half done."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine

_TOLD_TO_STOP = (signal.SIGTERM, signal.SIGHUP)


async def ended_in_order(command: Coroutine[None, None, int]) -> int:
    """Run a command; SIGTERM and SIGHUP interrupt it as Ctrl-C does, a second one at once.

    Returns its exit code, or 128 and the number of the signal. A signal that is ignored, as under
    `nohup`, stays ignored. Not for a command that waits for input: a thread that reads holds it up.
    """
    if threading.current_thread() is not threading.main_thread():
        return await command
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    told: list[int] = []

    def stop(number: int) -> None:
        told.append(number)
        loop.remove_signal_handler(number)
        task.cancel()

    handled = [number for number in _TOLD_TO_STOP if signal.getsignal(number) == signal.SIG_DFL]
    for number in handled:
        loop.add_signal_handler(number, stop, number)
    try:
        return await command
    except asyncio.CancelledError:
        if not told:
            raise
        return 128 + told[0]
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
