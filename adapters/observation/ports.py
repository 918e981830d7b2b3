"""Adapters as their users see them, with every call timed.

One generic wrapper serves every port: the class it makes for an adapter has the adapter's own
coroutine methods, and passes everything else through.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import cache
from types import TracebackType
from typing import Any, TypeVar, cast

from adapters.observation.meter import Meter
from adapters.observation.tallies import Tallies
from domain.ports import Allowance, Cache, RateLimiter, Transaction

Port = TypeVar("Port")

ADAPTERS = "adapter"
HITS = "cache_hits"
MISSES = "cache_misses"
REFUSALS = "rate_limit_refusals"
#: What the repositories of a transaction are called there.
_GROUPS = frozenset(Transaction.__annotations__)


def watched(port: Port, name: str, meter: Meter) -> Port:
    """Return an adapter with its calls timed under the name of what it is used as."""
    return cast("Port", _timed_class(_kind(port), _Timed)(port, name, "", meter))


def watched_store(store: Port, meter: Meter) -> Port:
    """Return a canonical store with its transactions timed, and what is done in them."""
    return cast("Port", _timed_class(_kind(store), _TimedStore)(store, "store", "", meter))


class _Timed:
    """Stands before an adapter; `prefix` begins the name of each of its operations."""

    def __init__(self, port: object, name: str, prefix: str, meter: Meter) -> None:
        self._port = port
        self._name = name
        self._prefix = prefix
        self._meter = meter

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._port, attribute)


def _kind(port: object) -> Hashable:
    return cast("Hashable", type(port))


@cache
def _timed_class(adapter: Hashable, base: type[_Timed]) -> type[_Timed]:
    methods = {
        name: _timed_method(name)
        for name, _ in inspect.getmembers(adapter, inspect.iscoroutinefunction)
        if not name.startswith("_") and not hasattr(base, name)
    }
    return type("Timed", (base,), methods)


def _timed_method(name: str) -> Callable[..., Awaitable[Any]]:
    def method(self: _Timed, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        labels = (self._name, self._prefix + name)
        call = getattr(self._port, name)
        return self._meter.timed(ADAPTERS, labels, call, *args, **kwargs)

    return method


class _TimedStore(_Timed):
    def reading(self) -> AbstractAsyncContextManager[Transaction]:
        return _TimedBlock(self._port.reading(), "read", self._meter)  # type: ignore[attr-defined]

    def writing(self) -> AbstractAsyncContextManager[Transaction]:
        return _TimedBlock(self._port.writing(), "write", self._meter)  # type: ignore[attr-defined]


class _TimedBlock:
    """A transaction from the wait for it to its end."""

    __slots__ = ("_block", "_meter", "_operation", "_span", "_started")

    def __init__(
        self, block: AbstractAsyncContextManager[Transaction], operation: str, meter: Meter
    ) -> None:
        self._block = block
        self._operation = operation
        self._meter = meter
        self._span: AbstractContextManager[object] | None = None
        self._started = 0.0

    async def __aenter__(self) -> Transaction:
        spans = self._meter.spans
        if spans is not None:
            self._span = spans.within(f"store.{self._operation}")
            self._span.__enter__()
        self._started = time.perf_counter()
        try:
            transaction = await self._block.__aenter__()
        except BaseException as error:
            self._end(type(error), error, error.__traceback__)
            raise
        return cast("Transaction", _TimedTransaction(transaction, self._meter))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        try:
            handled = await self._block.__aexit__(kind, error, trace)
        except BaseException as failure:
            self._end(type(failure), failure, failure.__traceback__)
            raise
        self._end(kind, error, trace)
        return handled

    def _end(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        seconds = time.perf_counter() - self._started
        self._meter.tallies.timed(ADAPTERS, ("store", self._operation), kind, seconds)
        if self._span is not None:
            self._span.__exit__(kind, error, trace)


class _TimedTransaction:
    """A transaction whose repositories are wrapped when they are first used."""

    def __init__(self, transaction: Transaction, meter: Meter) -> None:
        self._transaction = transaction
        self._meter = meter

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._transaction, attribute)
        if attribute not in _GROUPS:
            return value
        group = _timed_class(_kind(value), _Timed)(value, "store", f"{attribute}.", self._meter)
        self.__dict__[attribute] = group
        return group


class CountedCache:
    """Implements `domain.ports.Cache` over another one: counts what was there and what was not."""

    def __init__(self, inner: Cache, name: str, tallies: Tallies) -> None:
        self._inner = inner
        self._labels = (name,)
        self._tallies = tallies

    async def get(self, key: str, /) -> bytes | None:
        """Return the value if it is still there."""
        value = await self._inner.get(key)
        self._tallies.count(MISSES if value is None else HITS, self._labels)
        return value

    async def put(self, key: str, value: bytes, /) -> None:
        """Keep the value."""
        await self._inner.put(key, value)

    async def get_many(self, keys: Sequence[str], /) -> dict[str, bytes]:
        """Return those values that are still there."""
        found = await self._inner.get_many(keys)
        self._tallies.count(HITS, self._labels, len(found))
        self._tallies.count(MISSES, self._labels, len(keys) - len(found))
        return found

    async def put_many(self, values: Mapping[str, bytes], /) -> None:
        """Keep the values."""
        await self._inner.put_many(values)

    async def drop(self, keys: Sequence[str], /) -> bool:
        """Remove values; False when nobody could be asked."""
        return await self._inner.drop(keys)


class CountedLimiter:
    """Implements `domain.ports.RateLimiter` over another one: counts refusals."""

    def __init__(self, inner: RateLimiter, tallies: Tallies) -> None:
        self._inner = inner
        self._tallies = tallies

    async def take(
        self, key: str, /, *, limit: int, window_seconds: float, calls: int = 1
    ) -> Allowance:
        """Count calls."""
        allowance = await self._inner.take(
            key, limit=limit, window_seconds=window_seconds, calls=calls
        )
        if not allowance.granted:
            self._tallies.count(REFUSALS)
        return allowance
