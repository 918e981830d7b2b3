"""Change from one embedding model to another without downtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from application.indexing.models import (
    LOOKED_AT_MAX,
    REQUEUE_CHUNK,
    Installed,
    Models,
    ModelState,
    requeue,
)
from domain.memory import MemoryId
from domain.namespace import Namespace
from domain.ports import CanonicalStore, Transaction
from domain.vector import MODEL_SETTING, Role

#: The model whose token states are kept; empty: none are.
STATES_SETTING = "token_states"
#: Longer than any transaction or recall that may have begun before the switch.
RETIRED = timedelta(seconds=60)
#: An index outside the store that lacks no more than this adds it from the store when it answers.
EVENTS_BEHIND_MAX = 1000
NAMESPACES_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True)
class SwitchModel:
    """Let the next model answer once it lacks nothing, and clear away what is past.

    Done again and again by whoever computes vectors, in any number of processes.
    """

    store: CanonicalStore
    models: Models
    now: Callable[[], datetime]

    async def __call__(self) -> None:
        """Do what is due; raises `StoreUnavailable` and `IndexUnavailable`."""
        async with self.store.reading() as tx:
            state = await self.models.state(tx)
        if state.next is not None:
            await self._switch(state, state.next)
        for model, since in state.retired.items():
            if self.now() - datetime.fromisoformat(since) >= RETIRED:
                await self._clear(model, state.active)

    async def _switch(self, state: ModelState, model: str) -> None:
        known = self.models.known(model)
        if known is None:
            return
        async with self.store.reading() as tx:
            if not await _is_filled(tx, model, state.active):
                return
        names = [await outside.projection.open() for outside in known.outside]
        async with self.store.reading() as tx:
            if not await _is_projected(tx, names):
                return
        # Whoever began to queue everything may have been killed before the end.
        await requeue(self.store, model, known.roles)
        async with self.store.writing() as tx:
            await tx.fences.take(MODEL_SETTING)
            state = await self.models.state(tx)
            if state.next != model or not await _is_filled(tx, model, state.active):
                return
            if await _is_projected(tx, names):
                await tx.settings.set(MODEL_SETTING, state.switched(model, self.now()).encoded())

    async def _clear(self, model: str, active: str) -> None:
        """Remove the vectors of a model that is past, unless it has come back."""
        # A change that was under way when the filling began may have queued for the old one only.
        await requeue(self.store, active, self.models.roles(active))
        after: MemoryId | None = None
        while True:
            async with self.store.writing() as tx:
                if model not in (await self.models.state(tx)).retired:
                    return
                after = await tx.embeddings.discard(model, limit=REQUEUE_CHUNK, after=after)
            if after is None:
                break
        known = self.models.known(model)
        if known is not None:
            await self._clear_outside(known)
        async with self.store.writing() as tx:
            await tx.fences.take(MODEL_SETTING)
            state = await self.models.state(tx)
            await tx.settings.set(MODEL_SETTING, state.cleared(model).encoded())

    async def _clear_outside(self, known: Installed) -> None:
        for outside in known.outside:
            name = await outside.projection.open()
            after: Namespace | None = None
            while True:
                async with self.store.reading() as tx:
                    page = await tx.namespaces.stats(None, limit=NAMESPACES_AT_ONCE, after=after)
                for entry in page:
                    await outside.projection.clear(entry.path)
                if len(page) < NAMESPACES_AT_ONCE:
                    break
                after = page[-1].path
            async with self.store.writing() as tx:
                await tx.projections.discard(name)


async def _is_filled(tx: Transaction, model: str, active: str) -> bool:
    """Tell whether a model lacks no vector that the one that answers has.

    What both lack was written just now: whoever wrote it computes it for the one that answers then.
    To wait until nothing is missing would be to wait for a pause in which nobody writes.
    """
    behind = await tx.embeddings.behind(model, active, limit=LOOKED_AT_MAX)
    return behind.alone == 0 and behind.missing < LOOKED_AT_MAX


async def _is_projected(tx: Transaction, projections: Sequence[str]) -> bool:
    """Tell whether the indexes outside the store lack next to nothing."""
    lags = [await tx.projections.backlog(name) for name in projections]
    return all(lag <= EVENTS_BEHIND_MAX for lag in lags)


@dataclass(frozen=True, kw_only=True)
class OpenModel:
    """Let the store know, before anything is served, which model the settings name.

    Another one than at the last start is filled beside the one that answers. Only where that one
    is not installed any more does the new one answer at once, with what it has.
    """

    store: CanonicalStore
    models: Models
    now: Callable[[], datetime]

    async def __call__(self) -> bool:
        """Return True when something has to be computed that the store did not have."""
        opened = await self._open()
        return await self._open_states() or opened

    async def _open(self) -> bool:
        model = self.models.configured.model.id
        async with self.store.reading() as tx:
            known = await self.models.stored(tx)
        if known is not None and known.chosen == model:
            return False
        async with self.store.writing() as tx:
            await tx.fences.take(MODEL_SETTING)
            before = await self.models.stored(tx) or ModelState(model)
            after = self._after(before, model)
            chosen = ModelState(after.active, after.next, model, after.retired)
            await tx.settings.set(MODEL_SETTING, chosen.encoded())
        if model in before.filled:
            return False
        await requeue(self.store, model, self.models.configured.roles)
        return True

    async def _open_states(self) -> bool:
        """Note whether token states are kept from now on, and queue those of earlier memories."""
        configured = self.models.configured
        kept = "" if configured.reader is None else configured.model.id
        async with self.store.reading() as tx:
            if (await tx.settings.get(STATES_SETTING) or "") == kept:
                return False
        if kept:
            await requeue(self.store, kept, (Role.STATES,))
        async with self.store.writing() as tx:
            await tx.settings.set(STATES_SETTING, kept)
        return bool(kept)

    def _after(self, state: ModelState, model: str) -> ModelState:
        if self.models.known(state.active) is None:
            return state.switched(model, self.now())
        return state.towards(model, self.now())
