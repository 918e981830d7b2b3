"""Routes for those who run Soma: health, metrics, maintenance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post, route
from litestar.datastructures import State
from litestar.exceptions import PermissionDeniedException
from litestar.openapi import ResponseSpec
from litestar.params import QueryParameter

from application.access.guarded import Guarded
from application.access.permits import Operation
from application.upkeep.maintain import Check
from domain.namespace import Scope, ScopeKind, parse_namespace
from domain.ports import Finding
from entrypoints.http import shapes
from entrypoints.http.access import is_open, is_owner, needs
from entrypoints.http.jobs import QUEUED, JobBody, WaitParameter, queued
from entrypoints.http.problems import documented
from entrypoints.http.requests import Exposed, Health, Now, Soma
from entrypoints.http.schemas_recall import ScopeParameter
from entrypoints.metrics.exposition import CONTENT_TYPE

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


@get("/healthz", opt=is_open(), security=[{}])
async def healthz() -> Liveness:
    """Tell that the process answers."""
    return Liveness(READY)


@get(
    "/readyz",
    opt=is_open(),
    security=[{}],
    responses={
        503: ResponseSpec(
            Readiness, description="The store does not answer", generate_examples=False
        )
    },
)
async def readyz(health: Health) -> Response[Readiness]:
    """Tell whether requests can be served: 503 when the store does not answer."""
    dependencies = await health()
    ready = dependencies["store"] == READY
    status = READY if ready else "unavailable"
    return Response(Readiness(status, dependencies), status_code=200 if ready else 503)


@get(
    "/metrics",
    opt=needs(Operation.READ_METRICS),
    media_type="text/plain",
    responses=documented(),
)
async def metrics(exposed: Exposed) -> Response[bytes]:
    """Return counters, timings and levels in Prometheus' text format."""
    return Response(await exposed(), media_type=CONTENT_TYPE)


@post(
    "/maintenance/reconcile",
    opt=needs(Operation.RECONCILE),
    status_code=200,
    responses={**documented(400, 409), **QUEUED},
)
async def reconcile(
    soma: Soma,
    now: Now,
    check: Annotated[bool, QueryParameter(description="only look, change nothing")] = False,
    wait: WaitParameter = True,
) -> Response[Findings] | Response[JobBody]:
    """Compare everything derived with the canonical rows, and rebuild it."""
    job = await soma.reconcile(check=check, wait=wait)
    if not wait:
        return queued(job, now())
    return Response(msgspec.convert(job.result, Findings), status_code=200)


@post(
    "/maintenance/reindex",
    opt=needs(Operation.REINDEX),
    status_code=200,
    responses={**documented(400, 409), **QUEUED},
)
async def reindex(
    soma: Soma,
    now: Now,
    model: Annotated[
        str | None, QueryParameter(description="the embedder to change to, without downtime")
    ] = None,
    wait: WaitParameter = True,
) -> Response[Queued] | Response[JobBody]:
    """Queue every vector that is missing."""
    job = await soma.reindex(model, wait=wait)
    if not wait:
        return queued(job, now())
    return Response(msgspec.convert(job.result, Queued), status_code=200)


@post(
    "/maintenance/backup",
    opt=needs(Operation.BACKUP),
    status_code=202,
    responses=documented(400),
)
async def backup(
    request: Request[Any, Guarded, State],
    soma: Soma,
    now: Now,
    to: Annotated[str, QueryParameter(description="the absolute path of the folder to make")],
) -> Response[JobBody]:
    """Back the store up to a path of this machine; only over the data directory's socket."""
    if not is_owner(request):
        raise PermissionDeniedException("a backup is asked for on the machine, with soma backup")
    return queued(await soma.backup(Path(to)), now())


@get("/doctor", opt=needs(Operation.DIAGNOSE), responses=documented())
async def doctor(soma: Soma) -> Diagnosis:
    """Ask everything Soma depends on whether it works."""
    return Diagnosis(await soma.diagnose(), dict(soma.shown_settings()))


@get("/stats/pending", opt=needs(Operation.PENDING), responses=documented(400))
async def pending(
    soma: Soma,
    namespace: Annotated[
        str | None,
        QueryParameter(description="everywhere when absent", schema_extra=dict(shapes.NAMESPACE)),
    ] = None,
    reach: ScopeParameter = ScopeKind.EXACT,
) -> PendingVectors:
    """Count the vectors that are still missing."""
    wanted = None if namespace is None else Scope(parse_namespace(namespace), reach)
    return PendingVectors(await soma.pending(wanted))


ROUTES = [reconcile, reindex, backup, doctor, pending]
#: For those who watch over the process without reading what it says.
HEAD_ROUTES = [
    route(path, http_method=["HEAD"], opt=is_open(), include_in_schema=False)(handler.fn)
    for path, handler in (("/healthz", healthz), ("/readyz", readyz))
]
ROOT_ROUTES = [healthz, readyz, *HEAD_ROUTES, metrics]
