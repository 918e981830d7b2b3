"""Read requests strictly: exact JSON types, known names only, and every refusal names its field."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter, SkipValidation
from litestar.typing import FieldDefinition

from application.access.guarded import Guarded
from domain.errors import InvalidInput
from entrypoints.decoding import decoded
from entrypoints.http.problems import unsupported

QUERY_FIELDS_MAX = 1000
_ENCODING = "content-encoding"

#: What handlers ask for by the names `soma`, `health`, `exposed` and `now`.
Soma = NamedDependency[SkipValidation[Guarded]]
Health = NamedDependency[SkipValidation[Callable[[], Awaitable[dict[str, str]]]]]
Exposed = NamedDependency[SkipValidation[Callable[[], Awaitable[bytes]]]]
Now = NamedDependency[SkipValidation[Callable[[], datetime]]]


class StrictRequest(Request[Any, Guarded, State]):
    """A request whose JSON body is decoded straight into the handler's type, without coercion.

    Litestar itself would convert the decoded body leniently (`"5"` for 5, `1` for true).
    """

    async def json(self) -> Any:
        """Return the body as the type of the handler's `data`; raise `InvalidInput`."""
        data_field = self.route_handler.parsed_data_field
        wanted = data_field.annotation if data_field else Any
        return decoded(await self.body(), wanted)


async def only_known_parameters(
    connection: ASGIConnection[Any, Any, Any, State], handler: BaseRouteHandler
) -> None:
    """Refuse query parameters that the route does not declare, instead of ignoring a typo.

    Refuse as well what Litestar would read leniently: one value given twice, of which it would take
    one, and a number or `null` for a time.
    """
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
    seen = set()
    for name, value in given:
        if name not in known:
            raise InvalidInput(name, "is not a known query parameter")
        form = known[name]
        if form is not _Form.LIST and name in seen:
            raise InvalidInput(name, "is given more than once")
        if form in _WRITTEN and not _WRITTEN[form][0].match(value):
            raise InvalidInput(name, _WRITTEN[form][1])
        seen.add(name)


async def only_plain_bodies(
    connection: ASGIConnection[Any, Any, Any, State], _: BaseRouteHandler
) -> None:
    """Refuse a compressed body, instead of reading it as if it were not."""
    encoding = connection.headers.get(_ENCODING, "identity")
    if encoding.strip().lower() != "identity":
        raise unsupported(_ENCODING, "must be absent or `identity`: bodies are read as they are")


class _Form(Enum):
    """How a query parameter is written."""

    ONE = "one"
    LIST = "list"
    TIME = "time"
    INTEGER = "integer"


#: What a value must look like, lest a number be read as a time, or `null` as nothing at all.
_WRITTEN = {
    _Form.TIME: (re.compile(r"\d{4}-\d{2}-\d{2}"), "must be a time such as 2026-01-31T12:00:00Z"),
    _Form.INTEGER: (re.compile(r"[+-]?[0-9]+\Z"), "must be an integer"),
}


@lru_cache(maxsize=256)
def _query_parameters(handler: BaseRouteHandler) -> dict[str, _Form]:
    """Return the names of the parameters that a handler and what it depends on declare."""
    signatures = [handler.parsed_fn_signature]
    signatures += [
        provide.parsed_fn_signature for provide in handler.resolve_dependencies().values()
    ]
    return {
        field.kwarg_definition.name or field.name: _form(field)
        for signature in signatures
        for field in signature.parameters.values()
        if isinstance(field.kwarg_definition, QueryParameter)
    }


def _form(field: FieldDefinition) -> _Form:
    kinds = field.inner_types if field.is_union else (field,)
    if any(kind.is_non_string_sequence for kind in kinds):
        return _Form.LIST
    if any(kind.annotation is datetime for kind in kinds):
        return _Form.TIME
    return _Form.INTEGER if any(kind.annotation is int for kind in kinds) else _Form.ONE
