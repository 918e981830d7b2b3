"""Which trace the present work belongs to: it travels with what the work leaves behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_current: ContextVar[str | None] = ContextVar("traceparent", default=None)


def current_trace() -> str | None:
    """Return the W3C `traceparent` of the present work, None where there is none."""
    return _current.get()


@contextmanager
def traced(traceparent: str | None) -> Iterator[None]:
    """Do what the block does as part of a trace; what is no `traceparent` is passed over."""
    known = traceparent if traceparent and _TRACEPARENT.fullmatch(traceparent) else None
    token = _current.set(known)
    try:
        yield
    finally:
        _current.reset(token)
