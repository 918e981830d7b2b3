"""Let a call in: its key, its deadline, its trace, and what becomes of its errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import unquote

from application.access import Access, Peer
from application.guarded import Guarded
from application.permits import Operation
from application.tracing import traced
from domain.access import Principal
from domain.errors import SomaError
from entrypoints.credentials import API_KEY, AUTHORIZATION, is_loopback, token_of
from entrypoints.grpc.refusals import failed, overdue, status_of

if TYPE_CHECKING:
    import grpc

#: Of a call whose caller names no deadline. Waiting for vectors takes at most a minute.
UNARY_SECONDS = 120.0

_IDEMPOTENCY_KEY = "idempotency-key"
_TRACEPARENT = "traceparent"

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[object, object]


class Gate:
    """Answers calls on behalf of who makes them."""

    def __init__(self, access: Access, guarded: Callable[[Principal], Guarded]) -> None:
        self._access = access
        self._guarded = guarded

    @asynccontextmanager
    async def unary(self, context: Context, operation: Operation) -> AsyncIterator[Guarded]:
        """Give what the caller may do, for as long as the call's deadline allows."""
        remaining = context.time_remaining()
        seconds = UNARY_SECONDS if remaining is None else remaining
        async with self._answering(context, operation, seconds) as soma:
            yield soma

    @asynccontextmanager
    async def stream(self, context: Context, operation: Operation) -> AsyncIterator[Guarded]:
        """The same for a call that may last: without a deadline it ends with its caller."""
        async with self._answering(context, operation, context.time_remaining()) as soma:
            yield soma

    @asynccontextmanager
    async def _answering(
        self, context: Context, operation: Operation, seconds: float | None
    ) -> AsyncIterator[Guarded]:
        metadata = metadata_of(context)
        try:
            with traced(metadata.get(_TRACEPARENT)):
                async with asyncio.timeout(seconds):
                    soma = await self._admitted(context, metadata)
                    soma.require(operation)
                    yield soma
        except SomaError as error:
            await _abort(context, status_of(error))
        except TimeoutError:
            await _abort(context, overdue())
        except Exception as error:
            if _is_abort(error):
                raise
            raise await _abort(context, failed(error, operation)) from error

    async def _admitted(self, context: Context, metadata: dict[str, str]) -> Guarded:
        token = token_of(metadata.get(AUTHORIZATION), metadata.get(API_KEY))
        admission = await self._access.admit(token, _peer(_address(context.peer())))
        return self._guarded(admission.principal)


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
