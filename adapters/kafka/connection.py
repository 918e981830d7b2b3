"""How Kafka is reached: addresses, security and names."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: librdkafka's own default of 10 s would leave a broker that is back waiting.
_RECONNECT_MAX_MS = 2000
_SOCKET_TIMEOUT_MS = 10_000
#: How soon a topic that was made, or has grown, is noticed.
_METADATA_REFRESH_MS = 30_000

Configuration = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaConnection:
    """Where Kafka is.

    `servers` is a list such as `kafka-1:9092,kafka-2:9092`; `options` are librdkafka properties
    (`security.protocol`, `sasl.username`, ...); `topic_prefix` keeps installations that share a
    cluster apart. `timeout_seconds` bounds every question and every delivery.
    """

    servers: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    topic_prefix: str = ""
    timeout_seconds: float = 10.0

    def topic(self, name: str) -> str:
        """Return the name of a topic in the cluster."""
        return self.topic_prefix + name

    def configuration(self, own: Configuration) -> Configuration:
        """Return librdkafka's configuration: `own` beats the options, these beat the defaults."""
        defaults: Configuration = {
            "client.id": "soma",
            "logger": _silence(),
            "socket.timeout.ms": _SOCKET_TIMEOUT_MS,
            "socket.connection.setup.timeout.ms": _SOCKET_TIMEOUT_MS,
            "socket.keepalive.enable": True,
            "reconnect.backoff.max.ms": _RECONNECT_MAX_MS,
            "topic.metadata.refresh.interval.ms": _METADATA_REFRESH_MS,
        }
        return {**defaults, **self.options, "bootstrap.servers": self.servers, **own}


def _silence() -> logging.Logger:
    """Return where the client's own words go: what goes wrong is raised or reported instead."""
    logger = logging.Logger("librdkafka")
    logger.addHandler(logging.NullHandler())
    return logger
