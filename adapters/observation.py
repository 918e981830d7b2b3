"""What the running process tells about itself: one structured line per event, never content."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from domain.errors import SomaError


class FailureLog:
    """Tells on stderr what background work could not do and will try again.

    JSON, or a line for people when `format` is "console", or "auto" on a terminal.
    """

    def __init__(self, level: str, format: str) -> None:
        self._level = level
        self._format = format

    def __call__(self, error: SomaError) -> None:
        """Log one failure with its kind and its sentence."""
        self._logger.warning("background.failed", error=type(error).__name__, detail=str(error))

    @cached_property
    def _logger(self) -> FilteringBoundLogger:
        # structlog takes 0.2 s to import: only a process that has something to say pays for it.
        import logging

        import structlog

        console = self._format == "console" or (self._format == "auto" and sys.stderr.isatty())
        logger: FilteringBoundLogger = structlog.wrap_logger(
            structlog.PrintLogger(sys.stderr),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer(),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(
                logging.getLevelNamesMapping()[self._level.upper()]
            ),
        )
        return logger
