"""The scheduled repairs: what no event will mend any more."""

from __future__ import annotations

from dataclasses import dataclass

from application.indexing.models import REQUEUE_CHUNK, Models
from application.jobs.steps import Steps
from application.upkeep.reconciling import NAMESPACES_AT_ONCE
from domain.memory import MemoryId
from domain.namespace import Namespace
from domain.ports import CanonicalStore


@dataclass(frozen=True, kw_only=True)
class RepairVectorIndex:
    """Compare the vector index with the store, namespace by namespace, and mend what differs.

    Sweeps what a writer that was believed dead may have left: points of versions that are past.
    """

    store: CanonicalStore
    models: Models

    async def __call__(self, steps: Steps) -> int:
        """Return how many memories were mended."""
        mended, done = 0, steps.done
        place = steps.place
        after = None if place is None else Namespace(place)
        while True:
            async with self.store.reading() as tx:
                served = await self.models.serving(tx)
                page = await tx.namespaces.stats(None, limit=NAMESPACES_AT_ONCE, after=after)
            for entry in page:
                for outside in served.outside:
                    mended += await outside.compare.repair(entry.path, steps.renew)
                done += 1
                await steps.keep(entry.path, done=done)
            if len(page) < NAMESPACES_AT_ONCE:
                return mended
            after = page[-1].path


@dataclass(frozen=True, kw_only=True)
class RequeueVectors:
    """Queue the vectors that are missing and that nobody has queued."""

    store: CanonicalStore
    models: Models

    async def __call__(self, steps: Steps) -> int:
        """Return 0: what is queued shows in the number of waiting vectors."""
        place = steps.place
        after = None if place is None else MemoryId(place)
        done = steps.done
        while True:
            async with self.store.writing() as tx:
                active = (await self.models.state(tx)).active
                after = await tx.embeddings.requeue(
                    active, self.models.roles(active), limit=REQUEUE_CHUNK, after=after
                )
            if after is None:
                return 0
            done += REQUEUE_CHUNK
            await steps.keep(after, done=done)
