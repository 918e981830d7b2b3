"""Questions that come at the same time, embedded in one call to a server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from domain.errors import EmbedderUnavailable
from domain.ports import Embedder
from domain.vector import EmbeddingModel, Vector

WINDOW_SECONDS = 0.002
QUESTIONS_MAX = 64


class ManyQuestions(Embedder, Protocol):
    """An embedder that takes several questions in one call."""

    async def embed_queries(self, texts: Sequence[str], /) -> list[Vector | EmbedderUnavailable]:
        """Return the vector of each question, or why there is none."""


class GatheredQuestions:
    """Implements `domain.ports.Embedder`, for an embedder whose vectors know no company.

    A question that comes while none is being answered is asked at once. One that comes meanwhile
    waits two milliseconds for others at most, and is asked together with them.
    """

    def __init__(self, inner: ManyQuestions, *, window_seconds: float = WINDOW_SECONDS) -> None:
        self._inner = inner
        self._window_seconds = window_seconds
        self._under_way = 0
        self._waiting: dict[str, asyncio.Future[Vector]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def model(self) -> EmbeddingModel:
        """The model behind."""
        return self._inner.model

    async def embed_passages(self, texts: Sequence[str], /) -> list[Vector]:
        """Pass on: they come in batches already."""
        return await self._inner.embed_passages(texts)

    async def embed_query(self, text: str, /) -> Vector:
        """Embed a question, alone or in company."""
        if not self._under_way:
            self._under_way += 1
            try:
                return await self._inner.embed_query(text)
            finally:
                self._under_way -= 1
        loop = asyncio.get_running_loop()
        if text not in self._waiting:
            self._waiting[text] = loop.create_future()
        answer = self._waiting[text]
        if len(self._waiting) >= QUESTIONS_MAX:
            self._go()
        elif self._timer is None:
            self._timer = loop.call_later(self._window_seconds, self._go)
        # Several callers may have the same question: one that leaves must not take it along.
        return await asyncio.shield(answer)

    def _go(self) -> None:
        """Ask everything that waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, {}
        task = asyncio.create_task(self._ask(waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, waiting: dict[str, asyncio.Future[Vector]]) -> None:
        self._under_way += 1
        try:
            outcomes = await self._inner.embed_queries(list(waiting))
        except EmbedderUnavailable as error:
            outcomes = [error] * len(waiting)
        finally:
            self._under_way -= 1
        for answer, outcome in zip(waiting.values(), outcomes, strict=True):
            if isinstance(outcome, Vector):
                answer.set_result(outcome)
            else:
                answer.set_exception(outcome)
                # Whoever asked may have left: then nobody looks at it.
                answer.exception()
