"""Look after the store: compare projections with the truth, rebuild them, report on health."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from application.comparing import CompareVectors
from domain.errors import SomaError
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope, ScopeKind
from domain.ports import (
    CanonicalStore,
    Embedder,
    Finding,
    MemoryGraph,
    VectorIndex,
    VectorProjection,
)

REQUEUE_CHUNK = 1000
NAMESPACES_AT_ONCE = 100
FINDINGS_MAX = 1000
MODEL_SETTING = "embedding_model"


@dataclass(frozen=True, kw_only=True)
class Reconcile:
    """Compare everything derived with the canonical rows; without `check`, rebuild it too.

    Indexes outside the store are rebuilt by the worker, from the beginning of every feed.
    """

    store: CanonicalStore
    index: VectorIndex
    graph: MemoryGraph
    reindex: Reindex
    outside: Sequence[CompareVectors]

    async def __call__(self, *, check: bool) -> list[Finding]:
        """Return what was not as it must be (of the indexes outside, the first thousand)."""
        findings = await self.store.check()
        for compare in self.outside:
            findings += await self._differences(compare)
        if not check:
            await self.index.reset()
            await self.graph.reset()
            await self.reindex()
            for compare in self.outside:
                name = await compare.projection.open()
                async with self.store.writing() as tx:
                    await tx.projections.discard(name)
        return findings

    async def _differences(self, compare: CompareVectors) -> list[Finding]:
        found: list[Finding] = []
        name = await compare.projection.open()
        after: Namespace | None = None
        while True:
            async with self.store.reading() as tx:
                page = await tx.namespaces.stats(None, limit=NAMESPACES_AT_ONCE, after=after)
            for entry in page:
                async for id in compare(entry.path):
                    found.append(Finding(name, f"memory {id} is not held as it should be"))
                    if len(found) == FINDINGS_MAX:
                        return found
            if len(page) < NAMESPACES_AT_ONCE:
                return found
            after = page[-1].path


@dataclass(frozen=True, kw_only=True)
class Reindex:
    """Queue every vector that is missing; the background indexer computes them."""

    store: CanonicalStore
    embedder: Embedder

    async def __call__(self) -> int:
        """Return how many vectors wait now."""
        model = self.embedder.model.id
        after: MemoryId | None = None
        while True:
            async with self.store.writing() as tx:
                after = await tx.embeddings.requeue(model, limit=REQUEUE_CHUNK, after=after)
            if after is None:
                break
        async with self.store.reading() as tx:
            return await tx.embeddings.pending(model)


@dataclass(frozen=True, kw_only=True)
class Pending:
    """Count the vectors that are still missing."""

    store: CanonicalStore
    embedder: Embedder

    async def __call__(self, scope: Scope | None = None) -> int:
        """Count everywhere, or in the namespaces of a scope."""
        async with self.store.reading() as tx:
            if scope is None:
                return await tx.embeddings.pending(self.embedder.model.id)
            waiting = 0
            after: Namespace | None = None
            while page := await tx.namespaces.stats(scope, limit=1000, after=after):
                waiting += sum(entry.pending_vectors for entry in page)
                after = page[-1].path
                if scope.kind is ScopeKind.EXACT:
                    break
            return waiting


@dataclass(frozen=True, kw_only=True)
class Backlogs:
    """Count what has not reached the projections outside the store.

    `cursors` are projections by name, `indexes` those that know their own.
    """

    store: CanonicalStore
    pending: Pending
    cursors: Sequence[str]
    indexes: Sequence[VectorProjection]

    async def __call__(self) -> tuple[dict[str, int], int]:
        """Return the events that each projection lacks, and how many vectors are missing."""
        names = [*self.cursors, *[await index.open() for index in self.indexes]]
        async with self.store.reading() as tx:
            lags = {name: await tx.projections.backlog(name) for name in names}
        return lags, await self.pending()


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class Diagnose:
    """Ask everything Soma depends on whether it works."""

    store: CanonicalStore
    embedder: Embedder
    pending: Pending
    facts: Mapping[str, str]
    servers: Mapping[str, Callable[[], Awaitable[None]]]

    async def __call__(self) -> list[Check]:
        """Return one line for each thing, good or bad."""
        checks = [Check(name, True, value) for name, value in self.facts.items()]
        checks.append(await self._try("store", self._store))
        checks.append(await self._try("embedder", self._embedder))
        checks.append(await self._try("vectors", self._vectors))
        checks += await self._ask_servers()
        return checks

    async def health(self) -> dict[str, str]:
        """Return "ok" or the reason for each dependency, cheaply."""
        store, servers = await asyncio.gather(
            self._try("store", self._store_answers), self._ask_servers()
        )
        states = {check.name: "ok" if check.ok else check.detail for check in [store, *servers]}
        return {**states, "embedder": self.embedder.model.id}

    async def _ask_servers(self) -> list[Check]:
        return list(
            await asyncio.gather(
                *(self._try(name, partial(_answers, ping)) for name, ping in self.servers.items())
            )
        )

    @staticmethod
    async def _try(name: str, ask: Callable[[], Awaitable[str]]) -> Check:
        try:
            return Check(name, True, await ask())
        except SomaError as error:
            return Check(name, False, str(error))

    async def _store_answers(self) -> str:
        await self.store.ping()
        return "answers"

    async def _store(self) -> str:
        findings = await self.store.check()
        if findings:
            raise SomaError("; ".join(f"{f.subject}: {f.detail}" for f in findings[:5]))
        return "consistent"

    async def _embedder(self) -> str:
        await self.embedder.embed_query("is anybody there")
        return f"{self.embedder.model.id}, {self.embedder.model.dimension} dimensions"

    async def _vectors(self) -> str:
        return f"{await self.pending()} waiting to be computed"


async def _answers(ping: Callable[[], Awaitable[None]]) -> str:
    await ping()
    return "answers"


@dataclass(frozen=True, kw_only=True)
class TakeOver:
    """Take up at once what a dead owner of the store had promised to compute."""

    store: CanonicalStore

    async def __call__(self) -> None:
        """Release its leases; only for a process that owns the store alone."""
        async with self.store.writing() as tx:
            await tx.embeddings.release()


@dataclass(frozen=True, kw_only=True)
class OpenModel:
    """Make sure the store and the embedder speak of the same model before anything is served."""

    store: CanonicalStore
    embedder: Embedder
    reindex: Reindex

    async def __call__(self) -> bool:
        """Return True when the model is new here, so that all vectors were queued again."""
        model = self.embedder.model.id
        async with self.store.reading() as tx:
            known = await tx.settings.get(MODEL_SETTING)
        if known == model:
            return False
        async with self.store.writing() as tx:
            await tx.settings.set(MODEL_SETTING, model)
        if known is not None:
            await self.reindex()
        return known is not None
