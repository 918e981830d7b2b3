"""What is compared: so many namespaces of so many memories each."""

from __future__ import annotations

from dataclasses import dataclass

DIMENSION = 384
K = 10


@dataclass(frozen=True, slots=True)
class Shape:
    """`namespaces` namespaces with `each` memories in each of them, stored one after the other."""

    namespaces: int
    each: int

    @property
    def total(self) -> int:
        """All memories."""
        return self.namespaces * self.each

    def namespace_of(self, number: int) -> int:
        """Return the place of the namespace that the n-th memory belongs to."""
        return min(number // self.each, self.namespaces - 1)

    def __str__(self) -> str:
        """Write it as `parse` reads it."""
        return str(self.each) if self.namespaces == 1 else f"{self.namespaces}x{self.each}"


def parse(text: str) -> Shape:
    """Read `100000` or `10000x100`; raise `ValueError` for anything else."""
    first, cross, second = text.partition("x")
    shape = Shape(int(first), int(second)) if cross else Shape(1, int(first))
    if shape.namespaces < 1 or shape.each < 1:
        raise ValueError(f"{text}: there must be at least one memory")
    return shape


@dataclass(frozen=True, slots=True)
class Keep:
    """A filter: only memories whose payload has `value` under `field` may be recalled."""

    name: str
    field: str
    value: int


#: Fields of every payload, each with as many values, evenly drawn.
FIELDS = {"bucket": 100, "half": 2}
KEEPS = {keep.name: keep for keep in (Keep("1 %", "bucket", 7), Keep("50 %", "half", 1))}
EVERYTHING = "all"


def keep_named(name: str) -> Keep | None:
    """Return the filter of that name, or None for all memories."""
    return None if name == EVERYTHING else KEEPS[name]
