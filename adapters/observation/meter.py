"""Times calls, and makes spans of them while traces are on: around business code, never inside."""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast

from adapters.observation.tallies import Labels, Tallies

P = ParamSpec("P")
T = TypeVar("T")
Called = TypeVar("Called", bound=Callable[..., Any])

USE_CASES = "use_case"


class SpanMaker(Protocol):
    """Makes spans; there is none while traces are off."""

    def within(self, name: str, /) -> AbstractContextManager[object]:
        """Do what the block does inside of a span."""


class Meter:
    """Writes down how long calls take and how they end."""

    def __init__(self, tallies: Tallies) -> None:
        self.tallies = tallies
        self.spans: SpanMaker | None = None

    async def timed(
        self,
        family: str,
        labels: Labels,
        call: Callable[P, Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what the call returns; raise what it raises."""
        spans = self.spans
        started = time.perf_counter()
        try:
            if spans is None:
                answer = await call(*args, **kwargs)
            else:
                with spans.within(".".join(labels)):
                    answer = await call(*args, **kwargs)
        except BaseException as error:
            self.tallies.timed(family, labels, type(error), time.perf_counter() - started)
            raise
        self.tallies.timed(family, labels, None, time.perf_counter() - started)
        return answer


@dataclass(frozen=True, slots=True)
class _Observed(Generic[P, T]):
    """A use case that is timed; what else it offers than a call is passed through."""

    name: str
    use_case: Callable[P, Awaitable[T]]
    meter: Meter

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        return self.meter.timed(USE_CASES, (self.name,), self.use_case, *args, **kwargs)

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self.use_case, attribute)


@dataclass(frozen=True, slots=True)
class _ObservedStream(Generic[P, T]):
    """A use case that answers bit by bit: timed until the last one, or until nobody wants more."""

    name: str
    use_case: Callable[P, AsyncGenerator[T]]
    meter: Meter

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        started = time.perf_counter()
        ending: type[BaseException] | None = None
        try:
            # Closed at once when nobody wants more: it may hold a transaction or a subscription.
            async with aclosing(self.use_case(*args, **kwargs)) as answer:
                async for item in answer:
                    yield item
        except GeneratorExit:
            raise
        except BaseException as error:
            ending = type(error)
            raise
        finally:
            seconds = time.perf_counter() - started
            self.meter.tallies.timed(USE_CASES, (self.name,), ending, seconds)


def observed(name: str, use_case: Called, meter: Meter) -> Called:
    """Return the use case with every call of it timed and, while traces are on, a span."""
    if inspect.iscoroutinefunction(type(use_case).__call__):
        return cast("Called", _Observed(name, use_case, meter))
    return cast("Called", _ObservedStream(name, use_case, meter))
