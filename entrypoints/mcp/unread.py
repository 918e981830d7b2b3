"""Messages over stdio that cannot be read: they are answered, so that nobody waits in vain."""

from __future__ import annotations

import json
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
import mcp_types as types
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from entrypoints.decoding import JSON_SIGN

if TYPE_CHECKING:
    from mcp.shared._stream_protocols import ReadStream, WriteStream

_SAID = "the message is no JSON-RPC, or nested too deeply"


class Readable:
    """What comes in, without what cannot be read: the protocol's library would pass it over."""

    def __init__(
        self,
        incoming: ReadStream[SessionMessage | Exception],
        outgoing: WriteStream[SessionMessage],
    ) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    @property
    def last_context(self) -> object:
        """Where the last message came from."""
        return getattr(self._incoming, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        """Return the next message that can be read."""
        while isinstance(item := await self._incoming.receive(), Exception):
            error = types.ErrorData(code=types.PARSE_ERROR, message=_SAID)
            refused = types.JSONRPCError(jsonrpc="2.0", id=_asked(item), error=error)
            await self._outgoing.send(SessionMessage(refused))
        return item

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        """Return the next message until there is none."""
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        """Close what it reads."""
        await self._incoming.aclose()

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close what it reads."""
        await self.aclose()


def _asked(error: Exception) -> int | str | None:
    """Return the id of the request that could not be read, where that much can be."""
    if not isinstance(error, ValidationError):
        return None
    line = error.errors(include_url=False, include_context=False)[0]["input"]
    return id_of(line) if isinstance(line, str) else None


def id_of(line: str) -> int | str | None:
    """Return the `id` of a JSON object that may be nested too deeply for any decoder."""
    depth = 0
    before = ["", ""]
    for found in JSON_SIGN.finditer(line):
        sign = found[0]
        if depth == 1 and before == ['"id"', ":"] and sign not in "{}[],:":
            return _read(sign)
        depth += (sign in "{[") - (sign in "}]")
        before = [before[1], sign]
    return None


def _read(sign: str) -> int | str | None:
    """Read a value that may be an id; None for what is none."""
    try:
        value = json.loads(sign)
    except ValueError:
        return None
    return value if isinstance(value, str) or type(value) is int else None
