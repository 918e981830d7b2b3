"""Count and time requests by route template and status, for Prometheus."""

from __future__ import annotations

import time

from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import CollectorRegistry, Counter, Histogram

BUCKETS_SECONDS = (0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Measured(ASGIMiddleware):
    """Observe every request that reached a route; labels are templates, so they stay few."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "route", "status")
        self._requests = Counter(
            "soma_http_requests", "Answered requests.", labels, registry=registry
        )
        self._seconds = Histogram(
            "soma_http_request_seconds",
            "Seconds until the answer was complete.",
            labels,
            registry=registry,
            buckets=BUCKETS_SECONDS,
        )

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass the request on and note its status and duration."""
        status = 0

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        started = time.perf_counter()
        try:
            await next_app(scope, receive, observed)
        finally:
            labels = (str(scope.get("method")), scope["path_template"], str(status))
            self._requests.labels(*labels).inc()
            self._seconds.labels(*labels).observe(time.perf_counter() - started)
