"""How much of a result is sent: the best first, and no more than the budget allows.

A result has two forms, JSON and text. Each keeps to the budget, measured in bytes, and both show
the same. What is too large for the whole budget is shortened: first its free JSON is left out, then
its content is cut, at last all goes but what identifies it. The result says what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import msgspec
from msgspec.structs import replace
from pydantic_core import to_json

from entrypoints.mcp.forms import BYTES_PER_TOKEN, described, listed
from entrypoints.mcp.results import FoundHit, FoundMemory, Neighbor, Step

#: Less of a content than this is not worth showing, unless there is nothing else to show.
_CHARACTERS_MIN = 100

T = TypeVar("T")
S = TypeVar("S", FoundHit, Neighbor, Step)
Fits = Callable[[T], bool]
#: Returns what is left of something too large, None when nothing would be; `True` for the best.
Shorter = Callable[[T, Fits[T], bool], T | None]


@dataclass(frozen=True, slots=True)
class Room:
    """The bytes that are left in both forms."""

    json: int
    text: int

    @classmethod
    def within(cls, budget_tokens: int, frame: Mapping[str, object], title: str) -> Room:
        """Return what a budget leaves beside the rest of a result: `frame` has its empty lists."""
        omitted = frame.get("omitted")
        text = listed(title, [], omitted if isinstance(omitted, int) else 0)
        size = BYTES_PER_TOKEN * budget_tokens
        return cls(size - _json_bytes(frame), size - len(text.encode()))

    def beside(self, item: object, line: str) -> Room | None:
        """Return what remains beside one more entry of the list, None when it does not fit."""
        json = self.json - _json_bytes(item) - 1  # and what separates it
        text = self.text - len(line.encode()) - 1
        return None if json < 0 or text < 0 else Room(json, text)


@dataclass(frozen=True, slots=True)
class Fitting(Generic[T]):
    """What is shown of a list, in both forms."""

    items: list[T]
    lines: list[str]


def fitting(
    items: Sequence[T], room: Room, line: Callable[[int, T], str], shorter: Shorter[T]
) -> Fitting[T]:
    """Take the best as long as they fit; what is too large by itself is taken shortened."""
    shown: Fitting[T] = Fitting([], [])
    left = room
    for place, item in enumerate(items, start=1):
        says = partial(line, place)
        taken = _taken(item, says, room, left, shorter)
        rest = None if taken is None else left.beside(taken, says(taken))
        if taken is None or rest is None:
            break
        shown.items.append(taken)
        shown.lines.append(says(taken))
        left = rest
    return shown


def _taken(
    item: T, says: Callable[[T], str], room: Room, left: Room, shorter: Shorter[T]
) -> T | None:
    line = says(item)
    if left.beside(item, line):
        return item
    if room.beside(item, line):
        return None  # it is for those before it that there is no room
    return shorter(item, lambda one: left.beside(one, says(one)) is not None, left == room)


def shortened(item: S, fits: Fits[S], is_best: bool) -> S | None:
    """Return as much of an entry as fits; of the best one rather little than nothing."""
    lean = item.lean()
    if fits(lean):
        return lean
    cut = _cut(lean, fits, _CHARACTERS_MIN)
    return _cut(item.bare(), fits, 1) if cut is None and is_best else cut


def whole_or_nothing(item: T, fits: Fits[T], is_best: bool) -> T | None:
    """Return what cannot be shortened only if it fits."""
    return item if fits(item) else None


def alone(memory: FoundMemory, budget_tokens: int) -> FoundMemory:
    """Return as much of one memory as fits: its id and the beginning of its content at least."""
    room = Room.within(budget_tokens, {}, "")
    shown = fitting([Step(memory)], room, lambda _, step: described(step.memory), shortened)
    return shown.items[0].memory if shown.items else memory.bare().beginning(0)


def _cut(item: S, fits: Fits[S], least: int) -> S | None:
    """Return an entry with the most of its content that fits, None when that is too little."""
    if fits(item):
        return item
    enough, too_much = least, len(item.memory.content)
    if enough >= too_much or not fits(_beginning(item, enough)):
        return None
    while too_much - enough > 1:
        middle = (enough + too_much) // 2
        if fits(_beginning(item, middle)):
            enough = middle
        else:
            too_much = middle
    return _beginning(item, enough)


def _beginning(item: S, characters: int) -> S:
    return replace(item, memory=item.memory.beginning(characters))


def _json_bytes(value: object) -> int:
    """Return how long a value is as the protocol's library writes it: numbers differ from ours."""
    return len(to_json(msgspec.to_builtins(value)))
