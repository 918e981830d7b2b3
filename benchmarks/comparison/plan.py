"""How much is measured, and where it ends."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.comparison.shapes import EVERYTHING, KEEPS, K, Shape

MEASURES = ("single", "reopen", "recall", "crowd", "size")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The options of one run; every loop below is bounded by one of them."""

    shapes: tuple[Shape, ...]
    systems: tuple[str, ...]
    measures: tuple[str, ...] = MEASURES
    keeps: tuple[str, ...] = (EVERYTHING, *KEEPS)
    clients: tuple[int, ...] = (1, 8, 32)
    k: int = K
    batch: int = 1000
    #: Memories stored one by one.
    singles: int = 100
    #: Turns that the systems take while they are filled and asked.
    rounds: int = 5
    questions: int = 200
    reopens: int = 2
    #: For filling one system; who is foreseen to take longer is left out.
    fill_seconds: float = 900.0
    #: For asking one system in one way with one filter, all rounds together.
    recall_seconds: float = 10.0
    #: For one number of clients with one filter.
    crowd_seconds: float = 3.0
    #: For everything else that is asked of a system once.
    patience_seconds: float = 300.0
    #: Beyond what is left of memory and disk nobody goes on.
    spare_bytes: int = 2 * 2**30


#: Enough to see that everything works, not to compare by.
QUICK = {
    "keeps": (EVERYTHING, "1 %"),
    "clients": (1, 8),
    "batch": 250,
    "singles": 10,
    "rounds": 2,
    "questions": 20,
    "reopens": 1,
    "fill_seconds": 8.0,
    "recall_seconds": 0.5,
    "crowd_seconds": 0.3,
    "patience_seconds": 60.0,
}
