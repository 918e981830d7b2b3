"""One search over the views of a scope: what may be returned, who is nearest, as of when."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from adapters.fastcore.threads import SHARES
from domain.events import FeedPosition
from domain.filter import Filter
from domain.memory import MemoryId
from domain.ports import IndexedVector
from domain.vector import Vector

if TYPE_CHECKING:
    from adapters.fastcore.parts import Part, Target
    from adapters.fastcore.scan import Ranked
    from adapters.fastcore.segment import Segment, View

#: Up to this cost (in vectors scanned by codes) a scan takes about half a millisecond: less than
#: handing it to a thread may cost.
_INLINE_COST = 20_000.0
#: Up to here, so does working out a filter.
_INLINE_ROWS = 20_000


@dataclass(slots=True)
class Answer:
    """What the portions of a scope have brought so far, and the state it was taken from."""

    epochs: set[str]
    watermark: int = 0
    own: list[Ranked] = field(default_factory=list)
    context: list[Ranked] = field(default_factory=list)
    exact: bool = True
    _until: int | None = None

    def note(self, views: Sequence[View], until: FeedPosition | None) -> None:
        """Count in what is searched, and where the store stood when it was asked who passes."""
        self.epochs.update(view.epoch for view in views)
        self.watermark += sum(view.watermark for view in views)
        if until is not None:
            self.epochs.add(until.epoch)
            self._until = until.seq if self._until is None else min(self._until, until.seq)

    def add(self, found: tuple[list[Ranked], list[Ranked], bool]) -> None:
        """Add what a portion has brought."""
        own, context, exact = found
        self.own += own
        self.context += context
        self.exact = self.exact and exact

    @property
    def position(self) -> FeedPosition:
        """The position of the store that this equals.

        Segments of several epochs equal none: the caller catches up. Segments may have moved on
        since the store was asked: no more is claimed than it knew.
        """
        watermark = self.watermark if self._until is None else min(self.watermark, self._until)
        return FeedPosition(min(self.epochs) if len(self.epochs) == 1 else "", watermark)


def similar_outside(vector: Vector, item: IndexedVector) -> tuple[float | None, float | None]:
    """Return the cosines of vectors that are not in memory."""
    import numpy as np

    from adapters.fastcore.scan import cosines

    def cosine(other: Vector | None) -> float | None:
        if other is None:
            return None
        return float(cosines(vector, np.frombuffer(other.data, "<f4")[None, :])[0])

    return cosine(item.own), cosine(item.context)


async def targets(views: Sequence[View], filter: Filter) -> list[Target]:
    """Work out what may be returned, in a thread where that takes long."""
    from adapters.fastcore.eligible import effort, eligible, moment_of
    from adapters.fastcore.parts import Target

    moment = moment_of(filter)

    def work() -> list[Target]:
        return [Target(view, eligible(view, filter, moment)) for view in views]

    if effort(views, filter) <= _INLINE_ROWS:
        return work()
    return await asyncio.to_thread(work)


def chosen(segments: Sequence[Segment], allowed: frozenset[MemoryId]) -> list[Target]:
    """Intersect with what the store allows: that walks over the smaller of the two."""
    from adapters.fastcore.eligible import only
    from adapters.fastcore.parts import Target

    return [
        Target(
            segment.view,
            only(segment.view, [segment.places[id] for id in segment.places.keys() & allowed]),
        )
        for segment in segments
    ]


async def search(
    vector: Vector, targets: Sequence[Target], limit: int
) -> tuple[list[Ranked], list[Ranked], bool]:
    """Search at once where that is quick, else in as many threads as there are cores."""
    from adapters.fastcore.parts import parts, shared
    from adapters.fastcore.scan import nearest

    def one_share(share: Sequence[Part]) -> tuple[Ranked, Ranked, bool]:
        return nearest(vector, share, limit)

    pieces = parts(targets)
    cost = sum(part.cost for part in pieces)
    if cost <= _INLINE_COST:
        found = [one_share(pieces)]
    else:
        shares = shared(pieces, SHARES)
        found = await asyncio.gather(*(asyncio.to_thread(one_share, share) for share in shares))
    return (
        [own for own, _, _ in found],
        [context for _, context, _ in found],
        all(exact for _, _, exact in found),
    )
