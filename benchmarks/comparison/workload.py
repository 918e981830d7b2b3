"""The memories and questions every system gets: made once, kept in files, read by each process.

The vectors are not embedded texts but have the geometry of such: a point in a latent space of
`_LATENT` directions of falling strength, mapped into `DIMENSION`, a little noise added, and
brought to unit length. Independent normal values instead would put all memories equally far from
any question, which no embedder does and no approximate index can rank. A question lies near a
memory, as a question lies near its answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.comparison.shapes import DIMENSION, FIELDS, Keep, Shape
from benchmarks.texts import questions, remarks

Floats = NDArray[np.float32]
_LATENT = 64
_NOISE = 0.1
_QUESTION_NOISE = 0.25
_CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class Item:
    """A memory to store: its vector as a row and as numbers, so that no system pays for that."""

    number: int
    namespace: str
    text: str
    vector: Floats
    values: list[float]
    payload: dict[str, int]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, in one namespace."""

    number: int
    namespace: str
    text: str
    vector: Floats
    values: list[float]


class Workload:
    """A folder of memories and questions of one shape."""

    def __init__(self, folder: Path, shape: Shape) -> None:
        self.folder = folder
        self.shape = shape

    def make(self, asked: int, spare: int) -> None:
        """Write everything unless it is there: `spare` memories more, to be stored singly."""
        wanted = {"shape": str(self.shape), "questions": asked, "spare": spare}
        stamp = self.folder / "made.json"
        if stamp.exists() and json.loads(stamp.read_text()) == wanted:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        stamp.unlink(missing_ok=True)
        count = self.shape.total + spare
        draw = np.random.default_rng(5)
        self._write_vectors(draw, count, asked)
        labels = np.stack([draw.integers(0, values, count) for values in FIELDS.values()], axis=1)
        np.save(self.folder / "labels.npy", labels.astype(np.int32))
        lines = (self.folder / "texts.txt", self.folder / "questions.txt")
        lines[0].write_text("\n".join(remarks(count)), encoding="utf-8")
        lines[1].write_text("\n".join(questions(asked)), encoding="utf-8")
        stamp.write_text(json.dumps(wanted))

    def _write_vectors(self, draw: np.random.Generator, count: int, asked: int) -> None:
        strength = 1 / np.sqrt(1 + np.arange(_LATENT))
        directions = (draw.standard_normal((_LATENT, DIMENSION)) * strength[:, None]).astype("<f4")
        nearby = np.sort(draw.choice(count, asked, replace=asked > count))
        latent_questions = np.empty((asked, _LATENT), "<f4")
        vectors = np.lib.format.open_memmap(
            self.folder / "vectors.npy", "w+", "<f4", (count, DIMENSION)
        )
        for first in range(0, count, _CHUNK):
            latent = draw.standard_normal((min(_CHUNK, count - first), _LATENT)).astype("<f4")
            vectors[first : first + len(latent)] = _placed(latent, directions, _NOISE, draw)
            here = slice(*np.searchsorted(nearby, [first, first + len(latent)]))
            latent_questions[here] = latent[nearby[here] - first]
        vectors.flush()
        np.save(
            self.folder / "questions.npy",
            _placed(latent_questions, directions, _QUESTION_NOISE, draw),
        )
        np.save(self.folder / "nearby.npy", nearby)

    def vectors(self) -> Floats:
        """Return all vectors, mapped and not read."""
        mapped: Floats = np.load(self.folder / "vectors.npy", mmap_mode="r")
        return mapped

    def labels(self, field: str) -> NDArray[np.int32]:
        """Return the value of a payload field of every memory."""
        column: NDArray[np.int32] = np.load(self.folder / "labels.npy")[
            :, list(FIELDS).index(field)
        ]
        return column

    def questions(self) -> list[Question]:
        """Return all questions."""
        vectors = np.load(self.folder / "questions.npy")
        nearby = np.load(self.folder / "nearby.npy").tolist()
        texts = (self.folder / "questions.txt").read_text(encoding="utf-8").split("\n")
        return [
            Question(number, self._namespace(near), text, vector, vector.tolist())
            for number, (near, text, vector) in enumerate(zip(nearby, texts, vectors, strict=True))
        ]

    def items(self, first: int, count: int, batch: int) -> Iterator[list[Item]]:
        """Give the memories from the n-th on, `batch` at a time."""
        labels = np.load(self.folder / "labels.npy", mmap_mode="r")
        vectors = self.vectors()
        with (self.folder / "texts.txt").open(encoding="utf-8") as lines:
            for _ in range(first):
                next(lines)
            for begin in range(first, first + count, batch):
                numbers = range(begin, min(begin + batch, first + count))
                rows = np.array(vectors[numbers.start : numbers.stop])
                values = labels[numbers.start : numbers.stop].tolist()
                yield [
                    Item(
                        number,
                        self._namespace(number),
                        next(lines).rstrip("\n"),
                        row,
                        row.tolist(),
                        dict(zip(FIELDS, payload, strict=True)),
                    )
                    for number, row, payload in zip(numbers, rows, values, strict=True)
                ]

    def _namespace(self, number: int) -> str:
        return f"bench/agent-{self.shape.namespace_of(number)}"

    def exact(
        self, asked: Sequence[Question], keep: Keep | None, k: int, among: int
    ) -> list[list[int]]:
        """Return the true nearest of each question among the first so many memories."""
        allowed = np.ones(among, np.bool_)
        if keep is not None:
            allowed = self.labels(keep.field)[:among] == keep.value
        if self.shape.namespaces == 1:
            return self._exact_together(asked, allowed, k)
        return [self._exact_within(question, allowed, k) for question in asked]

    def _exact_together(
        self, asked: Sequence[Question], allowed: NDArray[np.bool_], k: int
    ) -> list[list[int]]:
        """Scan once for all questions, a chunk at a time."""
        wanted = np.stack([question.vector for question in asked], axis=1)
        scores = np.empty((0, len(asked)), np.float32)
        numbers = np.empty((0, len(asked)), np.int64)
        vectors = self.vectors()
        for first in range(0, len(allowed), _CHUNK):
            rows = np.flatnonzero(allowed[first : first + _CHUNK]) + first
            scores = np.concatenate([scores, vectors[rows] @ wanted])
            numbers = np.concatenate([numbers, np.repeat(rows[:, None], len(asked), axis=1)])
            best = np.argsort(-scores, axis=0, kind="stable")[:k]
            scores = np.take_along_axis(scores, best, axis=0)
            numbers = np.take_along_axis(numbers, best, axis=0)
        found: list[list[int]] = numbers.T.tolist()
        return found

    def _exact_within(self, question: Question, allowed: NDArray[np.bool_], k: int) -> list[int]:
        place = int(question.namespace.rpartition("-")[2])
        first = place * self.shape.each
        until = first + self.shape.each
        if place == self.shape.namespaces - 1:
            until = len(allowed)
        rows = np.flatnonzero(allowed[first:until]) + first
        best = np.argsort(-(self.vectors()[rows] @ question.vector), kind="stable")[:k]
        found: list[int] = rows[best].tolist()
        return found


def _placed(latent: Floats, directions: Floats, noise: float, draw: np.random.Generator) -> Floats:
    """Map latent points into the space of the vectors, add noise, and bring to unit length."""
    points = latent @ directions
    spread = noise * float(np.sqrt((points**2).mean()))
    points += spread * draw.standard_normal(points.shape).astype("<f4")
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points.astype("<f4")
