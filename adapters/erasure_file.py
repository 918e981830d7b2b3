"""The ledger of erasures as a file: a line "<time> <id>" for each, and nothing else.

Lines are appended under a lock and are on the disk before anybody goes on, so any number of
processes may share the file. What a killed process left unfinished is no line.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path

from domain.errors import StoreUnavailable
from domain.memory import MemoryId

_PAGE = 1000
_LINE = re.compile(rb"\S+ ([\x21-\x7e]+)\n")


class ErasureFile:
    """Implements `domain.ports.ErasureLedger`; the file comes into being with the first erasure."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def note(self, ids: Sequence[MemoryId], /, *, at: datetime) -> None:
        """Remember erasures; they are on the disk when this returns."""
        lines = "".join(f"{at.isoformat()} {id}\n" for id in ids).encode()
        try:
            await asyncio.to_thread(_append, self._path, lines)
        except OSError as error:
            raise _unusable(self._path, error) from error

    async def pages(self) -> AsyncIterator[list[MemoryId]]:
        """Iterate over all erased ids, some at a time."""
        lines = _ids(self._path)
        try:
            while page := await asyncio.to_thread(lambda: list(islice(lines, _PAGE))):
                yield page
        except OSError as error:
            raise _unusable(self._path, error) from error


class NoErasureFile:
    """Stands in where none is configured: the rows of the database say what was erased."""

    async def note(self, ids: Sequence[MemoryId], /, *, at: datetime) -> None:
        """Leave it to the rows."""

    async def pages(self) -> AsyncIterator[list[MemoryId]]:
        """Return at once."""
        nothing: list[list[MemoryId]] = []
        for page in nothing:
            yield page


def _append(path: Path, lines: bytes) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        end = file.seek(0, os.SEEK_END)
        if end and os.pread(descriptor, 1, end - 1) != b"\n":
            lines = b"\n" + lines
        while lines:
            lines = lines[file.write(lines) :]
        os.fsync(descriptor)
    if not end:
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _ids(path: Path) -> Iterator[MemoryId]:
    try:
        with path.open("rb") as file:
            for line in file:
                if found := _LINE.fullmatch(line):
                    yield MemoryId(found[1].decode())
    except FileNotFoundError:
        return


def _unusable(path: Path, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(f"the ledger of erasures {path} cannot be used: {error.strerror}")
