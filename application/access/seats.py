"""How many requests are answered at a time, whatever door they come through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from domain.errors import Overloaded


class Kind(StrEnum):
    """What a request does."""

    READING = "reading"
    WRITING = "writing"


class Seat:
    """A request that is being answered; which key it is made with becomes known on the way."""

    def __init__(self, held: Counter[str], share: int, kind: Kind) -> None:
        self._held = held
        self._share = share
        self._kind = kind
        self._key_id: str | None = None

    def of(self, key_id: str | None) -> None:
        """Note the key; raise `Overloaded` when it has its share already."""
        if key_id is None or self._key_id is not None:
            return
        if self._held[key_id] >= self._share:
            raise Overloaded(
                f"{self._share} {self._kind} requests of this key are being answered: try again"
            )
        self._held[key_id] += 1
        self._key_id = key_id

    def end(self) -> None:
        """Give back what the key was counted for."""
        if self._key_id is None:
            return
        self._held[self._key_id] -= 1
        if not self._held[self._key_id]:
            del self._held[self._key_id]


class Seats:
    """Lets in at most so many requests of each kind at a time; the rest is told to come again.

    A key of the store has at most three quarters of it, so that others find some left.
    """

    def __init__(self, *, reading_max: int, writing_max: int) -> None:
        self._limits = {Kind.READING: reading_max, Kind.WRITING: writing_max}
        #: How many are in the house, by kind.
        self.inside = dict.fromkeys(Kind, 0)
        self._held: dict[Kind, Counter[str]] = {kind: Counter() for kind in Kind}

    @contextmanager
    def entered(self, kind: Kind) -> Iterator[Seat]:
        """Count a request while the block runs; raise `Overloaded` when there is no room.

        It counts from before its body is read until its answer is sent, whatever it waits for.
        """
        limit = self._limits[kind]
        if self.inside[kind] >= limit:
            raise Overloaded(f"{limit} {kind} requests are being answered: try again")
        seat = Seat(self._held[kind], limit - limit // 4, kind)
        self.inside[kind] += 1
        try:
            yield seat
        finally:
            self.inside[kind] -= 1
            seat.end()
