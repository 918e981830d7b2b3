"""Routes for those who run Soma: health, metrics, maintenance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from litestar import Response, get, post
from litestar.params import QueryParameter

from application.maintain import Check
from domain.namespace import Scope, ScopeKind, parse_namespace
from domain.ports import Finding
from entrypoints.http.problems import documented
from entrypoints.http.requests import Soma
from entrypoints.http.schemas_recall import ScopeParameter
from entrypoints.metrics.exposition import CONTENT_TYPE, exposition

READY = "ok"


@dataclass(frozen=True, slots=True)
class Liveness:
    """The process answers."""

    status: str


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether requests can be served, and the state of each dependency."""

    status: str
    dependencies: dict[str, str]


@dataclass(frozen=True, slots=True)
class Findings:
    """What was not as it must be."""

    findings: list[Finding]


@dataclass(frozen=True, slots=True)
class Queued:
    """How many vectors wait to be computed."""

    queued: int


@dataclass(frozen=True, slots=True)
class PendingVectors:
    """How many vectors are missing."""

    pending: int


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was looked at, and the settings in force with secrets masked."""

    checks: list[Check]
    settings: dict[str, object]


@get("/healthz", security=[])
async def healthz() -> Liveness:
    """Tell that the process answers."""
    return Liveness(READY)


@get("/readyz", security=[])
async def readyz(container: Soma) -> Response[Readiness]:
    """Tell whether requests can be served: 503 when the store does not answer."""
    dependencies = await container.diagnose().health()
    ready = dependencies["store"] == READY
    status = READY if ready else "unavailable"
    return Response(Readiness(status, dependencies), status_code=200 if ready else 503)


@get("/metrics", media_type="text/plain")
async def metrics(container: Soma) -> Response[bytes]:
    """Return counters, timings and levels in Prometheus' text format."""
    works = container.settings().profile == "embedded"
    return Response(await exposition(container, backlogs=works), media_type=CONTENT_TYPE)


@post("/maintenance/reconcile", status_code=200, responses=documented(400))
async def reconcile(
    container: Soma,
    check: Annotated[bool, QueryParameter(description="only look, change nothing")] = False,
) -> Findings:
    """Compare everything derived with the canonical rows, and rebuild it."""
    return Findings(await container.reconcile()(check=check))


@post("/maintenance/reindex", status_code=200, responses=documented(400))
async def reindex(
    container: Soma,
    model: Annotated[
        str | None, QueryParameter(description="the embedder to change to, without downtime")
    ] = None,
) -> Queued:
    """Queue every vector that is missing."""
    return Queued(await container.reindex()(model))


@get("/doctor", responses=documented())
async def doctor(container: Soma) -> Diagnosis:
    """Ask everything Soma depends on whether it works."""
    return Diagnosis(await container.diagnose()(), container.shown_settings())


@get("/stats/pending", responses=documented(400))
async def pending(
    container: Soma,
    namespace: Annotated[str | None, QueryParameter(description="everywhere when absent")] = None,
    reach: ScopeParameter = ScopeKind.EXACT,
) -> PendingVectors:
    """Count the vectors that are still missing."""
    wanted = None if namespace is None else Scope(parse_namespace(namespace), reach)
    return PendingVectors(await container.pending()(wanted))


ROUTES = [reconcile, reindex, doctor, pending]
ROOT_ROUTES = [healthz, readyz, metrics]
