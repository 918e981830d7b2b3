"""Redis, Qdrant and Kafka fail under load: speed changes, answers do not, and nothing is lost."""

from __future__ import annotations

import time

import pytest

from tests.failures.conftest import Installation
from tests.failures.story import (
    Story,
    check,
    check_projections,
    contents_of,
    converge,
    going_on,
    has_converged,
    recall,
    until,
)

WAYS = ("kill", "pause", "black hole", "refuse")
#: What nobody should have to wait for, on a machine that runs many tests at once.
PATIENCE_SECONDS = 10.0
BUSY_SECONDS = 0.7


def use(installation: Installation, story: Story, marker: str) -> None:
    """Store singly and in batches, revise, forget and recall for a while, on both replicas."""
    one, two = installation.one, installation.two
    batches = Story(story.space)

    def singles(turn: int) -> None:
        assert story.store(one, f"{marker} single {turn}")
        if turn % 5 == 4:
            ids = list(story.live)
            assert story.revise(two, ids[-1], f"{marker} revised {turn}")
            assert story.forget(one, ids[-2])

    def wholes(turn: int) -> None:
        assert batches.store_batch(two, [f"{marker} batch {turn}/{n}" for n in range(10)])

    def recalls(turn: int) -> None:
        started = time.monotonic()
        recall(two, story.space, f"{marker} single {turn}")
        assert time.monotonic() - started < PATIENCE_SECONDS

    with going_on(singles, wholes, recalls):
        time.sleep(BUSY_SECONDS)  # the load is the point
    story.live |= batches.live
    story.versions |= batches.versions


@pytest.mark.parametrize("how", WAYS)
def test_redis_down_changes_no_answer(installation: Installation, story: Story, how: str) -> None:
    use(installation, story, "before")

    installation.cluster.redis.fail(how)
    try:
        use(installation, story, "during")
        check(installation.one, story)
    finally:
        installation.cluster.redis.recover(how)

    use(installation, story, "after")
    check(installation.two, story)
    until(
        lambda: installation.one.get("/readyz").json()["dependencies"]["redis"] == "ok",
        "Redis is used again",
    )
    check_projections(installation.one, installation.worker)


@pytest.mark.parametrize("how", WAYS)
def test_qdrant_down_leaves_exact_answers_that_say_so(
    installation: Installation, story: Story, how: str
) -> None:
    use(installation, story, "before")

    installation.cluster.qdrant.fail(how)
    try:
        use(installation, story, "during")
        check(installation.one, story)
        answer = recall(installation.two, story.space, "during single 0")
        assert answer["degraded"] == ["vector_index"]
        assert contents_of(answer)[0] == "during single 0"
    finally:
        installation.cluster.qdrant.recover(how)

    until(
        lambda: not recall(installation.one, story.space, "during single 0")["degraded"],
        "Qdrant is used again",
    )
    check(installation.two, story)
    check_projections(installation.one, installation.worker)


@pytest.mark.parametrize("how", WAYS)
def test_kafka_down_keeps_events_in_the_outbox(
    installation: Installation, story: Story, how: str
) -> None:
    use(installation, story, "before")
    converge(installation.worker)

    installation.cluster.kafka.fail(how)
    try:
        use(installation, story, "during")
        check(installation.one, story)
        assert not has_converged(installation.worker)
    finally:
        installation.cluster.kafka.recover(how)

    check_projections(installation.one, installation.worker)
    check(installation.two, story)


def test_qdrant_down_and_no_room_in_the_process_leaves_the_words(
    installation: Installation, story: Story
) -> None:
    small = installation.cluster.api("small", SOMA_FASTCORE_BYTES="0")
    use(installation, story, "before")

    installation.cluster.qdrant.fail("kill")
    try:
        answer = installation.one.post(
            f"{small.url}/v1/recall",
            json={"namespace": story.space, "query": "before single 0", "vector": [1, 0, 0, 0]},
        ).json()
    finally:
        installation.cluster.qdrant.recover("kill")
        small.stop()

    assert answer["degraded"] == ["vector_index"]
    assert contents_of(answer)[0] == "before single 0"
    assert "dense" not in answer["hits"][0]["parts"]


def test_redis_emptied_under_load_changes_no_answer(
    installation: Installation, story: Story
) -> None:
    import redis

    with (
        redis.Redis.from_url(installation.cluster.redis.server.url) as server,
        going_on(lambda _: server.flushall()),
    ):
        use(installation, story, "meanwhile")

    check(installation.one, story)
    check(installation.two, story)
