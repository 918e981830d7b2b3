"""A whole embedded installation in a directory, with an embedder that is quick and real."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dependency_injector import providers

from adapters.environment import Settings, load_settings
from container import Container, build, running
from domain.ports import Embedder
from domain.vector import EmbeddingModel, Vector, unit_vector

DIMENSION = 64
ACTOR = "tester"


class BagOfWords:
    """Adds up one direction per word: texts that share words lie close, whatever the order."""

    def __init__(self, model: str = "bag-of-words", dimension: int = DIMENSION) -> None:
        self._model = EmbeddingModel(model, dimension)

    @property
    def model(self) -> EmbeddingModel:
        """A model of few dimensions."""
        return self._model

    async def embed_passages(self, texts: Sequence[str], /) -> list[Vector]:
        """Embed each text by itself."""
        return [self._vector(text, self._model.dimension) for text in texts]

    async def embed_query(self, text: str, /) -> Vector:
        """Embed a question as a text."""
        return self._vector(text, self._model.dimension)

    @staticmethod
    def _vector(text: str, dimension: int = DIMENSION) -> Vector:
        values = [0.01] * dimension
        for word in re.findall(r"\w+", text.lower()):
            digest = hashlib.sha256(word.encode()).digest()
            for position in (0, 2, 4):
                values[digest[position] % dimension] += 1 if digest[position + 1] % 2 else -1
        return unit_vector(values)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now

    def pass_by(self, **duration: float) -> None:
        """Let time pass."""
        self.now += timedelta(**duration)


def settings_for(data_dir: Path, **settings: object) -> Settings:
    """Return the defaults for one data directory."""
    return load_settings({}, {"data_dir": data_dir, **settings})


@asynccontextmanager
async def installation(
    data_dir: Path,
    *,
    embedder: Embedder | None = None,
    clock: Clock | None = None,
    **settings: object,
) -> AsyncIterator[Container]:
    """Open a data directory with everything that belongs to it."""
    container = build(settings_for(data_dir, **settings))
    container.local_embedder.override(providers.Object(embedder or BagOfWords()))
    if clock is not None:
        container.now.override(providers.Object(clock))
    async with running(container):
        yield container


async def settled(container: Container) -> None:
    """Compute every vector that is missing, or see the background do it."""
    while await container.pending()():
        await container.indexer().drain(limit=256)


async def computed_in_background(container: Container) -> None:
    """Wait until the background has computed every vector that is missing."""
    async with asyncio.timeout(30), container.bus().subscribe(None) as wakeups:
        while await container.pending()():
            await anext(wakeups)
