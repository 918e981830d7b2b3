"""Let a call in: its key, its deadline, its trace, what becomes of its errors, what is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import unquote

from application.access.admission import Access, Peer
from application.access.guarded import Guarded
from application.access.permits import RULES, Operation
from application.access.seats import Kind, Seat, Seats
from application.tracing import traced
from domain.access import Permission, Principal
from domain.errors import SomaError
from entrypoints.credentials import API_KEY, AUTHORIZATION, is_loopback, token_of
from entrypoints.errors import outcome_of
from entrypoints.grpc.refusals import internal, overdue, status_of

if TYPE_CHECKING:
    import grpc

    from entrypoints.observation import Log, Tallies, Tracing

CALLS = "grpc_call"
#: Of a call whose caller names no deadline. Waiting for vectors takes at most a minute.
UNARY_SECONDS = 120.0

_IDEMPOTENCY_KEY = "idempotency-key"
_TRACEPARENT = "traceparent"

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[object, object]


@dataclass(frozen=True, slots=True)
class Voice:
    """Where a door tells what it does."""

    tallies: Tallies
    log: Log
    tracing: Tracing


@dataclass(slots=True)
class _Ending:
    code: str = "OK"


class Gate:
    """Answers calls on behalf of who makes them, as many at a time as there is room for."""

    def __init__(
        self, access: Access, guarded: Callable[[Principal], Guarded], voice: Voice, seats: Seats
    ) -> None:
        self._access = access
        self._guarded = guarded
        self._voice = voice
        self._seats = seats

    @asynccontextmanager
    async def unary(self, context: Context, operation: Operation) -> AsyncIterator[Guarded]:
        """Give what the caller may do, for as long as the call's deadline allows."""
        remaining = context.time_remaining()
        seconds = UNARY_SECONDS if remaining is None else remaining
        async with self._answering(context, operation, seconds, _kind(operation)) as soma:
            yield soma

    @asynccontextmanager
    async def stream(self, context: Context, operation: Operation) -> AsyncIterator[Guarded]:
        """The same for a call that may last: without a deadline it ends with its caller."""
        async with self._answering(context, operation, context.time_remaining(), None) as soma:
            yield soma

    @asynccontextmanager
    async def _answering(
        self, context: Context, operation: Operation, seconds: float | None, kind: Kind | None
    ) -> AsyncIterator[Guarded]:
        metadata = metadata_of(context)
        trace = self._voice.tracing.traceparent(metadata.get(_TRACEPARENT))
        with traced(trace), self._told(operation) as ending, ExitStack() as entered:
            try:
                async with asyncio.timeout(seconds):
                    seat = (
                        None if kind is None else entered.enter_context(self._seats.entered(kind))
                    )
                    soma = await self._admitted(context, metadata, seat)
                    soma.require(operation)
                    yield soma
            except SomaError as error:
                ending.code = outcome_of(error).grpc
                await _abort(context, status_of(error))
            except TimeoutError:
                ending.code = "DEADLINE_EXCEEDED"
                await _abort(context, overdue())
            except Exception as error:
                if _is_abort(error):
                    raise
                ending.code = "INTERNAL"
                self._voice.log.failed("grpc.failed", error, operation=operation)
                raise await _abort(context, internal()) from error

    @contextmanager
    def _told(self, operation: Operation) -> Iterator[_Ending]:
        """Count, time and log one call: never what it was about."""
        ending = _Ending()
        started = time.perf_counter()
        try:
            yield ending
        except asyncio.CancelledError:
            ending.code = "CANCELLED"
            raise
        finally:
            seconds = time.perf_counter() - started
            self._voice.tallies.timed(CALLS, (operation, ending.code), None, seconds)
            if self._voice.log.tells_what_is_done:
                self._voice.log.done(
                    "grpc", operation=operation, code=ending.code, seconds=round(seconds, 6)
                )

    async def _admitted(
        self, context: Context, metadata: dict[str, str], seat: Seat | None
    ) -> Guarded:
        token = token_of(metadata.get(AUTHORIZATION), metadata.get(API_KEY))
        admission = await self._access.admit(token, _peer(_address(context.peer())))
        if seat is not None:
            seat.of(admission.principal.key_id)
        return self._guarded(admission.principal)


def _kind(operation: Operation) -> Kind:
    """Return which limit a call counts under, as REST's does."""
    return Kind.READING if RULES[operation].permission is Permission.READ else Kind.WRITING


def metadata_of(context: Context) -> dict[str, str]:
    """Return the text metadata of a call; of a repeated name the last."""
    return {
        str(name): value
        for name, value in context.invocation_metadata() or ()
        if isinstance(value, str)
    }


def idempotency_key(context: Context) -> str | None:
    """Return the caller's idempotency key."""
    return metadata_of(context).get(_IDEMPOTENCY_KEY)


async def _abort(context: Context, status: grpc.Status) -> NoReturn:
    await context.abort_with_status(status)
    raise AssertionError("aborting always raises")


def _is_abort(error: Exception) -> bool:
    from grpc.aio import AbortError

    return isinstance(error, AbortError)


def _address(peer: str) -> str:
    """Return the host of `ipv4:127.0.0.1:50000` or `ipv6:%5B::1%5D:50000`."""
    host = unquote(peer).partition(":")[2].rpartition(":")[0]
    return host.strip("[]")


@lru_cache(maxsize=1024)
def _peer(address: str) -> Peer:
    return Peer(address, is_local=is_loopback(address))
