"""The OpenAPI document: what Litestar reads off the routes, and what they cannot tell it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from litestar import Request, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from application.access.permits import Operation
from entrypoints.http import shapes
from entrypoints.http.access import needs
from entrypoints.http.schemas import Body

Json = dict[str, Any]


class Way(NamedTuple):
    """A call that follows from an answer; its values are runtime expressions of OpenAPI."""

    name: str
    method: str
    path: str
    parameters: Mapping[str, str] = {}
    body: Mapping[str, str] = {}


_MEMORY = "/v1/memories/{memory_id}"
_NAMESPACE = "/v1/namespaces/{path}"
_ID = {"memory_id": "$response.body#/memory/id"}
_ENDS = {"source": "$response.body#/source", "target": "$response.body#/target"}
_END_IDS = {
    "source": "$response.body#/results/0/memory/id",
    "target": "$response.body#/results/1/memory/id",
}
_OF_A_JOB = (
    Way("show", "get", "/v1/jobs/{job_id}", {"job_id": "$response.body#/id"}),
    Way("cancel", "delete", "/v1/jobs/{job_id}", {"job_id": "$response.body#/id"}),
)
_SAME_PATH = {"path": "$request.path.path"}
_OF_A_MEMORY = (
    Way("show", "get", _MEMORY, _ID),
    Way("revise", "patch", _MEMORY, {**_ID, "If-Match": "$response.header.ETag"}),
    Way("forget", "delete", _MEMORY, _ID),
    Way("history", "get", f"{_MEMORY}/history", _ID),
    Way("neighbors", "get", f"{_MEMORY}/neighbors", _ID),
)

#: Which calls follow from which answer: (method, path, status).
WAYS: Mapping[tuple[str, str, str], tuple[Way, ...]] = {
    ("post", "/v1/memories", "201"): _OF_A_MEMORY,
    ("post", "/v1/memories", "200"): _OF_A_MEMORY,
    ("post", "/store", "201"): _OF_A_MEMORY,
    ("post", "/store", "200"): _OF_A_MEMORY,
    ("patch", _MEMORY, "200"): _OF_A_MEMORY,
    ("post", "/v1/memories/batch", "200"): (
        Way("link", "post", "/v1/links", body={**_END_IDS, "type": "follows"}),
    ),
    ("post", "/v1/links", "201"): (
        Way("neighbors", "get", f"{_MEMORY}/neighbors", {"memory_id": _ENDS["source"]}),
        Way("path", "get", "/v1/paths", _ENDS),
        Way("unlink", "delete", "/v1/links", {**_ENDS, "type": "$response.body#/type"}),
    ),
    ("patch", _NAMESPACE, "200"): (
        Way("show", "get", _NAMESPACE, _SAME_PATH),
        Way("erase", "delete", _NAMESPACE, _SAME_PATH),
    ),
    ("post", "/v1/maintenance/reindex", "202"): _OF_A_JOB,
    ("post", "/v1/maintenance/reconcile", "202"): _OF_A_JOB,
    ("post", "/v1/keys", "201"): (
        Way("revoke", "delete", "/v1/keys/{key_id}", {"key_id": "$response.body#/key/id"}),
    ),
}


class WholeDocument(JsonRenderPlugin):
    """Serves the document with what the routes cannot tell."""

    def __init__(self) -> None:
        """Serve it at the root of the router, and as a file."""
        super().__init__(path=["/openapi.json", "/"])
        self._whole: Json | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: Json) -> bytes:
        """Return the document; it is completed once."""
        if self._whole is None:
            self._whole = completed(openapi_schema)
        return self.render_json(request, self._whole)


def openapi_config(version: str) -> OpenAPIConfig:
    """Describe the document and where it is served."""
    return OpenAPIConfig(
        title="Soma Fractal Memory",
        version=version,
        description=(
            "A memory for AI agents: it stores, recalls, forgets, and says why. "
            "Every error is an `application/problem+json` (RFC 9457)."
        ),
        openapi_router=Router(
            "/schema", route_handlers=[], opt=needs(Operation.READ_SCHEMA), include_in_schema=False
        ),
        render_plugins=[WholeDocument()],
        use_handler_docstrings=True,
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(type="http", scheme="bearer"),
                "apiKey": SecurityScheme(
                    type="apiKey", name="X-API-Key", security_scheme_in="header"
                ),
            }
        ),
        security=[{"bearer": []}, {"apiKey": []}],
    )


def completed(document: Json) -> Json:
    """Return the document with strict bodies, parameters as they are on the wire, and links."""
    schemas = dict(document["components"]["schemas"])
    for name in {body.__name__ for body in _bodies(Body)} & schemas.keys():
        schemas[name] = {**schemas[name], "additionalProperties": False}
    paths = {path: {m: _operation(o) for m, o in item.items()} for path, item in _paths(document)}
    for (method, path, status), ways in WAYS.items():
        responses = paths[path][method]["responses"]
        links = {way.name: _link(way, paths[way.path][way.method]) for way in ways}
        responses[status] = {**responses[status], "links": links}
    return {
        **document,
        "paths": paths,
        "components": {**document["components"], "schemas": schemas},
    }


def _paths(document: Json) -> Iterator[tuple[str, dict[str, Json]]]:
    yield from document["paths"].items()


def _operation(operation: Json) -> Json:
    parameters = [_parameter(parameter) for parameter in operation.get("parameters", [])]
    return {**operation, "parameters": parameters, "responses": dict(operation["responses"])}


def _parameter(parameter: Json) -> Json:
    """Leave null out: a query or a header has no way to say it."""
    schema = dict(parameter["schema"])
    kinds = [kind for kind in schema.pop("oneOf", []) if kind != {"type": "null"}]
    if parameter["name"] == "path":
        schema = {"type": "string", **shapes.NAMESPACE}
    elif len(kinds) == 1:
        schema = {**kinds[0], **schema} if "$ref" not in kinds[0] else {**schema, "allOf": kinds}
    elif kinds:
        schema["oneOf"] = kinds
    if schema.get("type") == "array":
        schema["minItems"] = 1  # nor a list of nothing
    return {**parameter, "schema": schema}


def _link(way: Way, target: Json) -> Json:
    link: Json = {"operationId": target["operationId"], "description": target["description"]}
    if way.parameters:
        link["parameters"] = dict(way.parameters)
    if way.body:
        link["requestBody"] = dict(way.body)
    return link


def _bodies(kind: type[Body]) -> Iterator[type[Body]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _bodies(narrower)
