"""Look after the store: queue what is missing, count what lags, report on health."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from application.indexing.models import REQUEUE_CHUNK, Models, Outside, requeue
from application.jobs.steps import Steps, Unwatched
from domain.errors import IndexUnavailable, SomaError, StoreUnavailable
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope, ScopeKind
from domain.ports import (
    CanonicalStore,
    EventBus,
)
from domain.vector import MODEL_SETTING

NAMESPACES_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True)
class Reindex:
    """Queue every vector that is missing; the background indexer computes them."""

    store: CanonicalStore
    models: Models
    bus: EventBus
    now: Callable[[], datetime]

    async def __call__(self, model: str | None = None, *, steps: Steps | None = None) -> int:
        """Return how many vectors wait now.

        `model` names the embedder to change to: it is filled beside the one that answers, and
        takes over when it lacks nothing. Raises `InvalidInput` when it cannot be used.
        """
        steps = steps or Unwatched()
        begun = json.loads(steps.place) if steps.place else None
        self.check(model)
        there_are = await memories_there_are(self.store)
        if model is not None and begun is None:
            await self._begin(self.models.named(model).model.id)
        async with self.store.reading() as tx:
            filled = (await self.models.state(tx)).filled
            first = await tx.namespaces.stats(None, limit=1)
        total = len(filled) * there_are
        await self._look_through(filled, begun, total, steps)
        async with self.store.reading() as tx:
            waiting = [await tx.embeddings.pending(id) for id in filled]
        await self.bus.publish([entry.path for entry in first])
        await steps.keep(None, done=total, total=total)
        return sum(waiting)

    def check(self, model: str | None) -> None:
        """Raise `InvalidInput` when this model cannot be changed to."""
        if model is not None:
            self.models.named(model)

    async def _look_through(
        self, filled: Sequence[str], begun: tuple[str, MemoryId] | None, total: int, steps: Steps
    ) -> None:
        """Queue what each model lacks, from where an interrupted run stopped."""
        done = steps.done
        for id in filled[filled.index(begun[0]) if begun and begun[0] in filled else 0 :]:

            async def kept(after: MemoryId, model: str = id) -> None:
                nonlocal done
                done += REQUEUE_CHUNK
                place = json.dumps([model, after])
                await steps.keep(place, done=min(done, total), total=total)

            after = MemoryId(begun[1]) if begun and begun[0] == id else None
            await requeue(self.store, id, self.models.roles(id), after=after, kept=kept)

    async def _begin(self, id: str) -> None:
        async with self.store.writing() as tx:
            await tx.fences.take(MODEL_SETTING)
            state = (await self.models.state(tx)).towards(id, self.now())
            await tx.settings.set(MODEL_SETTING, state.encoded())


async def memories_there_are(store: CanonicalStore) -> int:
    """Count the live memories of all namespaces, from their counters."""
    count = 0
    after: Namespace | None = None
    while True:
        async with store.reading() as tx:
            page = await tx.namespaces.stats(None, limit=NAMESPACES_AT_ONCE, after=after)
        count += sum(entry.memories for entry in page)
        if len(page) < NAMESPACES_AT_ONCE:
            return count
        after = page[-1].path


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
        """Return the events that each projection lacks, and how many vectors are missing.

        An index that does not answer cannot tell its name: it is left out.
        """
        async with self.store.reading() as tx:
            filled = self.models.in_force(await self.models.state(tx))
        outside = [outside for one in filled for outside in one.outside]
        names = [*self.cursors, *await _known(outside)]
        async with self.store.reading() as tx:
            lags = {name: await tx.projections.backlog(name) for name in names}
        return lags, await self.pending()


async def _known(outside: Sequence[Outside]) -> list[str]:
    names = []
    for one in outside:
        with suppress(IndexUnavailable):
            names.append(await one.projection.open())
    return names


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
        checks = self._told()
        checks.append(await self._try("store", self._store))
        checks.append(await self._try("embedder", self._embedder))
        checks.append(await self._try("vectors", self._vectors))
        checks += await self._ask_servers()
        return checks

    async def without_store(self, error: SomaError) -> list[Check]:
        """Return the same where the store could not be opened, and why: what else can be asked."""
        checks = [*self._told(), Check("store", False, str(error))]
        checks.append(await self._try("embedder", self._configured_embedder))
        checks += await self._ask_servers()
        return checks

    async def health(self) -> dict[str, str]:
        """Return "ok" or the reason for each dependency, cheaply.

        A server that Soma goes on without must not hold the answer up: whoever asks takes a late
        one for a no.
        """
        store, servers = await asyncio.gather(
            self._try("store", self._store_answers), self._ask_servers(within=HEALTH_SECONDS)
        )
        states = {check.name: "ok" if check.ok else check.detail for check in [store, *servers]}
        return {**states, "embedder": await self._model()}

    async def _model(self) -> str:
        try:
            async with self.store.reading() as tx:
                return (await self.models.state(tx)).active
        except StoreUnavailable:
            return self.models.configured.model.id

    async def _ask_servers(self, within: float | None = None) -> list[Check]:
        return list(
            await asyncio.gather(
                *(
                    self._try(name, partial(_answers, ping, within))
                    for name, ping in self.servers.items()
                )
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

    def _told(self) -> list[Check]:
        return [Check(name, True, value) for name, value in self.facts.items()]

    async def _configured_embedder(self) -> str:
        embedder = self.models.configured.embedder
        await embedder.embed_query(_GREETING)
        return f"{embedder.model.id}, {embedder.model.dimension} dimensions"

    async def _embedder(self) -> str:
        async with self.store.reading() as tx:
            state = await self.models.state(tx)
            embedder = (await self.models.serving(tx)).embedder
        await embedder.embed_query(_GREETING)
        change = "" if state.next is None else f"; {state.next} is being filled"
        return f"{embedder.model.id}, {embedder.model.dimension} dimensions{change}"

    async def _vectors(self) -> str:
        return f"{await self.pending()} waiting to be computed"


#: How long a server beside the store may take to say that it is well.
HEALTH_SECONDS = 2.0
_GREETING = "is anybody there"


async def _answers(ping: Callable[[], Awaitable[None]], within: float | None) -> str:
    try:
        async with asyncio.timeout(within):
            await ping()
    except TimeoutError as error:
        raise SomaError(f"has not answered within {within:g} s") from error
    return "answers"


@dataclass(frozen=True, kw_only=True)
class TakeOver:
    """Take up at once what a dead owner of the store had promised to compute."""

    store: CanonicalStore

    async def __call__(self) -> None:
        """Release its leases; only for a process that owns the store alone."""
        async with self.store.writing() as tx:
            await tx.embeddings.release()
