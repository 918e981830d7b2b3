"""The rows of one namespace, and scanning them while they change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from adapters.fastcore.eligible import eligible
from adapters.fastcore.parts import Target, parts
from adapters.fastcore.scan import Ranked
from adapters.fastcore.scan import nearest as nearest_of
from adapters.fastcore.segment import Segment, View
from domain.filter import Filter
from domain.memory import MemoryId
from domain.ports import IndexedVector
from domain.vector import Vector

DIMENSION = 16
OPEN = (-math.inf, math.inf, math.inf)
RANDOM = np.random.default_rng(7)


def unit_vectors(count: int) -> list[Vector]:
    rows = RANDOM.normal(size=(count, DIMENSION))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return [Vector(row.astype("<f4").tobytes()) for row in rows]


def named(number: int) -> MemoryId:
    return MemoryId(f"{number:06}")


def item(number: int, vector: Vector) -> IndexedVector:
    return IndexedVector(named(number), vector, None, OPEN)


def nearest(
    query: Vector, views: Sequence[View], limit: int, moment: float | None = None
) -> tuple[Ranked, Ranked, bool]:
    targets = [Target(view, eligible(view, Filter(), moment)) for view in views]
    return nearest_of(query, parts(targets), limit)


def own(segment: Segment, query: Vector, limit: int) -> list[tuple[MemoryId, float]]:
    return nearest(query, [segment.view], limit)[0]


def exactly(query: Vector, vectors: dict[MemoryId, Vector], limit: int) -> list[MemoryId]:
    wide = np.frombuffer(query.data, "<f4").astype(np.float64)
    scores = {
        id: float((np.frombuffer(vector.data, "<f4") * wide).sum())
        for id, vector in vectors.items()
    }
    return sorted(scores, key=lambda id: (-scores[id], id))[:limit]


def test_growing_replacing_and_compacting_keep_the_answer_exact() -> None:
    segment = Segment("model", DIMENSION, "epoch", 0)
    vectors: dict[MemoryId, Vector] = {}
    (query,) = unit_vectors(1)
    for turn in range(6):
        numbers = range(turn * 500, turn * 500 + 2000)
        fresh = dict(zip(numbers, unit_vectors(2000), strict=True))
        gone = [named(number) for number in range(0, turn * 500, 3)]
        segment.apply([item(*entry) for entry in fresh.items()], gone, turn)
        vectors |= {named(number): vector for number, vector in fresh.items()}
        for id in gone:
            vectors.pop(id, None)

        assert exactly(query, vectors, 40) == [id for id, _ in own(segment, query, 40)]
        assert vectors.keys() == segment.places.keys()
        if segment.is_sparse:
            segment = segment.compacted()
            assert exactly(query, vectors, 40) == [id for id, _ in own(segment, query, 40)]
    assert segment.view.count < 2 * len(vectors)


def test_the_numbers_do_not_depend_on_the_layout() -> None:
    vectors = unit_vectors(3000)
    (query,) = unit_vectors(1)
    forwards = Segment("model", DIMENSION, "epoch", 0)
    backwards = Segment("model", DIMENSION, "epoch", 0)
    entries = [item(number, vector) for number, vector in enumerate(vectors)]
    forwards.apply(entries, (), 1)
    for entry in entries[::-1]:
        backwards.apply([entry], (), 1)

    assert own(forwards, query, 100) == own(backwards, query, 100)
    pieces = [Segment("model", DIMENSION, "epoch", 0) for _ in range(7)]
    for number, entry in enumerate(entries):
        pieces[number % 7].apply([entry], (), 1)
    views = [part.view for part in pieces]
    assert own(forwards, query, 100) == nearest(query, views, 100)[0]


def test_many_equal_vectors_are_ordered_by_id() -> None:
    (vector,) = unit_vectors(1)
    segment = Segment("model", DIMENSION, "epoch", 0)
    segment.apply([item(number, vector) for number in reversed(range(9000))], (), 1)

    assert [named(number) for number in range(5)] == [id for id, _ in own(segment, vector, 5)]


def test_equal_vectors_are_found_also_where_bits_tell_nothing() -> None:
    segment = Segment("model", DIMENSION, "epoch", 0, exact_rows=1000)
    # Their mean is exactly what they are, so that nothing lies to either side of it.
    same = Vector(np.eye(DIMENSION, dtype="<f4")[0].tobytes())
    segment.apply([item(number, same) for number in range(17_000)], [], 1)

    for query in (same, *unit_vectors(3)):
        assert [named(number) for number in range(5)] == [id for id, _ in own(segment, query, 5)]


def test_a_view_stays_as_it_was_while_the_segment_changes() -> None:
    segment = Segment("model", DIMENSION, "epoch", 0)
    vectors = unit_vectors(3000)
    (query,) = unit_vectors(1)
    segment.apply([item(number, vector) for number, vector in enumerate(vectors)], (), 1)
    view = segment.view
    before = nearest(query, [view], 50)

    with ThreadPoolExecutor(2) as threads:
        scans = [threads.submit(nearest, query, [view], 50) for _ in range(40)]
        for turn in range(40):
            changed = [item(number, vectors[-number]) for number in range(turn, turn + 200)]
            segment.apply(changed, [named(2999 - turn)], turn)

    assert {id(view)} != {id(segment.view)}
    assert all(scan.result() == before for scan in scans)


def test_storing_the_same_again_costs_no_row() -> None:
    segment = Segment("model", DIMENSION, "epoch", 0)
    entries = [item(number, vector) for number, vector in enumerate(unit_vectors(10))]
    segment.apply(entries, (), 1)

    segment.apply(entries, (), 2)

    assert (10, 2) == (segment.view.count, segment.view.watermark)
