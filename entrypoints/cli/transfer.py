"""The commands that move many memories: import and export, streamed."""

from __future__ import annotations

import argparse
import asyncio
import codecs
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from entrypoints.cli.client import Api, connected
from entrypoints.cli.failure import Failure
from entrypoints.cli.memories import namespace_of
from entrypoints.cli.partial import Kept, kept_of
from entrypoints.cli.printing import note, safe, say, show_json, written
from entrypoints.cli.watching import progress

if TYPE_CHECKING:
    from rich.progress import Progress

CHUNK_BYTES = 256 * 1024
POLL_SECONDS = 0.2
STALLED_SECONDS = 30.0
ERRORS_SHOWN_MAX = 20


async def import_file(options: argparse.Namespace) -> int:
    """Load NDJSON; bad lines are reported with their number and the rest is loaded."""
    job = options.resume or secrets.token_hex(16)
    async with connected(options) as api:
        with _source(options.file) as (file, size), progress() as bars:
            lines = _chunks(file, size, bars)
            try:
                report = await api.upload(
                    "/v1/import", lines, wait=options.wait or "stored", job=job
                )
            except Failure as failure:
                raise Failure(f"{failure} (--resume {job} goes on)") from failure
            if options.wait is None and api.embedded and options.settings.embedder != "none":
                await _until_embedded(api, bars)
        if options.json:
            show_json(report)
        else:
            say(f"imported {report['imported']}, skipped {report['skipped']}")
            for error in report["errors"][:ERRORS_SHOWN_MAX]:
                note(f"line {error['line']}: {error['detail']}")
            more = len(report["errors"]) - ERRORS_SHOWN_MAX
            if more > 0:
                note(f"and {more} more lines (--json lists them)")
    return 1 if report["errors"] else 0


async def export_file(options: argparse.Namespace) -> int:
    """Write NDJSON; the file appears whole or not at all."""
    parameters = {
        **namespace_of(options),
        "scope": options.scope,
        "vectors": options.vectors,
    }
    async with connected(options) as api:
        if options.file == "-":
            write = _output()
            async for chunk in api.download("/v1/export", **parameters):
                write(chunk)
            return 0
        lines = await _save(api, Path(options.file), parameters, resume=options.resume)
        if options.json:
            show_json({"file": options.file, "lines": lines})
        else:
            say(f"exported {lines} lines to {options.file}")
    return 0


async def _save(api: Api, path: Path, parameters: dict[str, object], *, resume: bool) -> int:
    """Write beside `path` and move it into place; return the number of lines.

    What the server broke off stays beside it, to be gone on with.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        begun = await asyncio.to_thread(kept_of, partial) if resume else Kept()
        lines = begun.lines
        with partial.open("r+b" if begun.bytes else "wb") as file, progress() as bars:
            file.seek(begun.bytes)
            file.truncate()
            task = bars.add_task("exporting", total=None)
            async for chunk in api.download("/v1/export", **parameters, after=begun.after):
                await asyncio.to_thread(file.write, chunk)
                lines += chunk.count(b"\n")
                bars.update(task, completed=lines)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise Failure(f"cannot write {path}: {error.strerror}") from error
    except Failure as failure:
        if not partial.stat().st_size:
            partial.unlink()
            raise
        raise Failure(f"{failure} (--resume goes on with {partial})") from failure
    return lines


async def _until_embedded(api: Api, bars: Progress) -> None:
    """Wait until everything is found by its meaning: a command that ends embeds no more.

    A backlog that does not shrink for a while is left to the next owner of the directory.
    """
    total = pending = await _pending(api)
    task = bars.add_task("embedding", total=total, visible=total > 0)
    moved_at = time.monotonic()
    while pending and time.monotonic() - moved_at < STALLED_SECONDS:
        await asyncio.sleep(POLL_SECONDS)
        before, pending = pending, await _pending(api)
        if pending != before:
            moved_at = time.monotonic()
        bars.update(task, completed=max(total - pending, 0))
    if pending:
        note(f"{pending} vectors are still missing: until then they are found by their words")


async def _pending(api: Api) -> int:
    return int((await api.get("/v1/stats/pending"))["pending"])


async def _chunks(file: IO[bytes], size: int | None, bars: Progress) -> AsyncIterator[bytes]:
    """Read a file of `size` bytes (None: a pipe) piece by piece, off the event loop."""
    task = bars.add_task("importing", total=size)
    while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
        yield chunk
        bars.advance(task, len(chunk))


@contextmanager
def _source(name: str) -> Iterator[tuple[IO[bytes], int | None]]:
    """Open what is imported and tell its size in bytes, where it has one."""
    if name == "-":
        yield sys.stdin.buffer, None
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 - closed below, and opening fails by itself
    except OSError as error:
        raise Failure(f"cannot read {name}: {error.strerror}") from error
    with file:
        yield file, Path(name).stat().st_size or None


def _output() -> Callable[[bytes], object]:
    """Return what writes to standard output: as it is, but harmless on a terminal."""
    if not sys.stdout.isatty():
        return written()(sys.stdout.buffer.write)
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    return written()(lambda chunk: sys.stdout.write(safe(decoder.decode(chunk))))
