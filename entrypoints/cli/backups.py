"""The commands that back a store up and put a backup in its place."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from entrypoints.cli.client import connected
from entrypoints.cli.ending import ended_in_order
from entrypoints.cli.failure import Failure
from entrypoints.cli.ownership import opened
from entrypoints.cli.printing import say, show_json
from entrypoints.cli.watching import cancelled_with_us, progress, result_of

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from application.jobs.progress import Progress
    from container import Container
    from domain.backup import Manifest

ACTOR = "local"


async def backup(options: argparse.Namespace) -> int:
    """Copy the whole store to a new folder, or verify such a copy."""
    if options.verify is not None:
        return await _verify(options)
    return await ended_in_order(_make(options))


async def _make(options: argparse.Namespace) -> int:
    path = options.to.absolute()
    if options.settings.url is not None and options.data is None:
        raise Failure("a backup is made where the data is: run soma backup there, without --url")
    if options.settings.profile == "server":
        result = await _of_a_server(options, path)
    else:
        async with connected(options) as api:
            job = await api.send("POST", "/v1/maintenance/backup", repeatable=False, to=str(path))
            async with cancelled_with_us(api, job):
                result = await result_of(api, job)
    _show(options, result, "backed up")
    return 0


async def restore(options: argparse.Namespace) -> int:
    """Make the store what a backup holds, and erase again what was erased since."""
    from container import build

    settings = options.settings
    if settings.url is not None and options.data is None:
        raise Failure("a backup is restored where the data is: run soma restore there")
    if settings.profile == "server":
        result = await _restored(options, build(settings))
    else:
        async with opened(settings) as directory:
            directory.alone()
            result = await _restored(options, build(settings))
    _show(options, result, "restored")
    if not options.json and result["erased"]:
        say(f"erased again: {result['erased']} that were erased after the backup was made")
    return 0


async def _verify(options: argparse.Namespace) -> int:
    from container import build

    with progress() as bars:
        bars.add_task("verifying", total=None)
        manifest = await build(options.settings).verify_backup()(options.verify)
    _show(options, _summary(options.verify, manifest), "good:")
    return 0


async def _of_a_server(options: argparse.Namespace, path: Path) -> Mapping[str, object]:
    """Make the backup in this process: this is the machine that the path is on."""
    from container import build, opened
    from domain.job import Job, JobKind

    container = build(options.settings)
    async with opened(container):
        now = container.now()()
        job = Job(
            id=container.new_id()(),
            kind=JobKind.BACKUP,
            parameters={"to": str(path)},
            requested_by=ACTOR,
            attached=True,
            created_at=now,
            not_before=now,
        )
        run = container.run_jobs()
        watched = await run.begin(job)
        with progress() as bars:
            steps = _Shown(watched, bars, bars.add_task("backup", total=None))

            async def work() -> Mapping[str, object]:
                return _summary(path, await container.backup()(path, name=job.id, steps=steps))

            return (await run.through(work(), watched)).result or {}


class _Shown:
    """The steps of a job, shown on the terminal as well."""

    place: str | None = None
    done = 0

    def __init__(self, steps: Progress, bars: Bars, task: TaskID) -> None:
        self._steps, self._bars, self._task = steps, bars, task

    async def keep(self, place: str | None, *, done: int, total: int | None = None) -> None:
        self._bars.update(self._task, completed=done, total=total)
        await self._steps.keep(place, done=done, total=total)

    async def renew(self) -> None:
        await self._steps.renew()


async def _restored(options: argparse.Namespace, container: Container) -> dict[str, object]:
    from container import opened

    own = options.settings.ledger_file
    others = [path for path in options.ledgers if own is None or path.resolve() != own.resolve()]
    for path in others:
        if not path.is_file():
            raise Failure(f"there is no ledger {path}")
    with progress() as bars:
        bars.add_task("restoring", total=None)
        manifest = await container.restore()(
            options.source,
            replace=options.replace,
            ledgers=[container.ledger_at()(path) for path in others],
        )
        async with opened(container):
            await container.open_language()()
            erased = await container.finish_restore()()
    return {**_summary(options.source, manifest), "erased": erased}


def _summary(path: Path, manifest: Manifest) -> dict[str, object]:
    from application.jobs.handling import summary

    return summary(path, manifest)


def _show(options: argparse.Namespace, result: Mapping[str, object], what: str) -> None:
    if options.json:
        show_json(result)
        return
    counts = result["counts"]
    memories = counts["memories"] if isinstance(counts, Mapping) else 0
    say(f"{what} {result['path']}: {memories} memories, {result['bytes']} bytes")
