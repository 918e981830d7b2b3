"""Vectors that never change any more, with codes that are scanned in their stead.

One byte per component picks the few rows that can be among the nearest at all: the error of the
codes is known, so nothing that could be is lost. Where there are very many rows, one bit per
component (RaBitQ: Gao and Long, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical
Error Bound for Approximate Nearest Neighbor Search", 2024) picks candidates, and an answer is then
no longer certain to be complete. Both scans run without holding the interpreter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import faiss

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Slots = NDArray[np.int64]

_STEPS = 127
#: float32 sums of small integers are exact; the scales that they are multiplied by are not.
_ROUNDING = 1e-5
#: With fewer rows allowed than this share it pays to tell the scan which.
_DENSE = 0.8
_STEPS_BITS = 8
_NOISE = math.sqrt(math.pi / 2 - 1)
_CANDIDATES_MIN = 128
#: With more candidates than this share of the rows, scanning all codes takes no longer.
_PAYS_SHARE = 1 / 32
_FORGETTING = 0.99
#: Closer to the centre than this, what a bit tells is the rounding of float32.
_TELLING = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Slots with their scores; a true cosine differs from its score by at most `error`.

    No slot that was left out has a score above `rest`.
    """

    slots: Slots
    scores: Floats
    error: float
    rest: float


@dataclass(frozen=True, slots=True, eq=False)
class Guesses:
    """Slots with guessed cosines, best first. No slot left out has a guess above `last`."""

    slots: Slots
    cosines: Floats
    last: float


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A unit vector `(1, dim)`, and its integer code: `vector = code * step` up to `error`."""

    vector: Floats
    code: Floats
    step: float
    error: float

    @staticmethod
    def of(vector: Floats) -> Question:
        """Encode a vector."""
        step = float(np.abs(vector).max()) / _STEPS or 1.0
        code = np.rint(vector / np.float32(step))
        error = float(np.linalg.norm(vector - code.astype(np.float64) * step))
        return Question(
            np.ascontiguousarray(vector[None, :]), code[None, :].astype(np.float32), step, error
        )


@dataclass(slots=True, eq=False)
class Bits:
    """One bit per component of rows of which most lie about `spread` from their `centre`.

    `usual` is how many candidates questions have needed lately: a guess, it changes no answer.
    """

    index: faiss.IndexRaBitQFastScan
    centre: Floats
    spread: float
    usual: int = _CANDIDATES_MIN

    def learn(self, needed: int) -> None:
        """Remember how many candidates a question has needed."""
        self.usual = max(_CANDIDATES_MIN, int(0.8 * self.usual), int(1.3 * needed))

    def pays(self, count: int) -> bool:
        """Tell whether so few of `count` rows are candidates that guessing is worth its while.

        Where it is not, it is tried again now and then.
        """
        if self.usual <= count * _PAYS_SHARE:
            return True
        self.usual = int(self.usual * _FORGETTING)
        return False

    def tells(self, question: Question) -> bool:
        """Tell whether guesses mean anything: not where the rows or the question are the centre."""
        return self.spread >= _TELLING and self._distance(question) >= _TELLING

    def doubt(self, question: Question) -> float:
        """Return how far a guessed cosine is off (standard deviation).

        One bit keeps sqrt(2 / pi) of a component of random sign; the rest is noise that is spread
        over all dimensions (RaBitQ, section 3.2).
        """
        return _NOISE * self._distance(question) * self.spread / math.sqrt(len(self.centre))

    def _distance(self, question: Question) -> float:
        return float(np.linalg.norm(question.vector[0] - self.centre))


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Rows `(count, dim)`, their codes (`row = code * step` up to `error`), and maybe bits."""

    floats: Floats
    codes: faiss.IndexScalarQuantizer
    step: float
    error: float
    bits: Bits | None

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.floats)

    @property
    def size_bytes(self) -> int:
        """What vectors and codes take."""
        return self.floats.nbytes + self.floats.size + (self._bits_bytes if self.bits else 0)

    @property
    def _bits_bytes(self) -> int:
        # One bit per component and two factors.
        return int(self.count * (-(-self.floats.shape[1] // 8) + 8))

    def with_bits(self) -> Chunk:
        """Return the same with bits."""
        if self.bits is not None:
            return self
        import faiss

        one_thread()
        index = faiss.IndexRaBitQFastScan(self.floats.shape[1], faiss.METRIC_INNER_PRODUCT)
        index.train(self.floats)
        index.add(self.floats)
        index.qb = _STEPS_BITS
        centre = self.floats.mean(axis=0)
        away = self.floats - centre
        spread = math.sqrt(float(np.vecdot(away, away).mean()))
        return self.having(Bits(index, centre, spread))

    def having(self, bits: Bits) -> Chunk:
        """Return the same with these bits, which were made of its rows."""
        return replace(self, bits=bits)

    def nearest(self, question: Question, wanted: int, allowed: Mask | None) -> Found:
        """Return the best `wanted` or fewer of the slots allowed, by their codes."""
        import faiss

        eligible = self.count if allowed is None else int(np.count_nonzero(allowed))
        if not eligible:
            return nothing()
        parameters, scanned = None, self.count
        if allowed is not None and eligible < _DENSE * self.count:
            chosen = np.packbits(allowed, bitorder="little")
            # Both are replaced by functions of the same name that the library's types do not know.
            selector = faiss.IDSelectorBitmap(chosen)  # type: ignore[call-arg, arg-type]
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
            scanned = eligible
        wanted = min(wanted, scanned)
        one_thread()
        products, found = self.codes.search(question.code, wanted, params=parameters)
        scores = products[0] * np.float32(question.step * self.step)
        slots = found[0]
        rest = -np.inf if wanted == scanned else float(scores[-1])
        if allowed is not None and parameters is None:
            kept = allowed[slots]
            scores, slots = scores[kept], slots[kept]
        # The question's own error counts against rows of length 1 and a little.
        error = self.error + question.error * (1 + self.error) + _ROUNDING
        return Found(slots, scores, error, rest)

    def guessed(self, question: Question, wanted: int, allowed: Mask | None) -> Guesses:
        """Return about `wanted` of the slots allowed with their guessed cosines, best first."""
        assert self.bits is not None
        share = 1.0 if allowed is None else np.count_nonzero(allowed) / self.count
        one_thread()
        asked = min(self.count, int(wanted / share) + 1)
        guesses, found = self.bits.index.search(question.vector, asked)
        slots: Slots = found[0]
        kept = slots >= 0
        if allowed is not None:
            kept &= allowed[slots]
        last = -np.inf if asked == self.count else float(guesses[0][-1])
        return Guesses(slots[kept], guesses[0][kept], last)


def sealed(floats: Floats) -> Chunk:
    """Encode rows `(count, dim)`, which must not change any more."""
    step = float(np.abs(floats).max(initial=0.0)) / _STEPS or 1.0
    codes = np.empty(floats.shape, np.uint8)
    error = 0.0
    for start in range(0, len(floats), 4096):
        part = floats[start : start + 4096]
        whole = np.rint(part / np.float32(step))
        rest = part - whole * np.float32(step)
        error = max(error, float(np.sqrt(np.vecdot(rest, rest).max(initial=0.0))))
        codes[start : start + 4096] = whole + 128
    return encoded(floats, codes, step, error * 1.001 + _ROUNDING)


def encoded(floats: Floats, codes: NDArray[np.uint8], step: float, error: float) -> Chunk:
    """Make a chunk of rows whose codes are known."""
    import faiss

    index = faiss.IndexScalarQuantizer(
        floats.shape[1], faiss.ScalarQuantizer.QT_8bit_direct_signed, faiss.METRIC_INNER_PRODUCT
    )
    index.is_trained = True
    index.add_sa_codes(codes)
    return Chunk(floats, index, step, error, None)


def one_thread() -> None:
    """Keep faiss from starting threads of its own for the calling thread: they wait, spinning."""
    import faiss

    faiss.omp_set_num_threads(1)


def nothing() -> Found:
    """Return what is found among no rows."""
    return Found(np.empty(0, np.int64), np.empty(0, np.float32), 0.0, -np.inf)
