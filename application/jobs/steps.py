"""What long work tells whoever watches it, and where it goes on after an interruption."""

from __future__ import annotations

from typing import Protocol


class Steps(Protocol):
    """The places that a run of long work passes."""

    @property
    def place(self) -> str | None:
        """Where an interrupted run stopped; None for a new one."""

    @property
    def done(self) -> int:
        """How much an interrupted run had done."""

    async def keep(self, place: str | None, *, done: int, total: int | None = None) -> None:
        """Note how far the work has come.

        Raises `JobCancelled` when somebody asked for its end, `LockLost` when somebody else goes
        on with it.
        """

    async def renew(self) -> None:
        """Say that the work goes on; raises as `keep` does."""


class Unwatched:
    """Steps that nobody watches: the work is done in one go."""

    place: str | None = None
    done = 0

    async def keep(self, place: str | None, *, done: int, total: int | None = None) -> None:
        """Note nothing."""

    async def renew(self) -> None:
        """Tell nobody."""
