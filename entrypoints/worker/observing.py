"""What the worker tells of its loops: work done, and failures that are tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from domain.errors import SomaError
    from entrypoints.observation import Log, Tallies

#: Loops whose every step is worth a line: others work many times a second.
_TOLD = frozenset({"jobs"})


class Observer:
    """What one loop tells its doings to."""

    def __init__(self, loop: str, tallies: Tallies, log: Log) -> None:
        self._loop = loop
        self._tallies = tallies
        self._log = log

    def done(self, count: int) -> None:
        """Count finished work."""
        self._tallies.count("worker_done", (self._loop,), count)
        if count and self._loop in _TOLD:
            self._log.done("worker.done", loop=self._loop, count=count)

    def failed(self, error: SomaError) -> None:
        """Count and report what will be tried again."""
        self._tallies.count("worker_failures", (self._loop, type(error).__name__))
        self._log(error)
