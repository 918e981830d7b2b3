"""Watch long work on a terminal: bars on standard error, and nothing elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from entrypoints.cli.client import Api, Json
from entrypoints.cli.failure import Failure

if TYPE_CHECKING:
    from rich.progress import Progress

POLL_SECONDS_MIN = 0.02
POLL_SECONDS_MAX = 1.0


async def result_of(api: Api, job: Json) -> Json:
    """Watch a job until it is over and return its result; a failed one is a `Failure`."""
    with progress() as bars:
        task = bars.add_task(str(job["kind"]), total=None)
        pause = POLL_SECONDS_MIN
        while job["finished_at"] is None:
            await asyncio.sleep(pause)
            pause = min(pause * 2, POLL_SECONDS_MAX)
            job = await api.get(f"/v1/jobs/{job['id']}")
            bars.update(task, total=job["total"], completed=job["done"])
    if job["state"] != "succeeded":
        raise Failure(job["error"] or f"the job {job['id']} was {job['state']}")
    result: Json = job["result"] or {}
    return result


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
