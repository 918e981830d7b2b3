"""The OpenAPI document, and the table of errors behind every problem."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInput, SomaError
from domain.namespace import parse_namespace
from entrypoints.errors import OUTCOMES
from entrypoints.http.shapes import NAMESPACE

ROUTES = {
    "/v1/memories": {"get", "post"},
    "/v1/memories/batch": {"post"},
    "/v1/memories/{memory_id}": {"get", "patch", "delete"},
    "/v1/memories/{memory_id}/history": {"get"},
    "/v1/memories/{memory_id}/neighbors": {"get"},
    "/v1/recall": {"post"},
    "/v1/recall/batch": {"post"},
    "/v1/links": {"post", "delete"},
    "/v1/paths": {"get"},
    "/v1/namespaces": {"get"},
    "/v1/namespaces/{path}": {"get", "patch", "delete"},
    "/v1/events": {"get"},
    "/v1/export": {"get"},
    "/v1/import": {"post"},
    "/v1/keys": {"get", "post"},
    "/v1/keys/{key_id}": {"delete"},
    "/v1/jobs": {"get"},
    "/v1/jobs/{job_id}": {"get", "delete"},
    "/v1/doctor": {"get"},
    "/v1/maintenance/backup": {"post"},
    "/v1/maintenance/reconcile": {"post"},
    "/v1/maintenance/reindex": {"post"},
    "/v1/stats/pending": {"get"},
    "/healthz": {"get"},
    "/readyz": {"get"},
    "/metrics": {"get"},
    "/store": {"post"},
    "/recall": {"post"},
}


def _subclasses(kind: type[SomaError]) -> Iterator[type[SomaError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _subclasses(child)


def test_every_error_has_an_outcome() -> None:
    # An adapter may refine an error for itself; what leaves it is one of the domain's.
    known = {kind for kind in _subclasses(SomaError) if kind.__module__ == "domain.errors"}
    assert known == set(OUTCOMES)


def test_every_problem_type_is_distinct() -> None:
    slugs = [outcome.slug for outcome in OUTCOMES.values()]

    assert len(slugs) == len(set(slugs))


def test_the_document_lists_every_route(http: httpx.Client) -> None:
    document = http.get("/schema/openapi.json").json()

    assert document["openapi"].startswith("3.1")
    assert ROUTES == {path: set(item) for path, item in document["paths"].items()}
    assert document == http.get("/schema").json()


def test_answers_link_to_the_calls_that_follow(http: httpx.Client) -> None:
    document = http.get("/schema/openapi.json").json()

    known = {o["operationId"] for item in document["paths"].values() for o in item.values()}
    linked = {
        (path, way, link["operationId"])
        for path, item in document["paths"].items()
        for operation in item.values()
        for response in operation["responses"].values()
        for way, link in response.get("links", {}).items()
    }
    assert {link for _, _, link in linked} <= known
    assert {"show", "revise", "forget", "history", "neighbors"} <= {
        way for path, way, _ in linked if path == "/v1/memories"
    }
    assert {"show", "cancel"} == {w for p, w, _ in linked if p == "/v1/maintenance/reindex"}


def test_bodies_are_closed_and_parameters_are_never_null(http: httpx.Client) -> None:
    document = http.get("/schema/openapi.json").json()

    bodies = {
        content["schema"]["$ref"].rpartition("/")[2]
        for item in document["paths"].values()
        for operation in item.values()
        for media, content in operation.get("requestBody", {}).get("content", {}).items()
        if media == "application/json"
    }
    schemas = document["components"]["schemas"]
    assert {"RememberBody", "RecallBody", "KeyBody"} <= bodies
    assert all(schemas[name]["additionalProperties"] is False for name in bodies)
    for item in document["paths"].values():
        for operation in item.values():
            assert "null" not in str(operation.get("parameters", []))


@given(st.from_regex(re.compile(r"[a./ _\\]{0,8}", re.ASCII), fullmatch=True))
def test_the_document_knows_a_namespace_when_it_sees_one(text: str) -> None:
    try:
        parse_namespace(text)
    except InvalidInput:
        assert not re.search(NAMESPACE["pattern"], text)
    else:
        assert re.search(NAMESPACE["pattern"], text)


def test_every_operation_is_described_and_documents_its_problems(http: httpx.Client) -> None:
    document = http.get("/schema/openapi.json").json()

    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["summary"], (method, path)
            assert operation["description"], (method, path)
            if path.startswith("/v1/"):
                problems = {s for s in operation["responses"] if s >= "400"}
                assert {"401", "403", "429", "503"} <= problems, (method, path)
                for status in problems:
                    content = operation["responses"][status]["content"]
                    assert ["application/problem+json"] == list(content), (method, path)
    assert {"bearer", "apiKey"} == set(document["components"]["securitySchemes"])
    assert "examples" in str(document["components"]["schemas"]["DraftBody"])
