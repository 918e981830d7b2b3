"""The worker's own port: liveness, readiness with every dependency, metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import Litestar, Response, get
from litestar.datastructures import State
from litestar.di import Provide

from application.permits import Operation
from domain.errors import SomaError
from entrypoints.http.access import admit, keep_gate, needs
from entrypoints.http.headers import finish_headers
from entrypoints.http.operations import healthz, metrics_text, readyz
from entrypoints.http.problems import HANDLERS

if TYPE_CHECKING:
    from container import Container
    from entrypoints.worker.observing import Measures


def health_app(container: Container, measures: Measures) -> Litestar:
    """Put the routes together for an opened container."""
    app = Litestar(
        route_handlers=[healthz, readyz, metrics],
        dependencies={"health": Provide(lambda: container.diagnose().health, sync_to_thread=False)},
        before_send=[finish_headers],
        guards=[admit],
        exception_handlers=HANDLERS,
        openapi_config=None,
        logging_config=None,
    )
    keep_gate(app.state, container)
    app.state.container = container
    app.state.measures = measures
    return app


@get("/metrics", opt=needs(Operation.READ_METRICS), media_type="text/plain")
async def metrics(state: State) -> Response[bytes]:
    """Return counters and gauges; the lag is read when it is asked for."""
    try:
        lags, pending = await state.container.backlogs()()
    except SomaError:
        pass  # The store is down: the counters tell, the gauges stay as they were.
    else:
        state.measures.note_backlog(lags, pending)
    return metrics_text(state.measures.registry)
