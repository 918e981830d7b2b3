"""Read requests strictly: exact JSON types, known names only, and every refusal names its field."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter, SkipValidation

from application.guarded import Guarded
from domain.errors import InvalidInput
from entrypoints.decoding import decoded

QUERY_FIELDS_MAX = 1000

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
