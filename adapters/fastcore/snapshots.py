"""The files that large namespaces are kept in beside the store."""

from __future__ import annotations

import asyncio
import os
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from domain.namespace import Namespace

if TYPE_CHECKING:
    from adapters.fastcore.segment import Segment

_PARTIAL = ".partial"
_SUFFIX = ".vectors"


class Snapshots:
    """The files of one directory. `write` and `read` block: call them in a thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._discards: dict[Namespace, int] = {}

    def has(self, namespace: Namespace) -> bool:
        """Tell whether there is a file."""
        return self._path(namespace).exists()

    def turn(self, namespace: Namespace) -> int:
        """Return a number that `discard` changes."""
        return self._discards.get(namespace, 0)

    async def discard(self, namespace: Namespace, /) -> None:
        """Remove a namespace's file; what is being written now will not become one.

        Implements `domain.ports.ContentCopies`: an erasure calls it before and after its commit.
        """
        self._discards[namespace] = self.turn(namespace) + 1
        await asyncio.to_thread(self._path(namespace).unlink, missing_ok=True)

    def tidy(self) -> None:
        """Remove what an earlier process has not finished writing."""
        for left in self._directory.glob(f"*{_PARTIAL}"):
            left.unlink(missing_ok=True)

    def write(self, namespace: Namespace, segment: Segment, turn: int) -> bool:
        """Write a segment without dead rows; False when its content was discarded meanwhile."""
        from adapters.fastcore.snapshot import pieces

        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(namespace)
        partial = path.with_suffix(_PARTIAL)
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces(namespace, segment):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if turn != self.turn(namespace):
            partial.unlink(missing_ok=True)
            return False
        partial.replace(path)
        if turn != self.turn(namespace):
            path.unlink(missing_ok=True)
            return False
        return True

    def read(self, namespace: Namespace, empty: Segment) -> Segment | None:
        """Return what was written of the model of an empty segment, which is filled.

        Anything else is removed, and None returned.
        """
        from adapters.fastcore.snapshot import read

        path = self._path(namespace)
        try:
            return read(path, namespace, empty)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):
            # Cut off, damaged, of an earlier layout: there is nothing to learn from it.
            path.unlink(missing_ok=True)
            return None

    def _path(self, namespace: Namespace) -> Path:
        name = blake2b(namespace.encode(), digest_size=16).hexdigest()
        return self._directory / f"{name}{_SUFFIX}"
