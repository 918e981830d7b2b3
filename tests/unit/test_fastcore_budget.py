"""The byte budget that vectors and words share."""

from __future__ import annotations

from adapters.fastcore.budget import Budget
from domain.namespace import Namespace

A, B, C = Namespace("a"), Namespace("b"), Namespace("c")


class Keeper:
    """Notes what it had to let go of."""

    def __init__(self) -> None:
        self.evicted: list[Namespace] = []

    def evict(self, namespace: Namespace, /) -> None:
        """Note the namespace."""
        self.evicted.append(namespace)


def test_the_least_recently_used_leaves_whoever_holds_it() -> None:
    budget, vectors, words = Budget(100), Keeper(), Keeper()
    budget.charge(vectors, A, 40)
    budget.charge(words, A, 30)
    budget.charge(vectors, B, 30)
    budget.touch(vectors, A)

    budget.charge(words, C, 20)

    assert (vectors.evicted, words.evicted) == ([], [A])
    assert (budget.used_by(vectors), budget.used_by(words)) == (70, 20)


def test_a_new_charge_replaces_the_old_one() -> None:
    budget, vectors = Budget(100), Keeper()
    budget.charge(vectors, A, 60)

    budget.charge(vectors, A, 90)

    assert budget.used_by(vectors) == 90
    assert vectors.evicted == []
    assert not budget.is_full


def test_is_full_when_nothing_more_has_room() -> None:
    budget = Budget(100)

    budget.charge(Keeper(), A, 100)

    assert budget.is_full


def test_what_was_charged_last_stays_whatever_its_size() -> None:
    budget, vectors = Budget(10), Keeper()
    budget.charge(vectors, A, 5)

    budget.charge(vectors, B, 500)

    assert vectors.evicted == [A]
    assert budget.used_by(vectors) == 500


def test_what_was_released_costs_nothing() -> None:
    budget, vectors = Budget(10), Keeper()
    budget.charge(vectors, A, 5)

    budget.release(vectors, A)
    budget.release(vectors, A)

    assert budget.used_by(vectors) == 0
