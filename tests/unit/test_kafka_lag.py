"""What the client's statistics say about how far a member is behind."""

from __future__ import annotations

import json

import pytest

from adapters.kafka.source import lag_in

Partition = dict[str, object]


def statistics(*partitions: Partition) -> str:
    """Return librdkafka's JSON, as far as it matters; partition -1 is internal."""
    numbered = {str(number): partition for number, partition in enumerate(partitions)}
    internal = {"-1": {"partition": -1, "fetch_state": "none", "consumer_lag": -1}}
    return json.dumps({"type": "consumer", "topics": {"t": {"partitions": numbered | internal}}})


def of(lag: int, state: str = "active") -> Partition:
    """Return what is said of one partition."""
    return {"fetch_state": state, "consumer_lag": lag}


def untouched(first: int, end: int) -> Partition:
    """Return what is said of a partition of which nothing has ever been finished."""
    return {**of(-1), "committed_offset": -1001, "lo_offset": first, "hi_offset": end}


@pytest.mark.parametrize(
    ("said", "lag"),
    [
        (statistics(of(3), of(4)), 7),
        (statistics(of(0)), 0),
        (statistics(of(3), of(-1, "none")), 3),
        (statistics(of(3), of(-1)), None),
        (statistics(of(3), untouched(0, 0)), 3),
        (statistics(of(3), untouched(10, 14)), 7),
        (statistics(of(3), untouched(-1001, -1001)), None),
        (statistics(of(5, "stopped")), None),
        ('{"type": "consumer", "topics": {}}', None),
    ],
)
def test_the_lag_is_that_of_the_members_own_partitions(said: str, lag: int | None) -> None:
    assert lag == lag_in(said, "t")
