"""Refuse bytes that are no message as any bad input: the library would show its insides."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from inspect import isasyncgenfunction
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import DecodeError

from domain.errors import InvalidInput
from entrypoints.grpc.refusals import status_of
from entrypoints.grpc.service import OPERATIONS

if TYPE_CHECKING:
    from entrypoints.grpc.admission import Context, Gate

Refuse = Callable[["Context"], Awaitable[None]]

_REASON = "is not a message of this call, or holds text that is not UTF-8"
#: Stands for a message that could not be read.
_UNREADABLE = object()
_BEHAVIOURS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


class Legible(grpc.aio.ServerInterceptor):
    """Lets every call of every service be refused where its messages are read."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._handlers: dict[str, Any] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return how a call is answered; None when nobody answers it."""
        method = str(handler_call_details.method)
        known = self._handlers.get(method)
        if known is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            known = self._handlers[method] = self._legible(handler, _own_name(method))
        return known

    def _legible(self, handler: Any, name: str) -> Any:
        [(kind, behaviour)] = [
            (kind, found) for kind in _BEHAVIOURS if (found := getattr(handler, kind)) is not None
        ]
        if handler.request_streaming:
            behaviour = _reading(behaviour)
        else:
            behaviour = _asking(behaviour, partial(self._refuse, name, handler.response_streaming))
        return handler._replace(
            request_deserializer=partial(_read, handler.request_deserializer), **{kind: behaviour}
        )

    async def _refuse(self, name: str, lasts: bool, context: Context) -> None:
        """Refuse one call; of Soma's own only after its key was asked for."""
        error = InvalidInput("body", _REASON)
        if name not in OPERATIONS:
            await context.abort_with_status(status_of(error))
        let_in = self._gate.stream if lasts else self._gate.unary
        async with let_in(context, OPERATIONS[name]):
            raise error


def _own_name(method: str) -> str:
    """Return the name of a call of Soma's; nothing for calls of gRPC's own services."""
    return "" if method.startswith("/grpc.") else method.rpartition("/")[2]


def _read(deserialize: Callable[[bytes], object], data: bytes) -> object:
    try:
        return deserialize(data)
    except (DecodeError, UnicodeDecodeError):
        return _UNREADABLE


def _asking(behaviour: Any, refuse: Refuse) -> Any:
    """Return how one message is answered, in the same form: gRPC looks at it."""
    if isasyncgenfunction(behaviour):

        async def streamed(request: object, context: Context) -> AsyncIterator[object]:
            if request is _UNREADABLE:
                await refuse(context)
            async with contextlib.aclosing(behaviour(request, context)) as answers:
                async for answer in answers:
                    yield answer

        return streamed

    async def answered(request: object, context: Context) -> object:
        if request is _UNREADABLE:
            await refuse(context)
        return await behaviour(request, context)

    return answered


def _reading(behaviour: Any) -> Any:
    """Return how a stream is answered: `InvalidInput` is raised where its messages are read."""

    if isasyncgenfunction(behaviour):

        async def streamed(
            requests: AsyncIterator[object], context: Context
        ) -> AsyncIterator[object]:
            async with contextlib.aclosing(behaviour(_checked(requests), context)) as answers:
                async for answer in answers:
                    yield answer

        return streamed

    async def answered(requests: AsyncIterator[object], context: Context) -> object:
        return await behaviour(_checked(requests), context)

    return answered


async def _checked(requests: AsyncIterator[object]) -> AsyncIterator[object]:
    index = 0
    async for request in requests:
        if request is _UNREADABLE:
            raise InvalidInput(f"messages[{index}]", _REASON)
        yield request
        index += 1
