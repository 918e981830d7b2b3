"""Watch long work on a terminal: bars on standard error, and nothing elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

from domain.errors import SomaError
from entrypoints.cli.client import Api, Json
from entrypoints.cli.failure import Failure
from entrypoints.cli.printing import note, one_line

if TYPE_CHECKING:
    from rich.progress import Progress

POLL_SECONDS_MIN = 0.02
POLL_SECONDS_MAX = 1.0
CANCELLING_SECONDS = 5.0


async def result_of(api: Api, job: Json) -> Json:
    """Watch a job until it is over and return its result; a failed one is a `Failure`.

    What goes wrong and is tried again is said at once: nobody should wait for it unknowingly.
    """
    with progress() as bars:
        task = bars.add_task(str(job["kind"]), total=None)
        pause = POLL_SECONDS_MIN
        told = 0
        while job["finished_at"] is None:
            await asyncio.sleep(pause)
            pause = min(pause * 2, POLL_SECONDS_MAX)
            job = await api.get(f"/v1/jobs/{job['id']}")
            bars.update(task, total=job["total"], completed=job["done"])
            if job["error"] and job["finished_at"] is None and job["attempts"] > told:
                told = job["attempts"]
                _tell(bars, f"attempt {told} failed, another follows: {job['error']}")
    if job["state"] != "succeeded":
        raise Failure(job["error"] or f"the job {job['id']} was {job['state']}")
    result: Json = job["result"] or {}
    return result


@asynccontextmanager
async def cancelled_with_us(api: Api, job: Json) -> AsyncIterator[None]:
    """Cancel a job that is of no use to anybody else when the command is interrupted."""
    try:
        yield
    except asyncio.CancelledError:
        # Who does not answer cannot be told: the job may go on there.
        with suppress(Failure, SomaError, TimeoutError):
            async with asyncio.timeout(CANCELLING_SECONDS):
                await api.send("DELETE", f"/v1/jobs/{job['id']}")
                note(f"the {job['kind']} is cancelled")
        raise


def _tell(bars: Progress, text: str) -> None:
    """Say something beside the bars."""
    from rich.text import Text

    bars.console.print(Text(one_line(text)), soft_wrap=True)


@contextmanager
def progress() -> Iterator[Progress]:
    """Show progress on a terminal's standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bars:
        yield bars
