"""What users do while something fails, and what must be true afterwards."""

from __future__ import annotations

import hashlib
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

TIMEOUT_SECONDS = 30.0
CONVERGE_SECONDS = 60.0
PACE_SECONDS = 0.05
PAGE = 1000

Json = dict[str, Any]
_PROJECTIONS = 3

_LAG = re.compile(r"^soma_projection_lag_events\{[^}]*\} (\S+)$", re.MULTILINE)


def client(url: str) -> httpx.Client:
    """Return a client of a replica."""
    return httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS)


def vector_of(content: str) -> list[float]:
    """Return a vector of four numbers that only this content has."""
    digest = hashlib.sha256(content.encode()).digest()
    return [digest[place] / 255 + 0.01 for place in range(4)]


def draft(space: str, content: str) -> Json:
    """Return the body that stores a content with its vector."""
    return {"namespace": space, "content": content, "vector": vector_of(content)}


@dataclass
class Story:
    """The acknowledged state of one namespace, as its only users know it."""

    space: str
    live: dict[str, str] = field(default_factory=dict)  # id -> content
    gone: dict[str, str] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    refused: list[int] = field(default_factory=list)
    attempts: int = 0

    def store(self, http: httpx.Client, content: str) -> bool:
        """Store one memory; True when it was acknowledged."""
        answer = self._sent(lambda: http.post("/v1/memories", json=draft(self.space, content)))
        if answer is not None:
            self._acknowledged([answer["memory"]])
        return answer is not None

    def store_batch(self, http: httpx.Client, contents: list[str]) -> bool:
        """Store several at once; True when they were acknowledged."""
        body = {"memories": [draft(self.space, content) for content in contents]}
        answer = self._sent(lambda: http.post("/v1/memories/batch", json=body))
        if answer is not None:
            self._acknowledged([result["memory"] for result in answer["results"]])
        return answer is not None

    def revise(self, http: httpx.Client, id: str, content: str) -> bool:
        """Change the text of a memory."""
        body = {"content": content, "vector": vector_of(content)}
        answer = self._sent(lambda: http.patch(f"/v1/memories/{id}", json=body))
        if answer is not None:
            self._acknowledged([answer["memory"]])
        return answer is not None

    def forget(self, http: httpx.Client, id: str) -> bool:
        """Forget a memory."""
        answer = self._sent(lambda: http.delete(f"/v1/memories/{id}"))
        if answer is not None:
            self.gone[id] = self.live.pop(id)
        return answer is not None

    def _acknowledged(self, memories: list[Json]) -> None:
        for memory in memories:
            self.live[memory["id"]] = memory["content"]
            self.versions[memory["id"]] = memory["version"]

    def _sent(self, send: Callable[[], httpx.Response]) -> Json | None:
        self.attempts += 1
        try:
            answer = send()
        except httpx.TransportError:
            return None
        if answer.is_success:
            body: Json = answer.json() if answer.content else {}
            return body
        assert answer.status_code == 503, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        self.refused.append(answer.status_code)
        return None


@contextmanager
def going_on(*works: Callable[[int], object]) -> Iterator[None]:
    """Repeat each work in a thread of its own while the block runs; raise what they raise.

    At most twenty times a second: what is stored here, a stand-in has to index soon.
    """
    ending = threading.Event()

    def repeat(work: Callable[[int], object]) -> None:
        turn = 0
        while not ending.wait(PACE_SECONDS):
            work(turn)
            turn += 1

    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(repeat, work) for work in works]
        try:
            yield
        finally:
            ending.set()
            # Also when the block failed: it may have waited in vain for what a thread gave up.
            for future in futures:
                future.result()


def recall(http: httpx.Client, space: str, content: str, **more: object) -> Json:
    """Ask for a content by its words and its vector."""
    body = {"namespace": space, "query": content, "vector": vector_of(content), "k": 5, **more}
    answer = http.post("/v1/recall", json=body)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def contents_of(answer: Json) -> list[str]:
    """Return what a recall found."""
    return [hit["memory"]["content"] for hit in answer["hits"]]


def until(
    condition: Callable[[], object],
    what: str,
    seconds: float = CONVERGE_SECONDS,
    *,
    every_seconds: float = 0.05,
) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} has not come true in {seconds} s"
        time.sleep(every_seconds)  # polls a condition


def has_converged(worker: httpx.Client) -> bool:
    """Tell whether a worker has nothing left to do."""
    return _left(worker) == 0


def _left(worker: httpx.Client) -> float | None:
    """Return how many events a worker has to apply yet; None when it cannot tell."""
    lags = _LAG.findall(worker.get("/metrics").text)
    # An index that does not answer has no lag: relay, cached bodies and Qdrant must all be there.
    return sum(map(float, lags)) if len(lags) == _PROJECTIONS else None


def check(http: httpx.Client, story: Story) -> None:
    """Compare everything a replica answers with what it once acknowledged."""
    stored = _listed(http, story.space)
    by_id = {memory["id"]: memory for memory in stored}
    contents = [memory["content"] for memory in stored]
    assert len(contents) == len(set(contents)), "something was stored twice"
    for id, content in story.live.items():
        assert by_id[id]["content"] == content
        assert by_id[id]["version"] >= story.versions[id]
    for id in story.gone:
        assert id not in by_id
        assert http.get(f"/v1/memories/{id}").status_code == 404
    for id in [*list(story.live)[-3:], *list(story.gone)[-3:]]:
        _check_history(http, id)
    for content in list(story.live.values())[-5:]:
        assert contents_of(recall(http, story.space, content))[0] == content
    for content in list(story.gone.values())[-5:]:
        assert content not in contents_of(recall(http, story.space, content))


def converge(worker: httpx.Client, seconds: float = CONVERGE_SECONDS) -> None:
    """Wait until a worker has nothing left to do, for as long as what is left becomes less.

    How much there is to do and how quickly a busy machine does it are not what is tested: a worker
    that gets nowhere is what must not be.
    """
    least = math.inf
    deadline = time.monotonic() + seconds
    while (left := _left(worker)) != 0:
        if left is not None and left < least:
            least, deadline = left, time.monotonic() + seconds
        assert time.monotonic() < deadline, f"no progress in {seconds} s with {left} events left"
        # Metrics are read rarely: whoever writes them is to do the work that is waited for.
        time.sleep(0.5)  # polls a condition


def check_projections(http: httpx.Client, worker: httpx.Client) -> None:
    """Wait until the worker is done, and compare what is derived with a rebuild."""
    converge(worker)
    answers: list[httpx.Response] = []

    def is_compared() -> bool:
        """A stand-in on a busy machine may be slow to tell what it holds: then 503."""
        answers.append(http.post("/v1/maintenance/reconcile", params={"check": "true"}))
        assert answers[-1].status_code in {200, 503}, answers[-1].text
        return answers[-1].is_success

    until(is_compared, "everything derived can be compared")
    assert answers[-1].json() == {"findings": []}


def _check_history(http: httpx.Client, id: str) -> None:
    answer = http.get(f"/v1/memories/{id}/history")
    assert answer.status_code == 200, answer.text
    numbers = [entry["memory"]["version"] for entry in answer.json()["items"]]
    assert numbers == list(range(len(numbers), 0, -1))


def _listed(http: httpx.Client, space: str) -> list[Json]:
    found: list[Json] = []
    cursor = None
    while True:
        parameters: dict[str, str | int] = {"namespace": space, "limit": PAGE}
        if cursor is not None:
            parameters["cursor"] = cursor
        answer = http.get("/v1/memories", params=parameters)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found
