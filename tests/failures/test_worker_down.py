"""Workers are killed, stopped and doubled; the embedder goes away: projections converge."""

from __future__ import annotations

import re
import time

import pytest

from tests.contracts.embedding_server import embedding_server
from tests.failures.conftest import Installation
from tests.failures.story import (
    Story,
    check,
    check_projections,
    client,
    contents_of,
    going_on,
    has_converged,
    recall,
    until,
)

_DONE = re.compile(r'^soma_worker_done_total\{loop="(\w+)"\} (\S+)$', re.MULTILINE)
BUSY_SECONDS = 1.0


@pytest.mark.parametrize("how", ["kill", "pause"])
def test_a_worker_that_fails_is_missed_by_nobody(
    installation: Installation, story: Story, how: str
) -> None:
    worker = installation.processes["worker"]
    story.store_batch(installation.one, [f"before {number}" for number in range(100)])

    worker.kill() if how == "kill" else worker.pause()
    try:
        story.store_batch(installation.one, [f"during {number}" for number in range(100)])
        for id in list(story.live)[:10]:
            story.forget(installation.two, id)
        check(installation.two, story)
        assert contents_of(recall(installation.one, story.space, "during 7"))[0] == "during 7"
    finally:
        worker.start() if how == "kill" else worker.resume()

    check_projections(installation.one, installation.worker)
    check(installation.one, story)


def test_workers_killed_again_and_again_lose_no_progress(
    installation: Installation, story: Story
) -> None:
    worker = installation.processes["worker"]

    def store(turn: int) -> None:
        assert story.store_batch(installation.one, [f"{turn}/{number}" for number in range(20)])

    with going_on(store):
        for _ in range(4):
            time.sleep(BUSY_SECONDS)  # the load is the point
            worker.kill()
            worker.start()

    check_projections(installation.one, installation.worker)
    check(installation.two, story)


def test_two_workers_share_the_work_in_order(installation: Installation, story: Story) -> None:
    second = installation.cluster.worker("second")
    spaces = [Story(f"{story.space}/{number}") for number in range(8)]

    for number, space in enumerate(spaces):
        for turn in range(3):
            space.store_batch(installation.one, [f"{number}/{turn}/{n}" for n in range(20)])

    check_projections(installation.one, installation.worker)
    for space in spaces:
        check(installation.two, space)
    with client(second.url) as http:
        until(lambda: has_converged(http), "the second worker sees the same")
    second.stop()


def test_a_worker_told_to_stop_ends_in_order(installation: Installation, story: Story) -> None:
    second = installation.cluster.worker("stopped")

    with going_on(lambda turn: story.store(installation.one, f"note {turn}")):
        time.sleep(BUSY_SECONDS)  # the load is the point
        started = time.monotonic()
        second.stop()

    assert time.monotonic() - started < 12
    assert "Traceback" not in second.log_tail()
    check_projections(installation.one, installation.worker)


def test_without_an_embedder_memories_are_stored_and_found_by_their_words(
    installation: Installation, story: Story
) -> None:
    with embedding_server() as asked:
        settings = {
            "SOMA_EMBEDDER": "openai",
            "SOMA_EMBEDDER_URL": asked.url,
            "SOMA_EMBEDDER_MODEL": "bag",
            "SOMA_EMBEDDER_DIMENSION": "4",
        }
