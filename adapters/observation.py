"""What the running process tells about itself: one structured line per event, never content."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from domain.errors import SomaError


def configure_logging(*, level: str, format: str) -> None:
    """Log to stderr: JSON, or for people when `format` is "console" or stderr is a terminal."""
    import logging

    import structlog

    numeric = logging.getLevelNamesMapping()[level.upper()]
    console = format == "console" or (format == "auto" and sys.stderr.isatty())
    renderer = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def report_failure(error: SomaError) -> None:
    """Log what background work could not do and will try again."""
    import structlog

    structlog.get_logger().warning(
        "background.failed", error=type(error).__name__, detail=str(error)
    )
