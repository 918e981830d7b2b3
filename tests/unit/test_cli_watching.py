"""Watching a job from the command line."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from entrypoints.cli import watching
from entrypoints.cli.client import Api
from entrypoints.cli.failure import Failure

JOB: dict[str, Any] = {
    "id": "j1",
    "kind": "backup",
    "state": "queued",
    "attempts": 0,
    "done": 0,
    "total": None,
    "error": None,
    "result": None,
    "finished_at": None,
}
DOWN = {"attempts": 1, "error": "PostgreSQL does not\nanswer"}


async def watched(*states: dict[str, Any]) -> dict[str, Any]:
    """Watch a job that stands so when it is asked for, one after the other."""
    answers = iter(states)

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={**JOB, **next(answers)})

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(transport=transport, base_url="http://soma") as http:
        return await watching.result_of(Api(http, embedded=True), JOB)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "POLL_SECONDS_MAX", 0.0)


async def test_the_error_of_an_attempt_that_is_repeated_is_shown_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    over = {"state": "succeeded", "attempts": 3, "finished_at": "now", "result": {"bytes": 1}}

    result = await watched(
        DOWN, DOWN, {"state": "running", "attempts": 2}, {**DOWN, "attempts": 2}, over
    )

    assert result == {"bytes": 1}
    assert capsys.readouterr().err.splitlines() == [
        "attempt 1 failed, another follows: PostgreSQL does not answer",
        "attempt 2 failed, another follows: PostgreSQL does not answer",
    ]


async def test_the_error_of_the_last_attempt_is_the_failure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(Failure, match="PostgreSQL does not"):
        await watched({**DOWN, "state": "failed", "attempts": 8, "finished_at": "now"})

    assert capsys.readouterr().err == ""
