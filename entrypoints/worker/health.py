"""The worker's own port: liveness, readiness with every dependency, metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import Litestar, Response, get
from litestar.di import Provide

from entrypoints.http.access import admit
from entrypoints.http.operations import healthz, readyz
from entrypoints.http.problems import HANDLERS
from entrypoints.http.requests import Soma
from entrypoints.metrics.exposition import CONTENT_TYPE, exposition

if TYPE_CHECKING:
    from container import Container


def health_app(container: Container) -> Litestar:
    """Put the routes together for an opened container."""
    app = Litestar(
        route_handlers=[healthz, readyz, metrics],
        dependencies={"container": Provide(lambda: container, sync_to_thread=False)},
        guards=[admit],
        exception_handlers=HANDLERS,
        openapi_config=None,
        logging_config=None,
    )
    app.state.bootstrap_key = container.settings().bootstrap_key
    app.state.log = container.failure_log()
    return app


@get("/metrics", media_type="text/plain")
async def metrics(container: Soma) -> Response[bytes]:
    """Return counters, timings and levels; the lag is read when it is asked for."""
    return Response(await exposition(container, backlogs=True), media_type=CONTENT_TYPE)
