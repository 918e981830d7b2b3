"""An embedder for peers that insist on calling one: it knows the vectors of given texts."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.comparison.workload import Floats, Item, Question


class GivenVectors:
    """Looks vectors up by text; the memories of one call at a time, and every question."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._questions: dict[str, Question] = {}

    def expect(self, items: Iterable[Item]) -> None:
        """Know the texts of these memories, and those of the call before no more."""
        self._items = {item.text: item for item in items}

    def expect_question(self, question: Question) -> None:
        """Know the text of a question too."""
        self._questions[question.text] = question

    def row(self, text: str) -> Floats:
        """Return the vector of an announced text as a row."""
        return self._of(text).vector

    def numbers(self, text: str) -> list[float]:
        """Return it as numbers."""
        return self._of(text).values

    def _of(self, text: str) -> Item | Question:
        found = self._items.get(text)
        return self._questions[text] if found is None else found
