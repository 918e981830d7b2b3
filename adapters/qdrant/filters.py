"""Filters as Qdrant's conditions: exact wherever Qdrant can say it, never too narrow.

What cannot be said is left out, so that an answer may hold memories that do not pass; whoever asks
holds them against the store. `domain.filter.Filter.matches` is the reference.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from adapters.qdrant.facts import EXACT_INTEGERS, nearest_float, path_token, value_token
from adapters.qdrant.points import axis_field
from domain.filter import (
    AllOf,
    AnyOf,
    Box,
    Comparison,
    Condition,
    Filter,
    Not,
    Operator,
    Scalar,
)
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope, ScopeKind
from domain.vector import Role

if TYPE_CHECKING:
    from datetime import datetime

    from qdrant_client import models

#: A condition (None lets everything pass) and whether it says exactly what was asked.
Said = tuple["models.Condition | None", bool]

_NEVER_TOKEN = "nothing"  # noqa: S105 - a token of the index, which no payload has


def scope_filter(
    scope: Scope, filter: Filter, *, roles: Sequence[Role], without: Iterable[MemoryId] = ()
) -> models.Filter:
    """Return who may be nominated: in scope, passing, of these roles, and none of `without`."""
    from qdrant_client import models

    field = "namespace" if scope.kind is ScopeKind.EXACT else "path"
    must = [_match(field, scope.namespace), _any("role", roles)]
    must_not: list[models.Condition] = []
    excluded = list(without)
    if excluded:
        must_not.append(_any("memory", excluded))
    condition, _ = said(filter)
    if condition is not None:
        must.append(condition)
    return models.Filter(must=must, must_not=must_not or None)


def memories_filter(ids: Sequence[MemoryId]) -> models.Filter:
    """Return the points of these memories."""
    from qdrant_client import models

    return models.Filter(must=[_any("memory", ids)])


def namespace_filter(namespace: Namespace) -> models.Filter:
    """Return the points of one namespace."""
    from qdrant_client import models

    return models.Filter(must=[_match("namespace", namespace)])


def said(filter: Filter) -> Said:
    """Translate a filter."""
    from qdrant_client import models

    must: list[models.Condition] = [_match("tags", tag) for tag in filter.tags]
    if filter.kinds:
        must.append(_any("kind", filter.kinds))
    if filter.tags_any:
        must.append(_any("tags", filter.tags_any))
    for field in ("level", "actor", "session"):
        if (wanted := getattr(filter, field)) is not None:
            must.append(_match(field, wanted))
    if filter.occurred_after is not None or filter.occurred_before is not None:
        span = models.DatetimeRange(gte=filter.occurred_after, lt=filter.occurred_before)
        must.append(models.FieldCondition(key="happened", range=span))
    must += [] if filter.box is None else _inside(filter.box)
    must_not = [] if filter.valid_at is None else _not_current(filter.valid_at)
    exact = True
    if filter.where is not None:
        condition, exact = _condition(filter.where)
        if condition is not None:
            # What was cut out of a long payload may be what is asked for.
            must.append(models.Filter(should=[condition, _match("cut", True)]))
    if not must and not must_not:
        return None, exact
    return models.Filter(must=must or None, must_not=must_not or None), exact


def _inside(box: Box) -> list[models.Condition]:
    from qdrant_client import models

    axes = [
        models.FieldCondition(key=axis_field(number), range=models.Range(gte=low, lte=high))
        for number, (low, high) in enumerate(zip(box.minimum, box.maximum, strict=True))
    ]
    return [_match("arity", len(box.minimum)), *axes]


def _not_current(moment: datetime) -> list[models.Condition]:
    """Return what must not hold: a missing field is in no range, which is what open ends mean."""
    from qdrant_client import models

    return [
        models.FieldCondition(key="valid_from", range=models.DatetimeRange(gt=moment)),
        models.FieldCondition(key="valid_to", range=models.DatetimeRange(lte=moment)),
        models.FieldCondition(key="expires", range=models.DatetimeRange(lte=moment)),
    ]


def _condition(condition: Condition) -> Said:
    match condition:
        case AllOf(conditions):
            return _all([_condition(part) for part in conditions])
        case AnyOf(conditions):
            return _any_of([_condition(part) for part in conditions])
        case Not(negated):
            return _not(_condition(negated))
        case Comparison():
            return _comparison(condition)


def _all(parts: Sequence[Said]) -> Said:
    from qdrant_client import models

    exact = all(said for _, said in parts)
    kept = [condition for condition, _ in parts if condition is not None]
    if len(kept) <= 1:
        return (kept[0] if kept else None), exact
    return models.Filter(must=kept), exact


def _any_of(parts: Sequence[Said]) -> Said:
    from qdrant_client import models

    if not parts:
        return _never()
    if any(condition is None for condition, _ in parts):
        return None, (None, True) in parts
    kept = [condition for condition, _ in parts if condition is not None]
    return models.Filter(should=kept), all(said for _, said in parts)


def _not(part: Said) -> Said:
    """Negate; the negation of something too wide would be too narrow, so it is left out."""
    from qdrant_client import models

    condition, exact = part
    if not exact:
        return None, False
    if condition is None:
        return _never()
    return models.Filter(must_not=[condition]), True


def _never() -> Said:
    return _match("facts", _NEVER_TOKEN), True


def _comparison(comparison: Comparison) -> Said:
    path, operand = comparison.path, comparison.operand
    if comparison.operator is Operator.EXISTS:
        there = _match("facts", path_token(path)), True
        return there if operand else _not(there)
    if comparison.operator is Operator.IN:
        assert isinstance(operand, tuple)
        return _any("facts", [value_token(path, item) for item in operand]), True
    assert not isinstance(operand, tuple)
    if comparison.operator in {Operator.EQ, Operator.NE}:
        equal = _match("facts", value_token(path, operand)), True
        return equal if comparison.operator is Operator.EQ else _not(equal)
    return _ordered(path, comparison.operator, operand)


def _ordered(path: tuple[str, ...], operator: Operator, operand: Scalar) -> Said:
    """Translate an order; of texts Qdrant knows none, so that something there must do."""
    from qdrant_client import models

    if isinstance(operand, str):
        return _match("facts", path_token(path)), False
    if operand is None or isinstance(operand, bool):
        return _never()
    if isinstance(operand, float) and math.isnan(operand):
        return _never()
    bound = nearest_float(operand)
    exact = abs(operand) < EXACT_INTEGERS
    name = operator.value if exact else {"gt": "gte", "lt": "lte"}.get(operator, operator.value)
    here = models.Filter(
        must=[
            _match("path", path_token(path)),
            models.FieldCondition(key="value", range=models.Range(**{name: bound})),
        ]
    )
    return models.NestedCondition(nested=models.Nested(key="numbers", filter=here)), exact


def _match(key: str, value: str | bool | int) -> models.Condition:
    from qdrant_client import models

    return models.FieldCondition(key=key, match=models.MatchValue(value=value))


def _any(key: str, values: Iterable[str]) -> models.Condition:
    from qdrant_client import models

    return models.FieldCondition(key=key, match=models.MatchAny(any=[str(v) for v in values]))
