"""What callers see when something behind the door fails."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from dependency_injector import providers

from adapters.environment import load_settings
from container import Container, build
from entrypoints.http.app import create_app
from tests.end_to_end.calling import calling
from tests.end_to_end.http_server import problem

KEY = "a-long-bootstrap-key"


@asynccontextmanager
async def _client(container: Container) -> AsyncIterator[httpx.AsyncClient]:
    # The bootstrap key is known without the store.
    async with calling(create_app(container), KEY) as client:
        yield client


@pytest.fixture
def closed(tmp_path: Path) -> Container:
    """A container whose store was never opened: it does not answer."""
    return build(
        load_settings({}, {"data_dir": tmp_path, "embedder": "none", "bootstrap_key": KEY})
    )


async def test_a_store_that_does_not_answer_is_a_503_that_says_when_to_retry(
    closed: Container,
) -> None:
    async with _client(closed) as http:
        stored = await http.post("/v1/memories", json={"content": "x"})
        recalled = await http.post("/v1/recall", json={"query": "x"})
        exported = await http.get("/v1/export")
        ready = await http.get("/readyz")
        alive = await http.get("/healthz")

    for answer in (stored, recalled, exported):
        problem(answer, 503)
        assert "1" == answer.headers["Retry-After"]
    assert (503, "unavailable") == (ready.status_code, ready.json()["status"])
    assert "ok" != ready.json()["dependencies"]["store"]
    assert 200 == alive.status_code


async def test_an_unexpected_failure_tells_nothing_of_the_inside(
    closed: Container, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "the password is hunter2"

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError(secret)

    closed.show.override(providers.Object(broken))
    async with _client(closed) as http:
        answer = await http.get("/v1/memories/x", headers={"X-Request-ID": "mine-1"})

    body = problem(answer, 500)
    assert "hunter2" not in answer.text
    assert "urn:somafractalmemory:problem:internal" == body["type"]
    logs = capsys.readouterr().err
    assert "hunter2" not in logs
    line = json.loads(logs)
    assert ("http.failed", "RuntimeError", "mine-1") == (
        line["event"],
        line["error"],
        line["request_id"],
    )
    assert "/v1/memories/{memory_id}" == line["route"]
