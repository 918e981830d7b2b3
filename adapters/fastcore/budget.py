"""How much memory all of Fast Core may use, and who has to leave when it is more."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from domain.namespace import Namespace


class Holder(Protocol):
    """Something that keeps namespaces in memory."""

    def evict(self, namespace: Namespace, /) -> None:
        """Let go of one namespace."""


class Budget:
    """Counts bytes per holder and namespace; beyond the limit the least recently used leave.

    What was charged last stays, whatever its size.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._charges: OrderedDict[tuple[Holder, Namespace], int] = OrderedDict()
        self._used_bytes = 0
        #: How often a namespace had to leave.
        self.evictions = 0

    @property
    def is_full(self) -> bool:
        """Tell whether anything more would make something leave."""
        return self._used_bytes >= self.limit_bytes

    @property
    def used_bytes(self) -> int:
        """What all holders are charged for."""
        return self._used_bytes

    def has_room(self, size_bytes: int) -> bool:
        """Tell whether so much more would make nothing leave."""
        return self._used_bytes + size_bytes <= self.limit_bytes

    @property
    def next_to_leave(self) -> Namespace | None:
        """Which namespace would leave first."""
        return next((namespace for _, namespace in self._charges), None)

    def used_by(self, holder: Holder) -> int:
        """Return the bytes that one holder is charged for."""
        return sum(size for (owner, _), size in self._charges.items() if owner is holder)

    def charge(self, holder: Holder, namespace: Namespace, size_bytes: int) -> None:
        """Set what a namespace costs now, mark it as used, and make room."""
        key = (holder, namespace)
        self._used_bytes += size_bytes - self._charges.pop(key, 0)
        self._charges[key] = size_bytes
        while self._used_bytes > self.limit_bytes and len(self._charges) > 1:
            (other, leaving), size = self._charges.popitem(last=False)
            self._used_bytes -= size
            self.evictions += 1
            other.evict(leaving)

    def touch(self, holder: Holder, namespace: Namespace) -> None:
        """Mark a namespace as used."""
        self._charges.move_to_end((holder, namespace))

    def release(self, holder: Holder, namespace: Namespace) -> None:
        """Charge nothing for a namespace any more."""
        self._used_bytes -= self._charges.pop((holder, namespace), 0)
