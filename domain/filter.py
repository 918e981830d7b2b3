"""Filters: which memories a recall or a list may return at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.errors import InvalidInput
from domain.memory import Kind, Memory, check_coordinate, checked_text

WHERE_DEPTH_MAX = 8
WHERE_TERMS_MAX = 64


class Operator(StrEnum):
    """How a payload value is compared."""

    EQ = "eq"
    NE = "ne"
    IN = "in"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    EXISTS = "exists"


Scalar = str | bool | int | float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One payload value, addressed by its path of object keys, against `operand`.

    Values of different JSON types are never equal and never ordered; a missing value is only
    matched by `ne` and `exists: false`. `operand` is a tuple for `in`.
    """

    path: tuple[str, ...]
    operator: Operator
    operand: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """True when every condition is."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True when at least one condition is."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True when the condition is not."""

    condition: Condition


Condition = Comparison | AllOf | AnyOf | Not


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-parallel box of coordinates, both corners included; other arities lie outside."""

    minimum: tuple[float, ...]
    maximum: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What a memory must be to be returned. Empty fields do not restrict.

    `valid_at` is the moment at which it must be valid and not expired; None accepts all times
    (`include_expired`). `occurred_after` is inclusive and `occurred_before` exclusive; both look
    at `occurred_at`, or at `created_at` where none is given.
    """

    kinds: tuple[Kind, ...] = ()
    tags: tuple[str, ...] = ()
    tags_any: tuple[str, ...] = ()
    occurred_after: datetime | None = None
    occurred_before: datetime | None = None
    box: Box | None = None
    where: Condition | None = None
    level: int | None = None
    actor: str | None = None
    session: str | None = None
    valid_at: datetime | None = None

    @property
    def only_time(self) -> bool:
        """Tell whether nothing but validity restricts the answer."""
        return self == Filter(valid_at=self.valid_at)

    def matches(self, memory: Memory) -> bool:
        """Tell whether a memory passes: the reference that every backend must agree with."""
        return (
            (not self.kinds or memory.kind in self.kinds)
            and set(self.tags) <= set(memory.tags)
            and (not self.tags_any or bool(set(self.tags_any) & set(memory.tags)))
            and (self.occurred_after is None or memory.happened_at >= self.occurred_after)
            and (self.occurred_before is None or memory.happened_at < self.occurred_before)
            and (self.box is None or _inside(memory.coordinate, self.box))
            and (self.level is None or memory.level == self.level)
            and (self.actor is None or memory.source.actor == self.actor)
            and (self.session is None or memory.source.session == self.session)
            and (self.valid_at is None or is_current(memory, self.valid_at))
            and (self.where is None or holds(self.where, memory.payload))
        )


def is_current(memory: Memory, moment: datetime) -> bool:
    """Tell whether a memory is valid (half-open) and not expired at `moment`."""
    return (
        (memory.valid_from is None or memory.valid_from <= moment)
        and (memory.valid_to is None or moment < memory.valid_to)
        and (memory.expires_at is None or moment < memory.expires_at)
    )


def holds(condition: Condition, payload: Mapping[str, object]) -> bool:
    """Evaluate a payload condition."""
    match condition:
        case AllOf(conditions):
            return all(holds(part, payload) for part in conditions)
        case AnyOf(conditions):
            return any(holds(part, payload) for part in conditions)
        case Not(negated):
            return not holds(negated, payload)
        case Comparison(path, operator, operand):
            return _compare(_lookup(payload, path), operator, operand)


def parse_box(minimum: Sequence[float], maximum: Sequence[float]) -> Box:
    """Check both corners of a box."""
    low = check_coordinate(minimum, "box.min")
    high = check_coordinate(maximum, "box.max")
    assert low is not None
    assert high is not None
    if len(low) != len(high):
        raise InvalidInput("box.max", "must have as many numbers as box.min")
    if any(a > b for a, b in zip(low, high, strict=True)):
        raise InvalidInput("box.max", "must not be below box.min")
    return Box(low, high)


def parse_where(where: Mapping[str, object]) -> Condition:
    """Read `{"a.b": {"gte": 3}, "or": [{...}, {...}], "not": {...}}`; keys are joined by `and`.

    A bare value means `eq`. Raises `InvalidInput` naming the path inside `where`.
    """
    budget = [WHERE_TERMS_MAX]
    return _parse_object(where, "where", WHERE_DEPTH_MAX, budget)


def _parse_object(where: object, at: str, depth: int, budget: list[int]) -> Condition:
    if not isinstance(where, Mapping) or not where:
        raise InvalidInput(at, "must be an object with at least one condition")
    if depth == 0:
        raise InvalidInput(at, f"is nested deeper than {WHERE_DEPTH_MAX}")
    return AllOf(tuple(_parse_entry(str(k), v, at, depth, budget) for k, v in where.items()))


def _parse_entry(key: str, value: object, at: str, depth: int, budget: list[int]) -> Condition:
    inside = f"{at}.{key}"
    if key in {"and", "or"}:
        if not isinstance(value, list) or not value:
            raise InvalidInput(inside, "must be a list of conditions")
        parts = tuple(
            _parse_object(part, f"{inside}[{index}]", depth - 1, budget)
            for index, part in enumerate(value)
        )
        return AllOf(parts) if key == "and" else AnyOf(parts)
    if key == "not":
        return Not(_parse_object(value, inside, depth - 1, budget))
    path = tuple(key.split("."))
    if not all(path) or '"' in key:
        raise InvalidInput(inside, "is not a path of keys joined by dots")
    checked_text(key, inside)
    if not isinstance(value, Mapping):
        value = {"eq": value}
    if not value:
        raise InvalidInput(inside, "needs an operator")
    return AllOf(tuple(_parse_operator(path, op, v, inside, budget) for op, v in value.items()))


def _parse_operator(
    path: tuple[str, ...], name: object, value: object, at: str, budget: list[int]
) -> Comparison:
    budget[0] -= 1
    if budget[0] < 0:
        raise InvalidInput("where", f"has more than {WHERE_TERMS_MAX} comparisons")
    try:
        operator = Operator(str(name))
    except ValueError:
        known = ", ".join(Operator)
        raise InvalidInput(f"{at}.{name}", f"is not an operator ({known})") from None
    field = f"{at}.{operator}"
    if operator is Operator.IN:
        if not isinstance(value, list) or not value or len(value) > WHERE_TERMS_MAX:
            raise InvalidInput(field, f"must be a list of 1 to {WHERE_TERMS_MAX} values")
        return Comparison(path, operator, tuple(_scalar(item, field) for item in value))
    operand = _scalar(value, field)
    if operator is Operator.EXISTS and not isinstance(operand, bool):
        raise InvalidInput(field, "must be true or false")
    ordered = operator in {Operator.GT, Operator.GTE, Operator.LT, Operator.LTE}
    if ordered and (operand is None or isinstance(operand, bool)):
        raise InvalidInput(field, "must be a number or a text")
    return Comparison(path, operator, operand)


def _scalar(value: object, field: str) -> Scalar:
    if isinstance(value, str):
        return checked_text(value, field)
    if value is None or isinstance(value, bool | int | float):
        return value
    raise InvalidInput(field, "must be a text, a number, true, false or null")


_MISSING = object()


def _lookup(payload: Mapping[str, object], path: tuple[str, ...]) -> object:
    value: object = payload
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return _MISSING
        value = value[key]
    return value


def _compare(value: object, operator: Operator, operand: Scalar | tuple[Scalar, ...]) -> bool:
    match operator:
        case Operator.EXISTS:
            return (value is not _MISSING) is operand
        case Operator.IN:
            assert isinstance(operand, tuple)
            return any(_equal(value, item) for item in operand)
        case Operator.EQ:
            return _equal(value, operand)
        case Operator.NE:
            return not _equal(value, operand)
        case _:
            return _ordered(value, operator, operand)


def _json_type(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "null" if value is None else "other"


def _equal(value: object, operand: object) -> bool:
    kind = _json_type(operand)
    return value is not _MISSING and _json_type(value) == kind and value == operand


def _ordered(value: object, operator: Operator, operand: object) -> bool:
    if isinstance(value, bool) or isinstance(operand, bool):
        return False
    order = _ORDER[operator]
    if isinstance(value, str) and isinstance(operand, str):
        # Code-point order, as the stores compare bytes of UTF-8.
        return order((value > operand) - (value < operand))
    if isinstance(value, int | float) and isinstance(operand, int | float):
        # What is not a number is neither above nor below nor equal.
        comparable = not math.isnan(value) and not math.isnan(operand)
        return comparable and order((value > operand) - (value < operand))
    return False


_ORDER: dict[Operator, Callable[[int], bool]] = {
    Operator.GT: lambda sign: sign > 0,
    Operator.GTE: lambda sign: sign >= 0,
    Operator.LT: lambda sign: sign < 0,
    Operator.LTE: lambda sign: sign <= 0,
}


def _inside(coordinate: tuple[float, ...] | None, box: Box) -> bool:
    if coordinate is None or len(coordinate) != len(box.minimum):
        return False
    return all(
        low <= axis <= high
        for low, axis, high in zip(box.minimum, coordinate, box.maximum, strict=True)
    )
