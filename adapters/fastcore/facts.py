"""What filters look at, in columns: which rows pass is known without asking the store.

Rows are numbered as in the index that these columns belong to, and only ever appended, so a reader
may work out a mask while the writer adds rows. Agrees with `domain.filter.Filter.matches`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from msgspec.json import decode
from numpy.typing import NDArray

from adapters.fastcore.blocks import (
    Block,
    appended,
    built,
    found,
    merged,
    renumbered,
    terms_of,
)
from adapters.fastcore.growing import Growing
from adapters.fastcore.payload_path import PayloadPath
from domain.filter import AllOf, AnyOf, Box, Comparison, Condition, Filter, Not
from domain.memory import Kind
from domain.ports import Facts

Mask = NDArray[np.bool_]
Path = tuple[str, ...]

#: More different paths in a namespace, or values in a payload, are left to the store.
_PATHS_MAX = 512
_VALUES_MAX = 128
_NOBODY = -1
_TEXT_BYTES = 150
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS = {kind.value: number for number, kind in enumerate(Kind)}


class Columns:
    """The facts of one namespace's rows. One writer at a time."""

    def __init__(self) -> None:
        self._kinds: Growing[np.int8] = Growing([], np.int8)
        self._levels: Growing[np.int64] = Growing([], np.int64)
        self._happened: Growing[np.int64] = Growing([], np.int64)
        self._actors: Growing[np.int32] = Growing([], np.int32)
        self._sessions: Growing[np.int32] = Growing([], np.int32)
        self._names: dict[str, int] = {}
        self._tags: tuple[Block, ...] = ()
        self._places: dict[int, tuple[Growing[np.int32], Growing[np.float64]]] = {}
        self._paths: dict[Path, PayloadPath] = {}
        self._payloads_whole = True

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._kinds)

    @property
    def size_bytes(self) -> int:
        """What the columns take."""
        columns = (self._kinds, self._levels, self._happened, self._actors, self._sessions)
        places = (part for pair in self._places.values() for part in pair)
        return (
            sum(column.size_bytes for column in (*columns, *places))
            + sum(block.size_bytes for block in self._tags)
            + sum(path.size_bytes for path in self._paths.values())
            + _TEXT_BYTES * len(self._names)
        )

    # --- Writing ---------------------------------------------------------------------------------

    def extend(self, start: int, facts: Sequence[Facts]) -> None:
        """Add rows from `start` on; rows of a change that never came into force give way."""
        self._truncate(start)
        self._levels.extend([one.level for one in facts])
        self._happened.extend([one.happened_at for one in facts])
        self._actors.extend([self._numbered(one.actor) for one in facts])
        self._sessions.extend([self._numbered(one.session) for one in facts])
        self._add_tags(start, facts)
        self._add_places(start, facts)
        self._add_payloads(start, facts)
        self._kinds.extend([_KINDS[one.kind] for one in facts])

    def kept(self, rows: NDArray[np.intp]) -> Columns:
        """Return the columns of these rows only (ascending), numbered anew."""
        copy = Columns()
        count = len(self)
        numbers = np.full(count, -1, np.int64)
        numbers[rows] = np.arange(len(rows))
        copy._kinds = Growing(self._kinds.values()[rows], np.int8)
        copy._levels = Growing(self._levels.values()[rows], np.int64)
        copy._happened = Growing(self._happened.values()[rows], np.int64)
        self._keep_names(copy, numbers)
        for arity, (places, axes) in self._places.items():
            new = numbers[places.values()]
            stays = new >= 0
            copy._places[arity] = (
                Growing(new[stays], np.int32),
                Growing(axes.values()[stays], np.float64),
            )
        copy._paths = {path: column.kept(numbers) for path, column in self._paths.items()}
        copy._payloads_whole = self._payloads_whole
        return copy

    def _keep_names(self, copy: Columns, numbers: NDArray[np.int64]) -> None:
        """Copy actors, sessions and tags; names that no row has any more are left behind."""
        stay = np.flatnonzero(numbers >= 0)
        actors, sessions = self._actors.values()[stay], self._sessions.values()[stay]
        block = merged(self._tags) if self._tags else None
        used = np.zeros(len(self._names) + 1, np.bool_)
        used[actors] = used[sessions] = True
        if block is not None:
            alive = numbers >= 0
            used[terms_of(block, alive)] = True
        used[_NOBODY] = False
        new = np.append(np.cumsum(used[:-1]) - 1, _NOBODY).astype(np.int64)
        copy._names = {
            name: int(new[number]) for name, number in self._names.items() if used[number]
        }
        copy._actors = Growing(new[actors], np.int32)
        copy._sessions = Growing(new[sessions], np.int32)
        if block is not None:
            copy._tags = (renumbered(block, numbers, new),)

    def _truncate(self, count: int) -> None:
        if len(self._levels) <= count:
            return
        for column in (self._kinds, self._levels, self._happened, self._actors, self._sessions):
            column.truncate(count)
        if self._tags:
            block = merged(self._tags)
            numbers = np.arange(int(block.rows.max(initial=0)) + 1, dtype=np.int64)
            numbers[count:] = -1
            same = np.arange(len(self._names), dtype=np.int64)
            self._tags = (renumbered(block, numbers, same),)
        for places, axes in self._places.values():
            kept = int(np.searchsorted(places.values(), count))
            places.truncate(kept)
            axes.truncate(kept)
        for path in self._paths.values():
            path.truncate(count)

    def _numbered(self, name: str | None) -> int:
        return _NOBODY if name is None else self._names.setdefault(name, len(self._names))

    def _add_tags(self, start: int, facts: Sequence[Facts]) -> None:
        pairs = [
            (2 * self._numbered(tag), row)
            for row, one in enumerate(facts, start)
            for tag in one.tags
        ]
        if pairs:
            keys, rows = np.array(pairs, np.int64).T
            self._tags = appended(self._tags, built(keys, rows))

    def _add_places(self, start: int, facts: Sequence[Facts]) -> None:
        found: dict[int, list[tuple[int, tuple[float, ...]]]] = defaultdict(list)
        for row, one in enumerate(facts, start):
            if one.coordinate is not None:
                found[len(one.coordinate)].append((row, one.coordinate))
        for arity, entries in found.items():
            if arity not in self._places:
                self._places[arity] = (
                    Growing([], np.int32),
                    Growing(np.empty((0, arity)), np.float64),
                )
            places, axes = self._places[arity]
            axes.extend([axis for _, axis in entries])
            places.extend([row for row, _ in entries])

    def _add_payloads(self, start: int, facts: Sequence[Facts]) -> None:
        found: dict[Path, list[tuple[int, object]]] = defaultdict(list)
        for row, one in enumerate(facts, start):
            if one.payload == "{}" or not self._payloads_whole:
                continue
            values = list(_leaves(decode(one.payload), ()))
            self._payloads_whole = len(values) <= _VALUES_MAX
            for path, value in values[:_VALUES_MAX]:
                found[path].append((row, value))
        if len(self._paths.keys() | found.keys()) > _PATHS_MAX:
            self._payloads_whole = False
        if not self._payloads_whole:
            # What is there stays: a reader of the rows before may be using it.
            return
        for path, entries in found.items():
            column = self._paths.get(path)
            if column is None:
                column = self._paths[path] = PayloadPath()
            column.extend(entries)

    # --- Reading ---------------------------------------------------------------------------------

    def can_tell(self, filter: Filter) -> bool:
        """Tell whether `mask` can answer."""
        return filter.where is None or (
            self._payloads_whole
            and all(
                path is None or path.can_tell(one)
                for one in _comparisons(filter.where)
                for path in [self._paths.get(one.path)]
            )
        )

    def mask(self, filter: Filter, count: int) -> Mask:
        """Return which of the first `count` rows pass; validity aside."""
        mask = np.ones(count, np.bool_)
        if filter.kinds:
            kinds = self._kinds.values(count)
            mask &= _any(kinds == _KINDS[kind] for kind in set(filter.kinds))
        if filter.level is not None:
            mask &= self._levels.values(count) == filter.level
        if filter.actor is not None:
            mask &= self._actors.values(count) == self._names.get(filter.actor, -2)
        if filter.session is not None:
            mask &= self._sessions.values(count) == self._names.get(filter.session, -2)
        if filter.occurred_after is not None:
            mask &= self._happened.values(count) >= _micros(filter.occurred_after)
        if filter.occurred_before is not None:
            mask &= self._happened.values(count) < _micros(filter.occurred_before)
        for tag in set(filter.tags):
            mask &= self._tagged([tag], count)
        if filter.tags_any:
            mask &= self._tagged(set(filter.tags_any), count)
        if filter.box is not None:
            mask &= self._inside(filter.box, count)
        if filter.where is not None:
            mask &= self._holds(filter.where, count)
        return mask

    def _tagged(self, tags: Iterable[str], count: int) -> Mask:
        mask = np.zeros(count, np.bool_)
        numbers = [self._names[tag] for tag in tags if tag in self._names]
        for rows, _ in found(self._tags, 2 * np.array(numbers, np.int64)):
            mask[rows[rows < count]] = True
        return mask

    def _inside(self, box: Box, count: int) -> Mask:
        mask = np.zeros(count, np.bool_)
        if len(box.minimum) in self._places:
            rows, places = self._places[len(box.minimum)]
            here = rows.values()
            axes = places.values(len(here))
            inside = ((axes >= box.minimum) & (axes <= box.maximum)).all(axis=1)
            chosen = here[inside]
            mask[chosen[chosen < count]] = True
        return mask

    def _holds(self, condition: Condition, count: int) -> Mask:
        match condition:
            case AllOf(conditions):
                mask = np.ones(count, np.bool_)
                for part in conditions:
                    mask &= self._holds(part, count)
                return mask
            case AnyOf(conditions):
                return _any(self._holds(part, count) for part in conditions)
            case Not(negated):
                return ~self._holds(negated, count)
            case Comparison(path, _, _):
                return self._paths.get(path, _ABSENT).mask(condition, count)


_ABSENT = PayloadPath()


def _leaves(value: object, path: Path) -> Iterator[tuple[Path, object]]:
    """Iterate over everything that a path of keys leads to."""
    if path:
        yield path, value
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _leaves(part, (*path, key))


def _comparisons(condition: Condition) -> Iterator[Comparison]:
    match condition:
        case AllOf(conditions) | AnyOf(conditions):
            for part in conditions:
                yield from _comparisons(part)
        case Not(negated):
            yield from _comparisons(negated)
        case Comparison():
            yield condition


def _any(masks: Iterable[Mask]) -> Mask:
    first, *rest = masks
    answer = first.copy()
    for mask in rest:
        answer |= mask
    return answer


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
