"""The REST application: routes, documents, errors and access put together."""

from __future__ import annotations

import asyncio
from importlib.metadata import PackageNotFoundError, version

from litestar import Litestar, Router
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from prometheus_client import CollectorRegistry

from container import Container
from entrypoints.http import (
    feed,
    graph,
    memories,
    namespaces,
    operations,
    recalling,
    seed,
    transfer,
)
from entrypoints.http.access import admit, caller
from entrypoints.http.admission import Bounded
from entrypoints.http.metrics import Measured
from entrypoints.http.problems import HANDLERS
from entrypoints.http.requests import StrictRequest, only_known_parameters
from entrypoints.http.tracing import Traced

GROUPS = (
    ("memories", memories.ROUTES),
    ("recall", recalling.ROUTES),
    ("graph", graph.ROUTES),
    ("namespaces", namespaces.ROUTES),
    ("feed", feed.ROUTES),
    ("transfer", transfer.ROUTES),
    ("operations", operations.ROUTES),
)


def create_app(container: Container) -> Litestar:
    """Put the application together for an opened container.

    `app.state.stopping` is to be set when the server stops: it ends streams that would not.
    """
    settings = container.settings()
    registry = CollectorRegistry()
    bounded = Bounded(
        reading_max=settings.requests_reading_max, writing_max=settings.requests_writing_max
    )
    app = Litestar(
        route_handlers=[
            *(Router("/v1", route_handlers=routes, tags=[tag]) for tag, routes in GROUPS),
            Router("/", route_handlers=operations.ROOT_ROUTES, tags=["operations"]),
            Router("/", route_handlers=seed.ROUTES),
        ],
        dependencies={
            "container": Provide(lambda: container, sync_to_thread=False),
            "caller": Provide(caller, sync_to_thread=False),
        },
        guards=[admit, only_known_parameters],
        middleware=[Measured(registry), Traced(), bounded],
        exception_handlers=HANDLERS,
        request_class=StrictRequest,
        request_max_body_size=settings.body_bytes_max,
        openapi_config=_document(),
        logging_config=None,
    )
    app.state.registry = registry
    app.state.bootstrap_key = settings.bootstrap_key
    app.state.stopping = asyncio.Event()
    return app


def _document() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Soma Fractal Memory",
        version=_version(),
        description=(
            "A memory for AI agents: it stores, recalls, forgets, and says why. "
            "Every error is an `application/problem+json` (RFC 9457)."
        ),
        path="/schema",
        render_plugins=[JsonRenderPlugin(path=["/openapi.json", "/"])],
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


def _version() -> str:
    try:
        return version("somafractalmemory")
    except PackageNotFoundError:
        return "0"
