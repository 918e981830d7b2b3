"""What Schemathesis is told of this API; it loads this module by `openapi_fuzz.toml`."""

from __future__ import annotations

import json
import re
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.transport.requests import REQUESTS_TRANSPORT

from entrypoints.http.shapes import VERSION_TAG
from tests.end_to_end.http_server import DIMENSION

NDJSON = "application/x-ndjson"
VECTOR = {
    "type": ["array", "null"],
    "items": {"type": "number"},
    "minItems": DIMENSION,
    "maxItems": DIMENSION,
    "examples": [[0.5] * DIMENSION],
}

#: Why a request that fits the document may still be refused with 400: the field, and the reason.
#: These rules span fields, depend on what is stored or configured, or are a language of their own.
NOT_FOR_A_DOCUMENT = [
    (re.compile(field), re.compile(reason))
    for field, reason in (
        (r"vector", r"dimensions, the embedding model|base64|float32|no direction|is empty"),
        (r"valid_to", r"later than valid_from"),
        (r"(default_)?ttl_seconds", r"together with expires_at|too large"),
        (r"expires_at", r"lies in the past"),
        (r"(\w+_at|\w+_after|\w+_before|as_of|valid_from|valid_to)", r"out of range"),
        (r"target", r"source itself|memory itself|another tenant"),
        (r"coordinate", r"occupied"),
        (r"cursor", r"not a cursor of this list"),
        (r"query", r"give query, vector, or both"),
        (r"rerank|signals\.rerank", r"no reranker is configured|needs a query in words"),
        (r"model", r"chosen|cannot be used here|must be one of"),
        (r"type|top_k", r"contradicts"),
        (r"filters", r"combined with where"),
        (r"box(\.\w+)?", r""),
        # To JSON Schema 40.0 is an integer; Soma takes numbers as they are written.
        (r"[\w.]+", r"expected `(\w+ \| )*int( \| \w+)*`, got `float`"),
        (r"(where|filters)(\..*)?", r""),
    )
]
_REFUSED = 400


@schemathesis.hook
def before_load_schema(context: HookContext, raw_schema: dict[str, Any]) -> None:
    """Say what only the server's settings say: how long its vectors are."""
    for schema in raw_schema["components"]["schemas"].values():
        if "vector" in schema.get("properties", {}):
            schema["properties"]["vector"] = VECTOR


@schemathesis.check
def refused_only_for_what_a_document_cannot_say(
    ctx: CheckContext, response: Response, case: Case[Any]
) -> None:
    """Fail when a request fits the document and is refused for what the document could have said.

    It stands for Schemathesis' own `positive_data_acceptance`, which knows no exceptions.
    """
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive:
        return
    if response.status_code != _REFUSED:
        return
    version = case.headers.get("If-Match", "*")
    if not re.search(VERSION_TAG["pattern"], version):
        return  # Schemathesis itself took what does not fit the pattern for what does
    for error in response.json().get("errors", []):
        field = re.sub(r"^(memories|queries|links)\[\d+\]\.(links\[\d+\]\.)?", "", error["field"])
        assert any(
            known.fullmatch(field) and reason.search(error["message"])
            for known, reason in NOT_FOR_A_DOCUMENT
        ), f"{error['field']}: {error['message']}"
        return
    raise AssertionError(response.text)


@schemathesis.deserializer(NDJSON)
def lines(ctx: Any, response: Response) -> str:
    """Read an export: every line is a JSON object."""
    text = response.content.decode()
    for line in text.removesuffix("\n").split("\n") if text else ():
        assert isinstance(json.loads(line), dict), line
    return text


@REQUESTS_TRANSPORT.serializer(NDJSON)
def as_lines(ctx: Any, value: Any) -> dict[str, Any]:
    """Send an import."""
    return {"data": value.encode("utf-8", "surrogatepass") if isinstance(value, str) else b"{}"}
