"""Which images the test servers come from, how each is started, and when it answers."""

from __future__ import annotations

import http.client
import os
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

PROBE_SECONDS = 2.0


@dataclass(frozen=True)
class ServerImage:
    """How a server runs in a container; `{port}` stands for the port on this machine."""

    image: str
    port: int
    url: str
    answers: Callable[[int], bool]
    command: tuple[str, ...] | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    #: What a server that is restarted is told besides.
    lasting_environ: Mapping[str, str] = field(default_factory=dict)
    #: Where data is kept; a server that is never restarted keeps it in memory.
    data: str | None = None


def postgres_answers(port: int) -> bool:
    """Tell whether a login works."""
    import psycopg

    try:
        url = _POSTGRES_URL.format(port=port)
        with psycopg.connect(url, connect_timeout=int(PROBE_SECONDS)):
            return True
    except psycopg.OperationalError:
        return False


def redis_answers(port: int) -> bool:
    """Tell whether it answers a ping."""
    return _exchange(port, b"PING\r\n", 5) == b"+PONG"


def kafka_answers(port: int) -> bool:
    """Tell whether it lists the versions of its protocol."""
    request = struct.pack(">hhih", 18, 0, 1, -1)
    answer = _exchange(port, struct.pack(">i", len(request)) + request, 8)
    return answer[4:8] == struct.pack(">i", 1)


def qdrant_answers(port: int) -> bool:
    """Tell whether it says that it is ready."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _exchange(port: int, request: bytes, length: int) -> bytes:
    """Send bytes and return what comes back, up to a length; empty when nothing does."""
    received = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PROBE_SECONDS) as connection:
            connection.settimeout(PROBE_SECONDS)
            connection.sendall(request)
            while len(received) < length and (more := connection.recv(length - len(received))):
                received += more
    except OSError:
        return b""
    return received


def _named(variable: str, usual: str) -> str:
    # Read at import: later every test hides the settings from outside.
    return os.environ.get(variable) or usual


_POSTGRES_URL = "postgresql://postgres:soma@127.0.0.1:{port}/postgres"

IMAGES: Mapping[str, ServerImage] = {
    "postgres": ServerImage(
        image=_named("SOMA_TEST_POSTGRES_IMAGE", "postgres:17"),
        port=5432,
        url=_POSTGRES_URL,
        answers=postgres_answers,
        # What is killed here is the container, never the machine.
        command=(
            *("postgres", "-c", "fsync=off", "-c", "full_page_writes=off"),
            *("-c", "max_connections=500"),  # every process of the run has pools of its own
        ),
        environ={"POSTGRES_PASSWORD": "soma", "PGDATA": "/var/lib/postgresql/data"},
        data="/var/lib/postgresql/data",
    ),
    "redis": ServerImage(
        image=_named("SOMA_TEST_REDIS_IMAGE", "redis:8"),
        port=6379,
        url="redis://127.0.0.1:{port}/0",
        answers=redis_answers,
        command=("redis-server", "--save", "", "--appendonly", "no"),
    ),
    "kafka": ServerImage(
        image=_named("SOMA_TEST_KAFKA_IMAGE", "apache/kafka:4.1.1"),
        port=9092,
        url="127.0.0.1:{port}",
        answers=kafka_answers,
        environ={
            "KAFKA_NODE_ID": "1",
            "KAFKA_PROCESS_ROLES": "broker,controller",
            "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
            "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://127.0.0.1:{advertised}",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
            "KAFKA_LOG_DIRS": "/var/lib/kafka/data",
            "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
            "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "1",
            "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "1",
        },
        # A broker that was killed comes back when its old registration has run out. On a busy
        # machine it would lose a short one while it runs.
        lasting_environ={
            "KAFKA_BROKER_SESSION_TIMEOUT_MS": "2000",
            "KAFKA_BROKER_HEARTBEAT_INTERVAL_MS": "500",
        },
    ),
    "qdrant": ServerImage(
        image=_named("SOMA_TEST_QDRANT_IMAGE", "qdrant/qdrant:v1.15.5"),
        port=6333,
        url="http://127.0.0.1:{port}",
        answers=qdrant_answers,
        environ={"QDRANT__TELEMETRY_DISABLED": "true"},
    ),
}
