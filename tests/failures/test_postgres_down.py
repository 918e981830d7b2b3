"""PostgreSQL fails, or an API process is killed: what was acknowledged is there."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.failures.conftest import Installation
from tests.failures.story import Story, check, check_projections, client, going_on, recall, until

BUSY_SECONDS = 0.7
BATCH = 10


def works(http: httpx.Client) -> bool:
    """Tell whether a replica says that it can serve."""
    return http.get("/readyz").status_code == 200


@pytest.mark.parametrize("how", ["kill", "pause", "black hole", "refuse"])
def test_postgres_down_refuses_and_recovers_without_a_restart(
    installation: Installation, story: Story, how: str
) -> None:
    singles, batches = Story(story.space), Story(story.space)
    batch_attempts: list[list[str]] = []

    def store(turn: int) -> None:
        singles.store(installation.one, f"single {turn}")

    def store_batch(turn: int) -> None:
        contents = [f"batch {turn}/{number}" for number in range(BATCH)]
        batch_attempts.append(contents)
        batches.store_batch(installation.two, contents)

    def ask(turn: int) -> None:
        body = {"namespace": story.space, "query": f"single {turn}", "vector": [1, 0, 0, 0]}
        answer = installation.two.post("/v1/recall", json=body)
        assert answer.status_code in {200, 503}, answer.text

    with going_on(store, store_batch, ask):
        time.sleep(BUSY_SECONDS)  # the load is the point
        installation.cluster.postgres.fail(how)
        try:
            until(lambda: singles.refused, "a store is refused")
            until(lambda: not works(installation.one), "the replica says that it cannot serve")
        finally:
            installation.cluster.postgres.recover(how)
        until(lambda: works(installation.one) and works(installation.two), "both serve again")
        acknowledged = len(singles.live)
        until(lambda: len(singles.live) > acknowledged, "stores are acknowledged again")

    story.live = singles.live | batches.live
    story.versions = singles.versions | batches.versions
    check(installation.one, story)
    check(installation.two, story)
    assert_whole_or_absent(installation.one, story.space, batch_attempts)
    check_projections(installation.one, installation.worker)


def test_an_api_process_killed_under_load_loses_nothing_it_acknowledged(
    installation: Installation, story: Story
) -> None:
    victim = installation.cluster.api("victim")
    singles, batches = Story(story.space), Story(story.space)
    batch_attempts: list[list[str]] = []

    with client(victim.url) as first, client(victim.url) as second:

        def store(turn: int) -> None:
            singles.store(first, f"single {turn}")

        def store_batch(turn: int) -> None:
            contents = [f"batch {turn}/{number}" for number in range(BATCH)]
            batch_attempts.append(contents)
            batches.store_batch(second, contents)

        with going_on(store, store_batch):
            until(lambda: len(singles.live) > 5 and batches.live, "there is something to lose")
            victim.kill()

    story.live = singles.live | batches.live
    story.versions = singles.versions | batches.versions
    check(installation.one, story)
    assert_whole_or_absent(installation.one, story.space, batch_attempts)
    check_projections(installation.one, installation.worker)


def assert_whole_or_absent(http: httpx.Client, space: str, batches: list[list[str]]) -> None:
    """Look up the last batches, those that were under way among them."""
    for contents in batches[-20:]:
        found = [
            content
            for content in contents
            if content in {hit["memory"]["content"] for hit in recall(http, space, content)["hits"]}
        ]
        assert found in ([], contents)
