"""Postings in blocks: sorted arrays that never change, merged as they become many.

A key stands for a term in a field: `2 * term` for a memory's own text, `2 * term + 1` for its text
among its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]

#: Blocks up to this many postings together are worth one.
_SMALL = 8192
_ROW_BITS = 32
_ROW_MASK = (1 << _ROW_BITS) - 1


@dataclass(frozen=True, slots=True)
class Block:
    """For key `keys[i]` (ascending): `rows[starts[i]:starts[i + 1]]` and how often in each."""

    keys: Ints
    starts: Longs
    rows: Ints
    counts: Ints

    @property
    def size_bytes(self) -> int:
        """What the arrays take."""
        return self.keys.nbytes + self.starts.nbytes + self.rows.nbytes + self.counts.nbytes


def built(keys: Longs, rows: Longs) -> Block:
    """Make a block of occurrences: one key and one row for each word of each text."""
    codes, counts = np.unique((keys << _ROW_BITS) | rows, return_counts=True)
    return _block(codes, counts.astype(np.int32))


def appended(blocks: Sequence[Block], last: Block) -> tuple[Block, ...]:
    """Add a block and merge at the end, so that blocks stay few and each posting moves seldom."""
    kept = [*blocks, last]
    size = len(last.rows)
    start = len(kept) - 1
    while start and (2 * size >= len(kept[start - 1].rows) or _both(kept, start, size) <= _SMALL):
        start -= 1
        size += len(kept[start].rows)
    if start == len(kept) - 1:
        return tuple(kept)
    return (*kept[:start], merged(kept[start:]))


def merged(blocks: Sequence[Block]) -> Block:
    """Make one block of several that have no row in common."""
    codes = np.concatenate([_codes(block) for block in blocks])
    counts = np.concatenate([block.counts for block in blocks])
    order = np.argsort(codes, kind="stable")
    return _block(codes[order], counts[order])


def renumbered(block: Block, rows: Longs, terms: Longs) -> Block:
    """Give rows and terms new numbers in the same order; -1 drops a row.

    Every term of a row that stays must have a number.
    """
    codes = _codes(block)
    new_rows = rows[codes & _ROW_MASK]
    stays = new_rows >= 0
    keys = codes[stays] >> _ROW_BITS
    new_keys = 2 * terms[keys >> 1] + (keys & 1)
    return _block((new_keys << _ROW_BITS) | new_rows[stays], block.counts[stays])


def terms_of(block: Block, alive: NDArray[np.bool_]) -> Longs:
    """Return the numbers of the terms that rows alive hold, ascending."""
    keys = np.repeat(block.keys, np.diff(block.starts))[alive[block.rows]]
    return np.unique(keys >> 1).astype(np.int64)


def found(blocks: Sequence[Block], keys: Longs) -> list[tuple[Ints, Ints]]:
    """Return for each key the rows that have it, and how often."""
    parts: list[list[tuple[Ints, Ints]]] = [[] for _ in keys]
    for block in blocks:
        places = np.searchsorted(block.keys, keys)
        inside = places < len(block.keys)
        hits = np.flatnonzero(inside)[block.keys[places[inside]] == keys[inside]]
        for hit in hits.tolist():
            place = int(places[hit])
            chosen = slice(int(block.starts[place]), int(block.starts[place + 1]))
            parts[hit].append((block.rows[chosen], block.counts[chosen]))
    return [_joined(part) for part in parts]


def _joined(parts: Sequence[tuple[Ints, Ints]]) -> tuple[Ints, Ints]:
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return np.empty(0, np.int32), np.empty(0, np.int32)
    rows, counts = zip(*parts, strict=True)
    return np.concatenate(rows), np.concatenate(counts)


def _both(blocks: Sequence[Block], start: int, size: int) -> int:
    return size + len(blocks[start - 1].rows)


def _codes(block: Block) -> Longs:
    keys = np.repeat(block.keys.astype(np.int64), np.diff(block.starts))
    codes: Longs = (keys << _ROW_BITS) | block.rows
    return codes


def _block(codes: Longs, counts: Ints) -> Block:
    keys = codes >> _ROW_BITS
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    return Block(
        keys[first].astype(np.int32),
        np.append(first, len(codes)).astype(np.int64),
        (codes & _ROW_MASK).astype(np.int32),
        counts,
    )
