"""What every answer carries: what is left of the rate limit, and what a browser must not do."""

from __future__ import annotations

import math

from litestar.datastructures import MutableScopeHeaders
from litestar.types import Message, Scope

from domain.errors import RateLimited
from domain.ports import Allowance
from entrypoints.http.access import admission_of

#: Answers hold memories, so nothing on the way keeps them; nothing here is a page.
SECURITY = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_POLICY = "key"


async def finish_headers(message: Message, scope: Scope) -> None:
    """Add the headers to the beginning of an answer."""
    if message["type"] != "http.response.start":
        return
    headers = MutableScopeHeaders.from_message(message)
    for name, value in SECURITY.items():
        headers.setdefault(name, value)
    admission = admission_of(scope)
    if admission is not None and admission.allowance is not None:
        window_seconds = scope["litestar_app"].state.access.rates.window_seconds
        for name, value in limit_headers(admission.allowance, window_seconds).items():
            headers[name] = value


def limit_headers(allowance: Allowance, window_seconds: float) -> dict[str, str]:
    """Say what is left, as draft-ietf-httpapi-ratelimit-headers-10 lays it out."""
    reset = math.ceil(allowance.reset_seconds)
    return {
        "RateLimit-Policy": _policy(allowance.limit, window_seconds),
        "RateLimit": f'"{_POLICY}";r={allowance.remaining};t={reset}',
    }


def refusal_headers(error: RateLimited) -> dict[str, str]:
    """Say when there is room again."""
    retry = max(1, math.ceil(error.retry_seconds))
    return {
        "RateLimit-Policy": _policy(error.limit, error.window_seconds),
        "RateLimit": f'"{_POLICY}";r=0;t={retry}',
        "Retry-After": str(retry),
    }


def _policy(limit: int, window_seconds: float) -> str:
    return f'"{_POLICY}";q={limit};w={math.ceil(window_seconds)}'
