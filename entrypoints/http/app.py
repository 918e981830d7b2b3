"""The REST application: routes, documents, errors and access put together."""

from __future__ import annotations

import asyncio
from functools import partial

from litestar import Litestar, Router
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin

from container import Container
from entrypoints.http import (
    feed,
    graph,
    jobs,
    keys,
    memories,
    namespaces,
    operations,
    recalling,
    seed,
    transfer,
)
from entrypoints.http.access import admit, caller, keep_gate
from entrypoints.http.admission import Bounded
from entrypoints.http.document import openapi_config
from entrypoints.http.headers import finish_headers
from entrypoints.http.observing import Observed
from entrypoints.http.problems import HANDLERS
from entrypoints.http.requests import StrictRequest, only_known_parameters, only_plain_bodies
from entrypoints.mcp.http import McpDoor, streamable
from entrypoints.metrics.exposition import exposition
from entrypoints.version import version_text

GROUPS = (
    ("memories", memories.ROUTES),
    ("recall", recalling.ROUTES),
    ("graph", graph.ROUTES),
    ("namespaces", namespaces.ROUTES),
    ("feed", feed.ROUTES),
    ("transfer", transfer.ROUTES),
    ("keys", keys.ROUTES),
    ("jobs", jobs.ROUTES),
    ("operations", operations.ROUTES),
)


class Application(Litestar):
    """The web framework without its plugins for pydantic and attrs.

    Nothing here is of their types, and loading pydantic's takes a quarter of a command's time.
    """

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return [*plugins, MsgspecDIPlugin()]


def create_app(container: Container) -> Litestar:
    """Put the application together for an opened container.

    `app.state.stopping` is to be set when the server stops: it ends streams that would not.
    """
    settings = container.settings()
    log = container.failure_log()
    tracing = container.tracing()
    now = container.now()
    # To count what is left to do is not free: the process that does it counts.
    exposed = partial(exposition, container, backlogs=settings.profile == "embedded")
    bounded = Bounded(container.seats(), body_seconds=settings.body_timeout_seconds)
    app = Application(
        route_handlers=[
            *(Router("/v1", route_handlers=routes, tags=[tag]) for tag, routes in GROUPS),
            Router("/", route_handlers=operations.ROOT_ROUTES, tags=["operations"]),
            Router("/", route_handlers=seed.ROUTES),
            streamable,
        ],
        dependencies={
            "soma": Provide(caller, sync_to_thread=False),
            "health": Provide(lambda: container.diagnose().health, sync_to_thread=False),
            "exposed": Provide(lambda: exposed, sync_to_thread=False),
            "now": Provide(lambda: now, sync_to_thread=False),
        },
        guards=[admit, only_known_parameters, only_plain_bodies],
        middleware=[tracing.served, Observed(container.tallies(), log, tracing), bounded],
        before_send=[finish_headers],
        cors_config=_cors(settings.cors_sites),
        exception_handlers=HANDLERS,
        request_class=StrictRequest,
        request_max_body_size=settings.body_bytes_max,
        openapi_config=openapi_config(version_text()),
        logging_config=None,
    )
    app.state.log = log
    app.state.import_line_bytes_max = settings.import_line_bytes_max
    keep_gate(app.state, container)
    app.state.stopping = asyncio.Event()
    app.state.mcp = McpDoor(app, version_text(), body_bytes_max=settings.body_bytes_max)
    return app


def _cors(sites: list[str]) -> CORSConfig | None:
    """Let pages of these sites call, and of no other; without any there is no CORS at all."""
    if not sites:
        return None
    return CORSConfig(
        allow_origins=sites,
        allow_methods=["GET", "POST", "PATCH", "DELETE"],
        allow_headers=["Authorization", "X-API-Key", "Content-Type", "Idempotency-Key", "If-Match"],
        expose_headers=["ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After"],
    )
