"""Workers are killed, stopped and doubled; the embedder goes away: projections converge."""

from __future__ import annotations

import threading
import time
import uuid
from functools import partial
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from psycopg import sql

from tests.contracts.embedding_server import embedding_server
from tests.end_to_end.embedded import DIMENSION as BAG_DIMENSION
from tests.failures.cluster import Cluster
from tests.failures.conftest import Installation
from tests.failures.story import (
    Json,
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
from tests.servers.proxy import Mode, Proxy

BUSY_SECONDS = 0.7
BATCHES_PER_LIFE = 15
BATCH = 10


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
    # Not as much as can be stored while workers start: how long that takes says how busy the
    # machine is, and the busier it is the less the last worker can take up in the end.
    allowed = threading.Semaphore(0)

    def store(turn: int) -> None:
        if allowed.acquire(blocking=False):
            batch = [f"{turn}/{number}" for number in range(BATCH)]
            assert story.store_batch(installation.one, batch)

    with going_on(store):
        for life in range(4):
            allowed.release(BATCHES_PER_LIFE)
            some = (life * BATCHES_PER_LIFE + 5) * BATCH
            until(partial(holds, story, some), "there is something to do")
            worker.kill()
            worker.start()

    check_projections(installation.one, installation.worker)
    check(installation.two, story)


def holds(story: Story, count: int) -> bool:
    """Tell whether so many memories are stored."""
    return len(story.live) >= count


def test_two_workers_share_the_work_in_order(installation: Installation, story: Story) -> None:
    second = installation.cluster.worker("second")
    spaces = [Story(f"{story.space}/{number}") for number in range(8)]

    for number, space in enumerate(spaces):
        for turn in range(3):
            space.store_batch(installation.one, [f"{number}/{turn}/{n}" for n in range(10)])

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


@pytest.mark.parametrize("how", ["refuse", "black hole"])
def test_the_embedder_down_leaves_words_and_what_is_missing_is_computed_later(
    cluster: Cluster, story: Story, how: str
) -> None:
    with embedding_server() as asked, Proxy(port_of(asked.url)).running() as proxy:
        settings = {
            "SOMA_EMBEDDER": "openai",
            "SOMA_EMBEDDER_URL": f"http://127.0.0.1:{proxy.port}/v1",
            "SOMA_EMBEDDER_MODEL": "bag",
            "SOMA_EMBEDDER_DIMENSION": str(BAG_DIMENSION),
            "SOMA_EMBEDDER_TIMEOUT_SECONDS": "1",
            "SOMA_EMBED_WAIT_SECONDS": "2",
            "SOMA_BACKGROUND_EMBEDDING": "false",
            "SOMA_POSTGRES_URL": other_database(cluster),
            "SOMA_KAFKA_PREFIX": f"{how[:5]}-",
            "NO_PROXY": "127.0.0.1",
        }
        api, worker = cluster.api("embedding", **settings), cluster.worker("embedder", **settings)
        with client(api.url) as http, client(worker.url) as watch:
            assert remembered(http, story.space, "the red kettle")["indexed"]

            proxy.set(Mode(how))
            late = remembered(http, story.space, "the blue canoe")
            answer = recalled(http, story.space, "blue canoe")
            assert not late["indexed"]
            assert answer["degraded"] == ["embedder"]
            assert contents_of(answer) == ["the blue canoe"]

            proxy.set(Mode.FORWARD)
            until(
                lambda: not http.get("/v1/stats/pending").json()["pending"],
                "what is missing is computed",
            )
            answer = recalled(http, story.space, "a canoe")
            assert answer["degraded"] == []
            assert "semantic" in answer["hits"][0]["parts"]
            check_projections(http, watch)
        worker.stop()
        api.stop()


def remembered(http: httpx.Client, space: str, content: str) -> Json:
    """Store a memory whose vector the server computes."""
    answer = http.post("/v1/memories", json={"namespace": space, "content": content})
    assert answer.status_code == 201, answer.text
    stored: Json = answer.json()
    return stored


def recalled(http: httpx.Client, space: str, query: str) -> Json:
    """Ask with words only."""
    answer = http.post("/v1/recall", json={"namespace": space, "query": query})
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def other_database(cluster: Cluster) -> str:
    """Make a database beside the first: another model has to have its own."""
    name = f"embedded_{uuid.uuid4().hex}"
    with psycopg.connect(cluster.postgres.server.url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return f"{cluster.settings['SOMA_POSTGRES_URL'].rpartition('/')[0]}/{name}"


def port_of(url: str) -> int:
    """Return the port of a URL."""
    port = urlsplit(url).port
    assert port is not None
    return port
