"""The worker's own port: liveness, readiness with every dependency, metrics."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from litestar import Litestar
from litestar.di import Provide

from entrypoints.http.access import admit, keep_gate
from entrypoints.http.headers import finish_headers
from entrypoints.http.operations import ROOT_ROUTES
from entrypoints.http.problems import HANDLERS
from entrypoints.metrics.exposition import exposition

if TYPE_CHECKING:
    from container import Container


def health_app(container: Container) -> Litestar:
    """Put the routes together for an opened container."""
    exposed = partial(exposition, container, backlogs=True)
    app = Litestar(
        route_handlers=ROOT_ROUTES,
        dependencies={
            "health": Provide(lambda: container.diagnose().health, sync_to_thread=False),
            "exposed": Provide(lambda: exposed, sync_to_thread=False),
        },
        before_send=[finish_headers],
        guards=[admit],
        exception_handlers=HANDLERS,
        openapi_config=None,
        logging_config=None,
    )
    keep_gate(app.state, container)
    app.state.log = container.failure_log()
    return app
