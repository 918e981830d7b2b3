"""Filters as SQL over `memories m`, agreeing exactly with `domain.filter.Filter.matches`.

Payload numbers are compared as decimals of any length (see `rows.exact_json`), texts by their
bytes. User text is always a parameter, never part of a statement.
"""

from __future__ import annotations

import math
from datetime import datetime

from adapters.postgres.rows import exact_json, micros
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

Sql = tuple[str, list[object]]

_ALWAYS: Sql = ("true", [])
_NEVER: Sql = ("false", [])
_SYMBOLS = {Operator.GT: ">", Operator.GTE: ">=", Operator.LT: "<", Operator.LTE: "<="}


def filter_sql(filter: Filter) -> Sql:
    """Return a condition and its parameters; it is never NULL."""
    parts: list[Sql] = []
    if filter.kinds:
        parts.append(("m.kind = ANY(%s::text[])", [[kind.value for kind in filter.kinds]]))
    if filter.tags:
        parts.append(("m.tags @> %s::text[]", [list(filter.tags)]))
    if filter.tags_any:
        parts.append(("m.tags && %s::text[]", [list(filter.tags_any)]))
    if filter.occurred_after is not None:
        parts.append(("m.happened_at >= %s", [micros(filter.occurred_after)]))
    if filter.occurred_before is not None:
        parts.append(("m.happened_at < %s", [micros(filter.occurred_before)]))
    if filter.level is not None:
        parts.append(("m.level = %s", [filter.level]))
    if filter.actor is not None:
        parts.append(("coalesce(m.actor = %s, false)", [filter.actor]))
    if filter.session is not None:
        parts.append(("coalesce(m.session = %s, false)", [filter.session]))
    if filter.valid_at is not None:
        parts.append(_current_sql(filter.valid_at))
    if filter.box is not None:
        parts.append(_box_sql(filter.box))
    if filter.where is not None:
        parts.append(_condition_sql(filter.where))
    return _joined(parts, "AND", _ALWAYS)


def _current_sql(moment: datetime) -> Sql:
    now = micros(moment)
    return (
        "coalesce(m.valid_from <= %s, true) AND coalesce(%s < m.valid_to, true)"
        " AND coalesce(%s < m.expires_at, true)",
        [now, now, now],
    )


def _box_sql(box: Box) -> Sql:
    """Ask the index for a range (arrays are ordered by their first difference), then every axis."""
    axes = "".join(
        f" AND m.coordinate[{axis}] BETWEEN %s::float8 AND %s::float8"
        for axis in range(1, len(box.minimum) + 1)
    )
    corners = [corner for pair in zip(box.minimum, box.maximum, strict=True) for corner in pair]
    return (
        "(m.coordinate IS NOT NULL AND m.coordinate BETWEEN %s::float8[] AND %s::float8[]"
        f" AND cardinality(m.coordinate) = %s{axes})",
        [list(box.minimum), list(box.maximum), len(box.minimum), *corners],
    )


def _condition_sql(condition: Condition) -> Sql:
    match condition:
        case AllOf(conditions):
            return _joined([_condition_sql(part) for part in conditions], "AND", _ALWAYS)
        case AnyOf(conditions):
            return _joined([_condition_sql(part) for part in conditions], "OR", _NEVER)
        case Not(negated):
            sql, parameters = _condition_sql(negated)
            return f"NOT ({sql})", parameters
        case Comparison():
            return _comparison_sql(condition)


def _comparison_sql(comparison: Comparison) -> Sql:
    operator, operand = comparison.operator, comparison.operand
    # `->` with a text looks into objects only, and gives NULL for everything else.
    value = "m.facts" + " -> %s::text" * len(comparison.path)
    keys: list[object] = list(comparison.path)
    if operator is Operator.EXISTS:
        return f"({value}) IS {'NOT ' if operand else ''}NULL", keys
    if operator in {Operator.EQ, Operator.NE}:
        assert not isinstance(operand, tuple)
        sql, parameters = _any_of(value, keys, (operand,))
        return (sql if operator is Operator.EQ else f"NOT ({sql})"), parameters
    if operator is Operator.IN:
        assert isinstance(operand, tuple)
        return _any_of(value, keys, operand)
    assert not isinstance(operand, tuple)
    return _ordered_sql(value, keys, _SYMBOLS[operator], operand)


def _any_of(value: str, keys: list[object], operands: tuple[Scalar, ...]) -> Sql:
    found = [exact_json(operand) for operand in operands if _is_json(operand)]
    return f"coalesce(({value}) = ANY(%s::jsonb[]), false)", [*keys, found]


def _ordered_sql(value: str, keys: list[object], symbol: str, operand: Scalar) -> Sql:
    if operand is None or isinstance(operand, bool):
        return _NEVER
    if isinstance(operand, str):
        # The order of CASE keeps other types from being read as texts.
        return (
            f"CASE WHEN jsonb_typeof({value}) = 'string'"
            f" THEN (({value}) #>> '{{}}') COLLATE \"C\" {symbol} %s::text ELSE false END",
            [*keys, *keys, operand],
        )
    if math.isnan(operand):
        return _NEVER
    bound = exact_json(operand) if _is_json(operand) else str(operand)
    return (
        f"CASE WHEN jsonb_typeof({value}) = 'number'"
        f" THEN ({value})::numeric {symbol} %s::numeric ELSE false END",
        [*keys, *keys, bound],
    )


def _is_json(operand: Scalar) -> bool:
    return not isinstance(operand, float) or math.isfinite(operand)


def _joined(parts: list[Sql], operator: str, empty: Sql) -> Sql:
    if not parts:
        return empty
    sql = f" {operator} ".join(f"({part})" for part, _ in parts)
    return sql, [parameter for _, parameters in parts for parameter in parameters]
