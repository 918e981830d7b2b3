"""Read requests strictly: exact JSON types, known names only, and every refusal names its field."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter, SkipValidation

from application.guarded import Guarded
from domain.errors import InvalidInput

T = TypeVar("T")

QUERY_FIELDS_MAX = 1000

#: What handlers ask for by the names `soma` and `health`.
Soma = NamedDependency[SkipValidation[Guarded]]
Health = NamedDependency[SkipValidation[Callable[[], Awaitable[dict[str, str]]]]]

_AT = re.compile(r" - at `(?:key in )?\$(?P<path>[^`]*)`$")
_NAMED = re.compile(r"Object (?:contains unknown|missing required) field `(?P<name>[^`]*)`")


class StrictRequest(Request[Any, Guarded, State]):
    """A request whose JSON body is decoded straight into the handler's type, without coercion.

    Litestar itself would convert the decoded body leniently (`"5"` for 5, `1` for true).
    """

    async def json(self) -> Any:
        """Return the body as the type of the handler's `data`; raise `InvalidInput`."""
        data_field = self.route_handler.parsed_data_field
        wanted = data_field.annotation if data_field else Any
        return decoded(await self.body(), wanted)


def decoded(body: bytes | str, wanted: type[T], *, within: str = "") -> T:
    """Decode JSON as exactly the wanted type; raise `InvalidInput` naming the field."""
    try:
        return msgspec.json.decode(body, type=wanted)
    except msgspec.ValidationError as error:
        raise refusal(str(error), within) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(within or "body", f"is not valid JSON ({error})") from error
    except RecursionError as error:
        raise InvalidInput(within or "body", "is nested too deeply") from error


def refusal(message: str, within: str = "") -> InvalidInput:
    """Turn what msgspec says, ``Expected `int`, got `str` - at `$.k` ``, into a named refusal."""
    at = _AT.search(message)
    path = f"{within}{at['path'] if at else ''}".lstrip(".")
    reason = message[: at.start()] if at else message
    named = _NAMED.match(reason)
    if named is None:
        return InvalidInput(path or "body", reason[:1].lower() + reason[1:])
    known = "unknown" not in reason
    field = f"{path}.{named['name']}".lstrip(".")
    return InvalidInput(field, "is required" if known else "is not a known field")


async def only_known_parameters(
    connection: ASGIConnection[Any, Any, Any, State], handler: BaseRouteHandler
) -> None:
    """Refuse query parameters that the route does not declare, instead of ignoring a typo."""
    query = connection.scope["query_string"]
    if not query:
        return
    try:
        text = unquote_to_bytes(query).decode()
        given = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX
        )
    except ValueError as error:
        raise InvalidInput("query string", "is malformed or not UTF-8") from error
    if "\x00" in text:
        name = next((name for name, value in given if "\x00" in value), "query string")
        raise InvalidInput(name, "holds a NUL character")
    known = _query_parameters(handler)
    for name, _value in given:
        if name not in known:
            raise InvalidInput(name, "is not a known query parameter")


def _query_parameters(handler: BaseRouteHandler) -> frozenset[str]:
    """Return the names of the parameters that a handler and what it depends on declare."""
    signatures = [handler.parsed_fn_signature]
    signatures += [
        provide.parsed_fn_signature for provide in handler.resolve_dependencies().values()
    ]
    return frozenset(
        field.kwarg_definition.name or field.name
        for signature in signatures
        for field in signature.parameters.values()
        if isinstance(field.kwarg_definition, QueryParameter)
    )
