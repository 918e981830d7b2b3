"""A whole installation whose vectors come from a server over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from container import build, running
from domain.draft import Draft, Wait
from domain.namespace import DEFAULT_NAMESPACE, Scope
from domain.recall import RecallQuery
from tests.contracts.embedding_server import embedding_server, status
from tests.end_to_end.embedded import ACTOR, DIMENSION, settings_for


async def test_the_server_embeds_and_recall_does_without_it_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with embedding_server() as server:
        settings = settings_for(
            tmp_path,
            embedder="openai",
            embedder_url=server.url,
            embedder_model="m",
            embedder_dimension=DIMENSION,
        )
        async with running(build(settings)) as soma:
            drafts = [Draft(content="red kettle"), Draft(content="blue canoe")]
            stored = await soma.remember_batch()(drafts, wait=Wait.INDEXED, actor=ACTOR)
            assert all(result.indexed for result in stored)

            scope = Scope(DEFAULT_NAMESPACE)
            answer = await soma.recall()(RecallQuery(text="a red kettle", scope=scope))
            assert () == answer.degraded
            assert "red kettle" == answer.hits[0].memory.content
            assert answer.hits[0].parts["semantic"] > 0

            server.behaviours = [status(401)]
            answer = await soma.recall()(RecallQuery(text="the blue canoe", scope=scope))
            assert ("embedder",) == answer.degraded
            assert "blue canoe" == answer.hits[0].memory.content
