"""What Kafka's errors mean to the core: the only place where they are translated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from domain.errors import BrokerUnavailable, ConfigurationError, SomaError

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

Report = Callable[[SomaError], None]
_REMIND_SECONDS = 30.0


@contextmanager
def translated() -> Iterator[None]:
    """Raise Kafka's errors as the core's: `BrokerUnavailable`, or `ConfigurationError`."""
    from confluent_kafka import KafkaError, KafkaException

    try:
        yield
    except KafkaException as exception:
        error = exception.args[0] if exception.args else None
        if not isinstance(error, KafkaError):
            raise BrokerUnavailable("Kafka does not answer") from exception
        if error.code() == KafkaError._INVALID_ARG:
            raise ConfigurationError(f"Kafka: {error.str()}") from exception
        raise unavailable(error) from exception


def unavailable(error: KafkaError) -> BrokerUnavailable:
    """Say in the core's words what Kafka did not do."""
    return BrokerUnavailable(f"Kafka does not answer ({error.name()}: {error.str()})")


class Outage:
    """Reports an interruption when it begins and now and then while it lasts, not every try."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._reported_at: float | None = None

    def noticed(self, error: SomaError) -> None:
        """Something did not work."""
        now = time.monotonic()
        if self._reported_at is None or now - self._reported_at > _REMIND_SECONDS:
            self._reported_at = now
            self._report(error)

    def over(self) -> None:
        """Something worked."""
        self._reported_at = None
