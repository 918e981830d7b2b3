"""Memories with their session neighbours, as one transaction sees them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from domain.lexical import AnalysedText
from domain.memory import Memory, MemoryId
from domain.ports import Analyser, SessionPlace, Transaction
from domain.texts import context_text, own_text


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Memories with their session neighbours, as one transaction sees them."""

    memories: dict[MemoryId, Memory]
    places: dict[MemoryId, SessionPlace]

    def context_of(self, id: MemoryId) -> str | None:
        """Return the text among neighbours, None where there are none."""
        place = self.places.get(id)
        if place is None or (place.previous is None and place.next is None):
            return None
        previous = self.memories.get(place.previous) if place.previous else None
        following = self.memories.get(place.next) if place.next else None
        return context_text(previous, self.memories[id], following)


async def surroundings(
    tx: Transaction, ids: Sequence[MemoryId], known: dict[MemoryId, Memory] | None = None
) -> Surroundings:
    """Read memories and their neighbours; `known` saves reading what was just written."""
    memories = dict(known or {})
    # Who is in no session has no neighbours: that need not be asked.
    asked = [id for id in ids if id not in memories or memories[id].source.session is not None]
    places = await tx.memories.session_places(asked) if asked else {}
    needed = dict.fromkeys([*ids, *ends(places.values())])
    unknown = [id for id in needed if id not in memories]
    if unknown:
        memories.update(await tx.memories.get(unknown))
    return Surroundings(memories, places)


def ends(places: Iterable[SessionPlace]) -> list[MemoryId]:
    """Return who stands beside these places."""
    return [end for place in places for end in (place.previous, place.next) if end is not None]


def analysed(
    analyser: Analyser, near: Surroundings, ids: Sequence[MemoryId]
) -> dict[MemoryId, AnalysedText]:
    """Return the index terms of memories, with those of their neighbours."""
    texts = {}
    for id in ids:
        own = analyser.terms(own_text(near.memories[id]))
        context = near.context_of(id)
        texts[id] = AnalysedText(own, own if context is None else analyser.terms(context))
    return texts
