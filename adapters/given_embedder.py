"""No embedding model: vectors come from the callers."""

from __future__ import annotations

from collections.abc import Sequence

from domain.errors import EmbedderUnavailable
from domain.vector import EmbeddingModel, Vector


class GivenEmbedder:
    """Stands for the model that the callers use themselves."""

    def __init__(self, dimension: int) -> None:
        self._model = EmbeddingModel(id=f"given:{dimension}", dimension=dimension)

    @property
    def model(self) -> EmbeddingModel:
        """The identity under which given vectors are stored."""
        return self._model

    async def embed_passages(self, texts: Sequence[str], /) -> list[Vector]:
        """Raise `EmbedderUnavailable` unless there is nothing to embed."""
        if not texts:
            return []
        raise EmbedderUnavailable("no embedder is configured: vectors must be given")

    async def embed_query(self, text: str, /) -> Vector:
        """Raise `EmbedderUnavailable`."""
        raise EmbedderUnavailable("no embedder is configured: vectors must be given")
