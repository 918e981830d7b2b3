"""`soma demo`: what a newcomer sees first, with the real embedding model."""

from __future__ import annotations

import resource
from pathlib import Path

import httpx
import pytest

from entrypoints.cli.client import Api
from entrypoints.cli.demo import Story
from entrypoints.cli.failure import Failure
from tests.end_to_end.cli_process import Soma


def seconds_of_children() -> float:
    """Return how long processors have worked for the processes started here that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_demo_tells_the_whole_story_in_time_and_leaves_nothing_behind(tmp_path: Path) -> None:
    soma = Soma(tmp_path, embedder="bge-small")
    before = seconds_of_children()

    shown = soma.out("demo")

    # It never waits, so this is what it takes where nothing else runs.
    assert seconds_of_children() - before < 10
    for step in ("Remembered 30 turns", "? What kind of dog", "Corrected", "Forgotten", "A path"):
        assert step in shown
    assert list(tmp_path.iterdir()) == []


def test_the_demo_reports_what_it_did_for_programs(tmp_path: Path) -> None:
    soma = Soma(tmp_path, embedder="bge-small")

    report = soma.json("demo", f"--data={tmp_path / 'kept'}")

    assert report["remembered"] == 30
    assert [question["rank"] <= 3 for question in report["questions"]] == [True] * 5
    assert len(report["path"]) == 3
    assert (tmp_path / "kept").is_dir()


async def test_the_demo_fails_loudly_when_an_answer_does_not_come_back() -> None:
    def forgetful(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/recall":
            return httpx.Response(200, json={"hits": [], "degraded": []})
        turns = Story.turns("demo")
        results = [{"memory": {"content": t["content"], "id": str(n)}} for n, t in enumerate(turns)]
        return httpx.Response(200, json={"results": results})

    transport = httpx.MockTransport(forgetful)
    async with httpx.AsyncClient(base_url="http://soma", transport=transport) as http:
        story = Story(Api(http, embedded=True), namespace="demo", quiet=True)
        await story.load()
        with pytest.raises(Failure, match="the demo failed"):
            await story.answer_questions()
