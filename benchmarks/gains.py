"""Is one way of asking better than another? Paired differences over the same questions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.conversations import Asked, recall_at, reciprocal_rank

DEPTHS = (1, 5, 10)
RESAMPLES = 10_000
SEED = 7


def gain(before: Sequence[Asked], after: Sequence[Asked]) -> dict[str, object]:
    """Return the mean difference of each measure with its interval, bootstrapped over questions."""
    pairs = list(zip(before, after, strict=True))
    found: dict[str, object] = {"n": len(pairs)}
    for depth in DEPTHS:
        found[f"R@{depth}"] = interval(
            np.array([recall_at([b], depth) - recall_at([a], depth) for a, b in pairs])
        )
    found["MRR"] = interval(
        np.array([reciprocal_rank([b]) - reciprocal_rank([a]) for a, b in pairs])
    )
    return found


def interval(differences: NDArray[np.float64]) -> str:
    """Return the mean and the middle 95 % of the means of resampled questions."""
    if not len(differences):
        return "-"
    chosen = np.random.default_rng(SEED).integers(
        0, len(differences), (RESAMPLES, len(differences))
    )
    low, high = np.percentile(differences[chosen].mean(axis=1), [2.5, 97.5])
    return f"{differences.mean():+.1f} [{low:+.1f}, {high:+.1f}]"
