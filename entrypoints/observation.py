"""What the doors are given to tell what they do: counts, lines, traces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from domain.errors import SomaError

T = TypeVar("T")

Labels = tuple[str, ...]
#: What ended a call: the type of its error, None when there was none.
Ending = type[BaseException] | None


class Timing(Protocol):
    """How many calls took up to each bound (and, last, longer), and how long all of them."""

    @property
    def counts(self) -> Sequence[int]:
        """One number per bound and one more."""

    @property
    def seconds(self) -> float:
        """The sum of all durations."""


class Tallies(Protocol):
    """The numbers of this process, by family and label values; the latter are few."""

    @property
    def bounds_seconds(self) -> Sequence[float]:
        """The bounds that durations are sorted by."""

    def timed(self, family: str, labels: Labels, ending: Ending, seconds: float, /) -> None:
        """Note how long one call took and how it ended."""

    def count(self, family: str, labels: Labels = (), times: float = 1, /) -> None:
        """Note that something happened."""

    def timings(self, family: str, /) -> Sequence[tuple[Labels, Ending, Timing]]:
        """Return every series of a family of timings."""

    def counts(self, family: str, /) -> Mapping[Labels, float]:
        """Return every series of a family of counts."""

    def levels(self, family: str, /) -> Mapping[Labels, float]:
        """Return the levels of a family that are recent enough to be believed."""


class Log(Protocol):
    """Lines about what happened, never about what was said."""

    def __call__(self, error: SomaError, /) -> None:
        """Report what background work could not do and will try again."""

    def failed(self, event: str, error: BaseException, /, **facts: str) -> None:
        """Report what should not have happened: its place, not its words."""

    def done(self, event: str, /, **facts: str | float | None) -> None:
        """Tell in one line what was done."""

    def about(self, **facts: str) -> AbstractContextManager[None]:
        """Let every line that is written in the block carry these facts."""

    @property
    def tells_what_is_done(self) -> bool:
        """Tell whether such lines are written at all."""


class Tracing(Protocol):
    """Traces, which may be off."""

    def traceparent(self, given: str | None, /) -> str | None:
        """Return the `traceparent` of the span we are in, else the given one."""

    def grpc_interceptors(self) -> list[Any]:
        """Return what makes a span around each call of a gRPC server."""

    def served(self, app: T, /) -> T:
        """Return an ASGI app with a span around each request."""
