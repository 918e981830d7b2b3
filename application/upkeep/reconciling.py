"""Compare what is derived with the truth, and build it again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from application.indexing.models import Models
from application.jobs.steps import Steps, Unwatched
from application.projecting.comparing import CompareVectors
from application.upkeep.maintain import Reindex
from domain.namespace import Namespace
from domain.ports import CanonicalStore, Finding, MemoryGraph

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

    async def __call__(self, *, check: bool, steps: Steps | None = None) -> list[Finding]:
        """Return what was not as it must be (of the indexes outside, the first thousand)."""
        steps = steps or Unwatched()
        so_far = _Compared.read(steps.place)
        if so_far is None:
            so_far = _Compared(await self.store.check())
            await steps.keep(so_far.written(), done=0)
        async with self.store.reading() as tx:
            outside = (await self.models.serving(tx)).outside
        comparisons = [one.compare for one in outside]
        for compare in comparisons:
            await self._differences(compare, so_far, steps)
        if not check:
            await self.reset()
            await self.reindex()
            for compare in comparisons:
                name = await compare.projection.open()
                async with self.store.writing() as tx:
                    await tx.projections.discard(name)
        return so_far.findings

    async def reset(self) -> None:
        """Throw away what this process has derived for itself; it is built again on demand."""
        for installed in self.models.installed:
            await installed.gatherer.index.reset()
        await self.graph.reset()

    async def _differences(self, compare: CompareVectors, so_far: _Compared, steps: Steps) -> None:
        name = await compare.projection.open()
        after = so_far.after(name)
        while len(so_far.findings) < FINDINGS_MAX:
            async with self.store.reading() as tx:
                page = await tx.namespaces.stats(None, limit=NAMESPACES_AT_ONCE, after=after)
            for entry in page:
                if await compare.is_far_behind(entry.path):
                    so_far.add(name, f"{entry.path} is too far behind to be compared")
                async for id in compare(entry.path):
                    so_far.add(name, f"memory {id} is not held as it should be")
                    if len(so_far.findings) >= FINDINGS_MAX:
                        return
                so_far.places[name] = entry.path
                await steps.renew()
            await steps.keep(so_far.written(), done=steps.done + len(page))
            if len(page) < NAMESPACES_AT_ONCE:
                return
            after = page[-1].path


@dataclass(frozen=True, slots=True)
class _Compared:
    """What a reconciliation has found, and the last namespace it has looked at in each index."""

    findings: list[Finding]
    places: dict[str, Namespace] = field(default_factory=dict)

    def after(self, name: str) -> Namespace | None:
        return self.places.get(name)

    def add(self, subject: str, detail: str) -> None:
        self.findings.append(Finding(subject, detail))

    def written(self) -> str:
        return json.dumps([[(one.subject, one.detail) for one in self.findings], self.places])

    @staticmethod
    def read(place: str | None) -> _Compared | None:
        if place is None:
            return None
        findings, places = json.loads(place)
        return _Compared([Finding(*one) for one in findings], places)
