"""What every compared system has to do: the one Protocol that the adapters here fulfil."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from benchmarks.comparison.shapes import Keep, Shape
from benchmarks.comparison.workload import Item, Question

#: The way of asking that all systems have: nearest by the given vector.
BY_VECTOR = "vector"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a system keeps its data, and how much it will be."""

    folder: Path
    postgres_url: str | None
    shape: Shape


class System(Protocol):
    """A memory for agents. Made by `build(place)` of its module; everything else after `open`."""

    #: Whether the memories outlive the process.
    durable: ClassVar[bool]
    #: Whether a call holds its thread until it is done: then each client has a thread.
    blocking: ClassVar[bool]
    #: How it can be asked; `BY_VECTOR` is always one of them.
    ways: ClassVar[tuple[str, ...]]
    #: Whether `load` is faster than `store_batch`.
    has_loader: ClassVar[bool]

    async def open(self) -> None:
        """Open what is in the place, or make it."""

    async def store_batch(self, items: Sequence[Item], /) -> None:
        """Store all and return once they are safe and can be recalled."""

    async def store_one(self, item: Item, /) -> None:
        """Store one in the same sense."""

    async def load(self, items: Sequence[Item], /) -> None:
        """Bring memories in past the interface, where that takes too long to be waited for.

        What is recalled afterwards is the same. It is never counted as storing.
        """

    async def settle(self) -> None:
        """Do what its operator would do once after a large load."""

    async def recall(
        self, question: Question, keep: Keep | None, /, *, way: str, k: int
    ) -> list[str]:
        """Return what the system calls the best `k` memories of the namespace, best first."""

    async def numbers(self, names: Sequence[str], /) -> list[int]:
        """Return which memories these names stand for; this is not part of any measure."""

    def disk_bytes(self) -> int:
        """Return what it occupies on disk; 0 for none."""

    def process_ids(self) -> list[int]:
        """Return the processes whose memory is this system's."""

    async def close(self) -> None:
        """Close everything."""


def folder_bytes(folder: Path) -> int:
    """Return the space that the files of a folder occupy."""
    blocks = sum(path.lstat().st_blocks for path in folder.rglob("*") if path.is_file())
    return 512 * blocks
