"""Questions are asked together when they come together, and at once when they come alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from adapters.gathered_questions import QUESTIONS_MAX, GatheredQuestions
from domain.errors import EmbedderUnavailable
from domain.vector import Vector
from tests.end_to_end.embedded import BagOfWords


class Server(BagOfWords):
    """Answers when it is told to; refuses questions with the word `bad`."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[str]] = []
        self.open = asyncio.Event()
        self.down = False

    async def embed_query(self, text: str, /) -> Vector:
        """Note one question."""
        [vector] = await self.embed_queries([text])
        if isinstance(vector, EmbedderUnavailable):
            raise vector
        return vector

    async def embed_queries(self, texts: Sequence[str], /) -> list[Vector | EmbedderUnavailable]:
        """Note several questions."""
        self.calls.append(list(texts))
        await self.open.wait()
        if self.down:
            raise EmbedderUnavailable("down")
        return [
            EmbedderUnavailable("refused") if "bad" in text else self._vector(text)
            for text in texts
        ]


async def asked(gathered: GatheredQuestions, *texts: str) -> list[asyncio.Task[Vector]]:
    """Ask several questions at once, and let each of them begin."""
    tasks = [asyncio.ensure_future(gathered.embed_query(text)) for text in texts]
    await asyncio.sleep(0)
    return tasks


async def test_asks_at_once_when_nothing_is_under_way() -> None:
    server = Server()
    server.open.set()
    gathered = GatheredQuestions(server, window_seconds=3600)

    for text in ("one", "two"):
        assert await gathered.embed_query(text) == server._vector(text)

    assert server.calls == [["one"], ["two"]]


async def test_asks_together_what_comes_while_one_is_under_way() -> None:
    server = Server()
    gathered = GatheredQuestions(server, window_seconds=0)
    texts = ["first", "second", "third", "second"]

    tasks = await asked(gathered, *texts)
    server.open.set()

    assert await asyncio.gather(*tasks) == [server._vector(text) for text in texts]
    assert server.calls == [["first"], ["second", "third"]]


async def test_does_not_wait_for_more_than_fit_into_one_call() -> None:
    server = Server()
    gathered = GatheredQuestions(server, window_seconds=3600)
    texts = [f"question {number}" for number in range(QUESTIONS_MAX + 1)]

    tasks = await asked(gathered, *texts)
    server.open.set()

    await asyncio.gather(*tasks)
    assert server.calls == [texts[:1], texts[1:]]


async def test_one_that_is_refused_fails_alone() -> None:
    server = Server()
    gathered = GatheredQuestions(server, window_seconds=0)

    tasks = await asked(gathered, "first", "good", "bad")
    server.open.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)

    assert found[:2] == [server._vector("first"), server._vector("good")]
    assert isinstance(found[2], EmbedderUnavailable)


async def test_what_fails_for_all_reaches_all_and_then_all_is_well_again() -> None:
    server = Server()
    server.down = True
    gathered = GatheredQuestions(server, window_seconds=0)

    tasks = await asked(gathered, "first", "second", "third")
    server.open.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    server.down = False

    assert all(isinstance(one, EmbedderUnavailable) for one in found)
    assert await gathered.embed_query("again") == server._vector("again")


async def test_who_leaves_takes_nobody_along() -> None:
    server = Server()
    gathered = GatheredQuestions(server, window_seconds=0)

    tasks = await asked(gathered, "first", "same", "same")
    tasks[1].cancel()
    server.open.set()

    assert await tasks[2] == server._vector("same")
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
