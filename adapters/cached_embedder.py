"""An embedder that remembers what was asked before."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from domain.ports import Cache, Embedder
from domain.vector import EmbeddingModel, Vector


class CachedEmbedder:
    """Keeps query vectors under (model, hash of the text): such an entry can never be stale."""

    def __init__(self, inner: Embedder, cache: Cache) -> None:
        self._inner = inner
        self._cache = cache

    @property
    def model(self) -> EmbeddingModel:
        """The model of the embedder behind."""
        return self._inner.model

    async def embed_passages(self, texts: Sequence[str], /) -> list[Vector]:
        """Embed what is remembered; its vectors live in the canonical store, not here."""
        return await self._inner.embed_passages(texts)

    async def embed_query(self, text: str, /) -> Vector:
        """Embed what is asked, or return what was computed before."""
        model = self._inner.model
        key = f"query:{model.id}:{hashlib.sha256(text.encode()).hexdigest()}"
        known = await self._cache.get(key)
        if known is not None and len(known) == 4 * model.dimension:
            return Vector(known)
        vector = await self._inner.embed_query(text)
        await self._cache.put(key, vector.data)
        return vector
