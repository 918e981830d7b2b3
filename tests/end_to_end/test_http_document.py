"""The OpenAPI document, and the table of errors behind every problem."""

from __future__ import annotations

from collections.abc import Iterator

import httpx

from domain.errors import SomaError
from entrypoints.errors import OUTCOMES

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
