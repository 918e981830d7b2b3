"""Structured lines on stderr: what happened, never what was said."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

    from domain.errors import SomaError

_NOTHING: Mapping[str, str] = {}
_context: ContextVar[Mapping[str, str]] = ContextVar("log_context", default=_NOTHING)


class Log:
    """JSON lines, or lines for people when `format` is "console", or "auto" on a terminal.

    `current_trace` returns the `traceparent` of the present work: its ids stand in every line.
    """

    def __init__(self, level: str, format: str, current_trace: Callable[[], str | None]) -> None:
        self._level = level
        self._format = format
        self._current_trace = current_trace

    def __call__(self, error: SomaError, /) -> None:
        """Report what background work could not do and will try again."""
        self._logger.warning("background.failed", error=type(error).__name__, detail=str(error))

    def failed(self, event: str, error: BaseException, /, **facts: str) -> None:
        """Report what should not have happened: its place, not its words, which may be content."""
        stack = "".join(traceback.format_tb(error.__traceback__))
        self._logger.error(event, error=type(error).__name__, stack=stack, **facts)

    def done(self, event: str, /, **facts: str | float | None) -> None:
        """Tell in one line what was done."""
        self._logger.info(event, **facts)

    @property
    def tells_what_is_done(self) -> bool:
        """Tell whether such lines are written at all."""
        return self._level in {"debug", "info"}

    def about(self, **facts: str) -> AbstractContextManager[None]:
        """Let every line that is written in the block carry these facts."""
        return _About(facts)

    def take_over(self) -> None:
        """Let warnings of libraries become lines of this kind; for a process that only serves."""
        logging.getLogger().handlers = [_Foreign(self.warned)]

    def warned(self, record: logging.LogRecord) -> None:
        """Report what a library warns of: its place, not its words, which may be content."""
        place = f"{record.name}:{record.funcName}:{record.lineno}"
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            self.failed("library.failed", error, place=place)
        else:
            self._logger.warning("library.warned", place=place)

    @cached_property
    def _logger(self) -> FilteringBoundLogger:
        # structlog takes 0.2 s to import: only a process that has something to say pays for it.
        import structlog

        console = self._format == "console" or (self._format == "auto" and sys.stderr.isatty())
        logger: FilteringBoundLogger = structlog.wrap_logger(
            structlog.PrintLogger(sys.stderr),
            processors=[
                self._with_context,
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer(),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(
                logging.getLevelNamesMapping()[self._level.upper()]
            ),
        )
        return logger

    def _with_context(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event.update(_context.get())
        traceparent = self._current_trace()
        if traceparent is not None:
            _version, event["trace_id"], event["span_id"], _flags = traceparent.split("-")
        return event


class _About(AbstractContextManager[None]):
    """Written out, for every request enters one."""

    __slots__ = ("_facts", "_token")

    def __init__(self, facts: Mapping[str, str]) -> None:
        self._facts = facts
        self._token: Token[Mapping[str, str]] | None = None

    def __enter__(self) -> None:
        self._token = _context.set({**_context.get(), **self._facts})

    def __exit__(self, *_: object) -> None:
        assert self._token is not None
        _context.reset(self._token)


class _Foreign(logging.Handler):
    """Passes on what libraries log."""

    def __init__(self, pass_on: Callable[[logging.LogRecord], None]) -> None:
        super().__init__(logging.WARNING)
        self._pass_on = pass_on

    def emit(self, record: logging.LogRecord) -> None:
        self._pass_on(record)
