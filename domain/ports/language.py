"""Language and meaning: analysers, embedders, rerankers."""

from __future__ import annotations

from collections.abc import (
    Sequence,
)
from dataclasses import dataclass
from typing import Protocol

from domain.vector import EmbeddingModel, TokenStates, Vector


class Analyser(Protocol):
    """Turns text into index terms; the same one feeds every lexical backend."""

    @property
    def language(self) -> str:
        """Whose words it stems and leaves out; of another language nothing is compared."""

    def terms(self, text: str, /) -> tuple[str, ...]:
        """Return stemmed terms in order, without stop words."""


class Embedder(Protocol):
    """Turns texts into unit vectors. Must not depend on what else is in the batch."""

    @property
    def model(self) -> EmbeddingModel:
        """Which model this is."""

    async def embed_passages(self, texts: Sequence[str], /) -> list[Vector]:
        """Embed what is remembered."""

    async def embed_query(self, text: str, /) -> Vector:
        """Embed what is asked."""


class PassageReader(Protocol):
    """Embeds texts and keeps the states of their tokens, from the same run of the model."""

    async def read_passages(self, texts: Sequence[str], /) -> list[tuple[Vector, TokenStates]]:
        """Read what is remembered; raise `EmbedderUnavailable`."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A text to be judged; `beside` are the positions of those said right before or after it.

    `states` are its token states, where they are kept and of use to the reranker.
    """

    text: str
    beside: tuple[int, ...] = ()
    states: TokenStates | None = None


class Reranker(Protocol):
    """Reads the question and each of the best candidates together."""

    async def scores(self, question: str, passages: Sequence[Passage], /) -> list[float]:
        """Return a finite number per passage, higher for better: they compare in one call only.

        Raises `RerankerUnavailable`.
        """
