"""Memories as last read, so that what has not changed is not read and decoded again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from domain.events import FeedPosition
from domain.memory import Memory, MemoryId
from domain.namespace import Scope
from domain.ports import Claim, Standing

TURN_SECONDS = 30.0
SCOPES_MAX = 256
#: Of this many memories of one scope is known whether they are current; then it begins anew.
SEEN_MAX = 16_384
#: What a decoded memory takes besides its texts.
_MEMORY_BYTES = 1500
#: A decoded JSON value takes several times the bytes of its spelling.
_PAYLOAD_FACTOR = 8


@dataclass(frozen=True, slots=True)
class Held:
    """What this process holds of some candidates while the store is asked about them."""

    ids: Sequence[MemoryId]
    memories: dict[MemoryId, Memory]
    claim: Claim
    drops: int


@dataclass(slots=True)
class _Seen:
    """Who was live in a scope when its feeds stood at a position, and at which version."""

    position: FeedPosition
    versions: dict[MemoryId, int] = field(default_factory=dict)


class Known:
    """Keeps decoded memories, and when each was seen to be current.

    No memory changes without its namespace's feed. So while the feeds of a scope stand where they
    stood, what was current there still is; when they have moved, the store is asked for versions,
    and for the rest of those only whose version is another. Nothing here decides what is current.

    What nobody asked for during a whole turn goes, at the next question: that is how long content
    that another process erased may stay in this one's memory. What this one erases is dropped.
    """

    def __init__(self, elapsed: Callable[[], float], *, budget_bytes: int) -> None:
        self._elapsed = elapsed
        self._budget_bytes = budget_bytes
        self._young: dict[MemoryId, Memory] = {}
        self._old: dict[MemoryId, Memory] = {}
        self._young_bytes = 0
        self._turned_at = elapsed()
        self._seen: OrderedDict[Scope, _Seen] = OrderedDict()
        self._drops = 0

    def held(self, scope: Scope, ids: Sequence[MemoryId]) -> Held:
        """Return what is known of candidates, to be held against the store."""
        self._turn()
        memories: dict[MemoryId, Memory] = {}
        for id in ids:
            memory = self._young.get(id) or self._promoted(id)
            if memory is not None:
                memories[id] = memory
        versions = {id: memory.version for id, memory in memories.items()}
        seen = self._seen.get(scope)
        if seen is None:
            claim = Claim(sure={}, others=_others(ids, versions, ()), seen_at=None)
        elif versions.items() <= seen.versions.items():
            others = _others(ids, {}, versions) if len(versions) < len(ids) else {}
            claim = Claim(sure=versions, others=others, seen_at=seen.position)
        else:
            sure = dict(versions.items() & seen.versions.items())
            others = _others(ids, versions, sure)
            claim = Claim(sure=sure, others=others, seen_at=seen.position)
        return Held(ids, memories, claim, self._drops)

    def verified(self, scope: Scope, held: Held, standing: Standing) -> dict[MemoryId, Memory]:
        """Return the candidates that live in the scope, as they are, and remember them."""
        claim = held.claim
        stands = standing.position == claim.seen_at
        if stands and not claim.others:
            return held.memories
        sure = claim.sure if stands else {}
        live: dict[MemoryId, Memory] = {}
        for id in held.ids:
            if id in sure:
                live[id] = held.memories[id]
            elif id in standing.versions:
                live[id] = standing.changed.get(id) or held.memories[id]
        # Something was erased while the store was asked: it must not come back.
        if held.drops == self._drops:
            self._keep(standing.changed.values())
        self._note(scope, claim, standing)
        return live

    def drop(self, ids: Iterable[MemoryId]) -> None:
        """Forget the content of memories that have been erased."""
        self._drops += 1
        for id in ids:
            memory = self._young.pop(id, None)
            if memory is not None:
                self._young_bytes -= _size_bytes(memory)
            self._old.pop(id, None)

    def _promoted(self, id: MemoryId) -> Memory | None:
        memory = self._old.pop(id, None)
        if memory is not None:
            self._keep((memory,))
        return memory

    def _keep(self, memories: Iterable[Memory]) -> None:
        for memory in memories:
            before = self._young.get(memory.id)
            if before is not None:
                if before.version > memory.version:
                    continue
                self._young_bytes -= _size_bytes(before)
            self._old.pop(memory.id, None)
            self._young[memory.id] = memory
            self._young_bytes += _size_bytes(memory)

    def _turn(self) -> None:
        """Let go of what was not asked for since the turn before."""
        now = self._elapsed()
        full = self._young_bytes > self._budget_bytes // 2
        if full or now - self._turned_at >= TURN_SECONDS:
            late = now - self._turned_at >= 2 * TURN_SECONDS
            self._old = {} if late or self._young_bytes > self._budget_bytes else self._young
            self._young, self._young_bytes, self._turned_at = {}, 0, now

    def _note(self, scope: Scope, claim: Claim, standing: Standing) -> None:
        seen = self._seen.get(scope)
        if seen is None or seen.position != standing.position:
            if seen is not None and seen.position != claim.seen_at:
                # Somebody else has looked meanwhile, perhaps later.
                return
            seen = self._seen[scope] = _Seen(standing.position)
        if len(seen.versions) > SEEN_MAX:
            seen.versions.clear()
        seen.versions.update(standing.versions)
        self._seen.move_to_end(scope)
        if len(self._seen) > SCOPES_MAX:
            self._seen.popitem(last=False)


def _others(
    ids: Iterable[MemoryId], versions: dict[MemoryId, int], sure: Iterable[MemoryId]
) -> dict[MemoryId, int]:
    left = dict.fromkeys(ids, 0)
    left.update(versions)
    for id in sure:
        left.pop(id, None)
    return left


def _size_bytes(memory: Memory) -> int:
    payload = len(repr(memory.payload)) if memory.payload else 0
    return _MEMORY_BYTES + len(memory.content) + _PAYLOAD_FACTOR * payload
