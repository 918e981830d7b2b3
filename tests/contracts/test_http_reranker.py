"""The reranker behind HTTP, asked of a server that misbehaves in every way."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from adapters.http_reranker import ANSWER_BYTES_MAX, BATCH_TEXTS, TEXT_BYTES, HttpReranker
from domain.errors import RerankerUnavailable
from domain.ports import Passage
from tests.contracts.reranking_server import (
    Asked,
    Behaviour,
    changed,
    dripping,
    hanging_up,
    reranking_server,
    silent,
    status,
)

KEY = "s3cret"
QUESTION = "red kettle"
TEXTS = ["blue canoe", "red kettle", "red clock"]


async def _at_once(seconds: float) -> None:
    assert 0 <= seconds < 1


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with reranking_server() as asked:
        yield asked


@asynccontextmanager
async def reranker_for(server: Asked, **settings: object) -> AsyncIterator[HttpReranker]:
    given = {"url": server.url, "key": KEY, "wait": _at_once, **settings}
    reranker = HttpReranker(**given)  # type: ignore[arg-type]
    yield reranker
    await reranker.close()


async def ask(reranker: HttpReranker, *texts: str) -> list[float]:
    return await reranker.scores(QUESTION, [Passage(text) for text in texts or TEXTS])


async def test_asks_without_a_model_as_text_embeddings_inference_wants_it(server: Asked) -> None:
    async with reranker_for(server, url=server.url + "/") as reranker:
        assert [0.0, 1.0, 0.5] == await ask(reranker)

    [request] = server.requests
    assert "/rerank" == request.path
    assert f"Bearer {KEY}" == request.headers["Authorization"]
    assert {"query": QUESTION, "texts": TEXTS, "truncate": True} == request.body


async def test_asks_with_a_model_as_jina_and_cohere_want_it(server: Asked) -> None:
    async with reranker_for(server, model="m", key=None) as reranker:
        assert [0.0, 1.0, 0.5] == await ask(reranker)

    [request] = server.requests
    assert "Authorization" not in request.headers
    assert {"model": "m", "query": QUESTION, "documents": TEXTS, "top_n": 3} == request.body


async def test_many_or_long_texts_are_sent_in_bounded_requests(server: Asked) -> None:
    texts = [f"{number} {'red ' * 5000}é" for number in range(BATCH_TEXTS + 5)]

    async with reranker_for(server) as reranker:
        scores = await ask(reranker, *texts, "", "red kettle")

    assert [0.5] * len(texts) + [0.0, 1.0] == scores
    assert len(server.requests) > 1
    for request in server.requests:
        assert len(request.texts) <= BATCH_TEXTS
        assert all(1 <= len(text.encode()) <= TEXT_BYTES for text in request.texts)


@pytest.mark.parametrize("failure", [status(429), status(500), status(503), hanging_up])
async def test_what_may_pass_is_asked_once_more(server: Asked, failure: Behaviour) -> None:
    server.behaviours = [failure]

    async with reranker_for(server) as reranker:
        assert [0.0, 1.0, 0.5] == await ask(reranker)

    assert 2 == len(server.requests)


@pytest.mark.parametrize("failure", [status(429), status(502), hanging_up])
async def test_what_does_not_pass_is_given_up(server: Asked, failure: Behaviour) -> None:
    server.behaviours = [failure] * 3

    async with reranker_for(server) as reranker:
        with pytest.raises(RerankerUnavailable, match="asked 2 times"):
            await ask(reranker)

    assert 2 == len(server.requests)


@pytest.mark.parametrize("code", [204, 301, 400, 401, 404, 413, 422])
async def test_a_refusal_is_final(server: Asked, code: int) -> None:
    server.behaviours = [status(code, b"")]

    async with reranker_for(server) as reranker:
        with pytest.raises(RerankerUnavailable, match=f"answered {code}"):
            await ask(reranker)

    assert 1 == len(server.requests)


@pytest.mark.parametrize("failure", [silent, dripping])
async def test_a_slow_server_is_given_up(server: Asked, failure: Behaviour) -> None:
    server.behaviours = [failure]

    async with reranker_for(server, timeout_seconds=0.2) as reranker:
        with pytest.raises(RerankerUnavailable, match=r"did not answer within 0\.2 s"):
            await ask(reranker)


@pytest.mark.parametrize(
    "failure",
    [
        changed(lambda found: found[1:]),
        changed(lambda found: [*found, found[0]]),
        changed(lambda found: [{**item, "index": item["index"] + 1} for item in found]),
        changed(lambda found: [{**item, "index": 0} for item in found]),
        changed(lambda found: [{"index": item["index"]} for item in found]),
        changed(lambda found: [{**item, "score": None} for item in found]),
        changed(lambda found: [{**item, "score": "high"} for item in found]),
        changed(lambda found: "nothing"),
        changed(lambda found: {"scores": [1, 2, 3]}),
        status(200, b'[{"index":0,"score":NaN},{"index":1,"score":1},{"index":2,"score":1}]'),
        status(200, b'[{"index":0,"score":1e999},{"index":1,"score":1},{"index":2,"score":1}]'),
        status(200, b""),
        status(200, b"\xff\xfe"),
        status(200, b" " * (ANSWER_BYTES_MAX + 1)),
    ],
)
async def test_an_answer_that_is_none_is_refused(server: Asked, failure: Behaviour) -> None:
    server.behaviours = [failure]

    async with reranker_for(server) as reranker:
        with pytest.raises(RerankerUnavailable, match="the reranking server") as refusal:
            await ask(reranker)

    assert KEY not in str(refusal.value)
    assert not any(text in str(refusal.value) for text in TEXTS)


async def test_nobody_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"

    async with reranker_for(Asked(url)) as reranker:
        with pytest.raises(RerankerUnavailable, match="cannot be asked"):
            await ask(reranker)


async def test_a_closed_reranker_says_so(server: Asked) -> None:
    async with reranker_for(server) as reranker:
        await ask(reranker)

    with pytest.raises(RerankerUnavailable, match="closed"):
        await ask(reranker)


async def test_nothing_to_judge_asks_nobody(server: Asked) -> None:
    async with reranker_for(server) as reranker:
        assert [] == await reranker.scores(QUESTION, [])

    assert [] == server.requests
