"""Routes for those who run Soma: health, metrics, maintenance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.exceptions import PermissionDeniedException
from litestar.params import QueryParameter
from prometheus_client import CollectorRegistry

from application.maintain import Check
from domain.errors import InvalidInput
from domain.job import JobKind
from domain.namespace import Scope, ScopeKind, parse_namespace
from domain.ports import Finding
from entrypoints.http.access import is_owner
from entrypoints.http.jobs import QUEUED, JobBody, WaitParameter, started, waited_for
from entrypoints.http.problems import documented
from entrypoints.http.requests import Caller, Soma
from entrypoints.http.schemas_recall import ScopeParameter

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
async def metrics(state: State) -> Response[bytes]:
    """Return counters and timings in Prometheus' text format."""
    return metrics_text(state.registry)


def metrics_text(registry: CollectorRegistry) -> Response[bytes]:
    """Write what a registry holds in Prometheus' text format."""
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    return Response(
        generate_latest(registry),
        media_type=CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8"),
    )


@post("/maintenance/reconcile", status_code=200, responses={**documented(400, 409), **QUEUED})
async def reconcile(
    container: Soma,
    caller: Caller,
    check: Annotated[bool, QueryParameter(description="only look, change nothing")] = False,
    wait: WaitParameter = True,
) -> Response[Findings] | Response[JobBody]:
    """Compare everything derived with the canonical rows, and rebuild it."""
    parameters = {"check": check}
    if not wait:
        if not check:
            # Another process may run the job, and that one cannot do this for us.
            await container.reconcile().reset()
        return await started(container, JobKind.RECONCILE, parameters, caller)
    result = await waited_for(container, JobKind.RECONCILE, parameters, caller)
    return Response(msgspec.convert(result, Findings), status_code=200)


@post("/maintenance/reindex", status_code=200, responses={**documented(400, 409), **QUEUED})
async def reindex(
    container: Soma,
    caller: Caller,
    model: Annotated[
        str | None, QueryParameter(description="the embedder to change to, without downtime")
    ] = None,
    wait: WaitParameter = True,
) -> Response[Queued] | Response[JobBody]:
    """Queue every vector that is missing."""
    container.reindex().check(model)
    parameters = {} if model is None else {"model": model}
    if not wait:
        return await started(container, JobKind.REINDEX, parameters, caller)
    result = await waited_for(container, JobKind.REINDEX, parameters, caller)
    return Response(msgspec.convert(result, Queued), status_code=200)


@post("/maintenance/backup", status_code=202, responses=documented(400, 403))
async def backup(
    request: Request[Any, str, State],
    container: Soma,
    caller: Caller,
    to: Annotated[str, QueryParameter(description="the absolute path of the folder to make")],
) -> Response[JobBody]:
    """Back the store up to a path of this machine; only over the data directory's socket."""
    if not is_owner(request):
        raise PermissionDeniedException("a backup is asked for on the machine, with soma backup")
    if not Path(to).is_absolute():
        raise InvalidInput("to", "must be an absolute path")
    return await started(container, JobKind.BACKUP, {"to": to}, caller)


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


ROUTES = [reconcile, reindex, backup, doctor, pending]
ROOT_ROUTES = [healthz, readyz, metrics]
