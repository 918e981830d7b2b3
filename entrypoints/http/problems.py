"""Every error as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import ClientException, HTTPException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.openapi import ResponseSpec
from litestar.types import ExceptionHandlersMap
from msgspec import Meta

from domain.errors import (
    AccessDenied,
    InvalidInput,
    RateLimited,
    SomaError,
    TooLarge,
    TooSlow,
    Unavailable,
)
from entrypoints.decoding import refusal
from entrypoints.errors import outcome_of
from entrypoints.http.headers import refusal_headers
from entrypoints.http.observing import REQUEST_ID, request_id

PROBLEM_JSON = "application/problem+json"
TYPE_PREFIX = "urn:somafractalmemory:problem:"
RETRY_AFTER_SECONDS = 1

#: Query parameters whose own name means something else to Litestar or Python.
_WIRE_NAMES = {"reach": "scope", "link_type": "type", "job_state": "state"}

AnyRequest = Request[Any, Any, State]


class FieldProblem(msgspec.Struct, frozen=True):
    """Which part of the request is wrong, and why."""

    field: Annotated[str, Meta(examples=["memories[3].content"])]
    message: Annotated[str, Meta(examples=["is empty"])]


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong, as RFC 9457 lays it out."""

    type: Annotated[str, Meta(examples=[f"{TYPE_PREFIX}invalid-input"])]
    title: Annotated[str, Meta(examples=["The request is not valid"])]
    status: Annotated[int, Meta(examples=[400])]
    detail: Annotated[str, Meta(examples=["memories[3].content: is empty"])]
    errors: list[FieldProblem] = []


#: How a route with a body may refuse it, whatever is in it.
BODY = (408, 413, 415)


def documented(*statuses: int) -> dict[int, ResponseSpec]:
    """Describe problem responses in the OpenAPI document."""
    return {
        status: ResponseSpec(
            Problem,
            description=HTTPStatus(status).phrase,
            media_type=PROBLEM_JSON,
            generate_examples=False,
        )
        for status in (*statuses, 401, 403, 429, 503)
    }


def refused(_: AnyRequest, error: SomaError) -> Response[Problem]:
    """Answer with what the table of outcomes says."""
    outcome = outcome_of(error)
    fields = []
    if isinstance(error, InvalidInput):
        fields = [FieldProblem(error.field, error.reason)]
    elif isinstance(error, TooLarge):
        fields = [FieldProblem(error.field, str(error).removeprefix(f"{error.field}: "))]
    elif isinstance(error, TooSlow):
        fields = [FieldProblem("body", str(error).removeprefix("body: "))]
    headers = {}
    if isinstance(error, TooSlow):
        headers["Connection"] = "close"  # What is left of the body is not waited for.
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if isinstance(error, AccessDenied):
        headers["WWW-Authenticate"] = 'Bearer realm="soma"'
    if isinstance(error, RateLimited):
        headers |= refusal_headers(error)
    return _answer(
        outcome.status, outcome.slug, outcome.title, str(error), fields=fields, headers=headers
    )


def misdirected(request: AnyRequest, error: HTTPException) -> Response[Problem]:
    """Answer what Litestar itself refuses: no such route, wrong method, bad parameter."""
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return failed(request, error)
    if isinstance(error, RequestEntityTooLarge):
        limit = request.route_handler.resolve_request_max_body_size()
        return refused(request, TooLarge("body", limit=limit or 0, unit="bytes"))
    phrase = HTTPStatus(error.status_code).phrase
    slug = phrase.lower().replace(" ", "-")
    if error.status_code == HTTPStatus.BAD_REQUEST:
        fields = _fields(error)
        title, slug = "The request is not valid", "invalid-input"
        detail = "; ".join(f"{f.field}: {f.message}" for f in fields) or error.detail
        return _answer(error.status_code, slug, title, detail, fields=fields)
    headers = {name: str(value) for name, value in (error.headers or {}).items()}
    if not request.scope.get("path_template"):
        headers[REQUEST_ID] = request_id(request.scope)  # nobody else: it has reached no route
    fields = _fields(error)
    return _answer(error.status_code, slug, phrase, error.detail, fields=fields, headers=headers)


def unsupported(field: str, message: str) -> ClientException:
    """Return the refusal of a body that is written in a way that is not read: 415."""
    return ClientException(
        f"{field}: {message}", status_code=415, extra=[{"key": field, "message": message}]
    )


def failed(request: AnyRequest, error: Exception) -> Response[Problem]:
    """Answer 500 without internals; the log has the place, but no message that may hold content."""
    route = request.scope.get("path_template", "")
    request.app.state.log.failed("http.failed", error, route=route)
    detail = "the server could not complete the request; its log says where"
    return _answer(500, "internal", "Something went wrong", detail)


HANDLERS: ExceptionHandlersMap = {
    SomaError: refused,
    HTTPException: misdirected,
    Exception: failed,
}


def _fields(error: HTTPException) -> list[FieldProblem]:
    """Read the fields out of Litestar's list of validation messages."""
    entries = error.extra if isinstance(error.extra, list) else []
    found = []
    for entry in entries:
        if isinstance(entry, dict):
            key = str(entry.get("key", ""))
            if key == "data":
                found.append(FieldProblem("body", "is required"))
                continue
            named = refusal(str(entry.get("message", "")), _WIRE_NAMES.get(key, key))
            found.append(FieldProblem(named.field, named.reason))
    if not found and error.detail.startswith("Missing required query parameter"):
        found.append(FieldProblem(error.detail.split("'")[1], "is required"))
    return found


def _answer(
    status: int,
    slug: str,
    title: str,
    detail: str,
    *,
    fields: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> Response[Problem]:
    problem = Problem(f"{TYPE_PREFIX}{slug}", title, status, detail, list(fields))
    return Response(problem, status_code=status, media_type=PROBLEM_JSON, headers=headers or {})
