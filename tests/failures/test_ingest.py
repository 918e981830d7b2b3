"""Producers hand in memories over Kafka while the worker dies: each is stored once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from confluent_kafka import Producer

from tests.failures.cluster import ROOT, Cluster
from tests.failures.conftest import Installation
from tests.failures.story import PAGE, Story, draft, until

MESSAGES = 60


def produce(servers: str, bodies: list[Any]) -> None:
    """Send bodies to the ingest topic and wait until they are acknowledged."""
    refused: list[object] = []
    producer = Producer({"bootstrap.servers": servers, "acks": "all", "log_level": 0})
    for number, body in enumerate(bodies):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        producer.produce(
            "memory.ingest",
            key=str(number % 5),
            value=raw,
            on_delivery=lambda error, _: refused.append(error) if error else None,
        )
    assert producer.flush(20) == 0
    assert not refused


def stored(installation: Installation, space: str) -> list[str]:
    """Return every content of a namespace."""
    answer = installation.one.get("/v1/memories", params={"namespace": space, "limit": PAGE})
    return sorted(memory["content"] for memory in answer.json()["items"])


def replay(cluster: Cluster) -> str:
    """Run the command that sends parked messages back."""
    arguments = ["-c", "from entrypoints.cli import main; main()", "replay-dead-letters", "--json"]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **cluster.settings}
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environ,
        cwd=cluster.folder,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout


def test_every_message_is_stored_once_though_the_worker_is_killed(
    installation: Installation, story: Story
) -> None:
    worker = installation.processes["worker"]
    bodies = [{**draft(story.space, f"message {n}"), "deduplicate": False} for n in range(MESSAGES)]
    poison: list[Any] = [b"poison", {"namespace": story.space}]

    produce(installation.cluster.kafka.server.url, [*bodies[:30], *poison])
    until(lambda: stored(installation, story.space), "the first are stored")
    worker.kill()
    produce(installation.cluster.kafka.server.url, bodies[30:])
    worker.start()

    expected = sorted(body["content"] for body in bodies)
    until(lambda: stored(installation, story.space) == expected, "each is stored once")
    # Sent back, the poison is refused and parked again; nothing else comes of it.
    assert json.loads(replay(installation.cluster)) == {"sent": 2}
    assert stored(installation, story.space) == expected
