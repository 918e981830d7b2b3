"""Look after the store: compare projections with the truth, rebuild them, report on health."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from application.comparing import CompareVectors
from application.models import Models, requeue
from domain.errors import SomaError, StoreUnavailable
from domain.namespace import Namespace, Scope, ScopeKind
from domain.ports import (
    CanonicalStore,
    EventBus,
    Finding,
    MemoryGraph,
)
from domain.vector import MODEL_SETTING

NAMESPACES_AT_ONCE = 100
FINDINGS_MAX = 1000


@dataclass(frozen=True, kw_only=True)
class Reconcile:
    """Compare everything derived with the canonical rows; without `check`, rebuild it too.

    Indexes outside the store are rebuilt by the worker, from the beginning of every feed.
    """

    store: CanonicalStore
    models: Models
    graph: MemoryGraph
    reindex: Reindex

    async def __call__(self, *, check: bool) -> list[Finding]:
        """Return what was not as it must be (of the indexes outside, the first thousand)."""
        findings = await self.store.check()
        async with self.store.reading() as tx:
            outside = (await self.models.serving(tx)).outside
        comparisons = [one.compare for one in outside]
        for compare in comparisons:
            findings += await self._differences(compare)
        if not check:
            for installed in self.models.installed:
                await installed.gatherer.index.reset()
            await self.graph.reset()
            await self.reindex()
            for compare in comparisons:
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
                if await compare.is_far_behind(entry.path):
                    found.append(Finding(name, f"{entry.path} is too far behind to be compared"))
                async for id in compare(entry.path):
                    found.append(Finding(name, f"memory {id} is not held as it should be"))
                    if len(found) >= FINDINGS_MAX:
                        return found
            if len(page) < NAMESPACES_AT_ONCE:
                return found
            after = page[-1].path


@dataclass(frozen=True, kw_only=True)
class Reindex:
    """Queue every vector that is missing; the background indexer computes them."""

    store: CanonicalStore
    models: Models
    bus: EventBus
    now: Callable[[], datetime]

    async def __call__(self, model: str | None = None) -> int:
        """Return how many vectors wait now.

        `model` names the embedder to change to: it is filled beside the one that answers, and
        takes over when it lacks nothing. Raises `InvalidInput` when it cannot be used.
        """
        if model is not None:
            await self._begin(self.models.named(model).model.id)
        async with self.store.reading() as tx:
            filled = (await self.models.state(tx)).filled
            first = await tx.namespaces.stats(None, limit=1)
        for id in filled:
            await requeue(self.store, id)
        async with self.store.reading() as tx:
            waiting = [await tx.embeddings.pending(id) for id in filled]
        await self.bus.publish([entry.path for entry in first])
        return sum(waiting)

    async def _begin(self, id: str) -> None:
        async with self.store.writing() as tx:
            await tx.fences.take(MODEL_SETTING)
            state = (await self.models.state(tx)).towards(id, self.now())
            await tx.settings.set(MODEL_SETTING, state.encoded())


@dataclass(frozen=True, kw_only=True)
class Pending:
    """Count the vectors that are still missing, those of a model being filled among them."""

    store: CanonicalStore
    models: Models

    async def __call__(self, scope: Scope | None = None) -> int:
        """Count everywhere, or in the namespaces of a scope."""
        async with self.store.reading() as tx:
            if scope is None:
                filled = (await self.models.state(tx)).filled
                return sum([await tx.embeddings.pending(model) for model in filled])
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

    `cursors` are projections by name; those of a model know their own.
    """

    store: CanonicalStore
    models: Models
    pending: Pending
    cursors: Sequence[str]

    async def __call__(self) -> tuple[dict[str, int], int]:
        """Return the events that each projection lacks, and how many vectors are missing."""
        async with self.store.reading() as tx:
            filled = self.models.in_force(await self.models.state(tx))
        outside = [outside for one in filled for outside in one.outside]
        names = [*self.cursors, *[await one.projection.open() for one in outside]]
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
    models: Models
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
        return {**states, "embedder": await self._model()}

    async def _model(self) -> str:
        try:
            async with self.store.reading() as tx:
                return (await self.models.state(tx)).active
        except StoreUnavailable:
            return self.models.configured.model.id

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
        async with self.store.reading() as tx:
            state = await self.models.state(tx)
            embedder = (await self.models.serving(tx)).embedder
        await embedder.embed_query("is anybody there")
        change = "" if state.next is None else f"; {state.next} is being filled"
        return f"{embedder.model.id}, {embedder.model.dimension} dimensions{change}"

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
