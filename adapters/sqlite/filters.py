# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""Filters as SQL over `memories m`, agreeing exactly with `domain.filter.Filter.matches`.

SQLite decides what it decides exactly. What it would round (fractions, integers beyond 64 bits,
box edges) or not address (keys that JSON escapes) is asked of the domain by a function.
User text is always a parameter, never part of a statement.
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from adapters.sqlite.rows import micros, to_json
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
    holds,
)

Sql = tuple[str, list[object]]

_INTEGER_MIN, _INTEGER_MAX = -(2**63), 2**63 - 1
_PLAIN_KEY = re.compile(r'[^"\\\x00-\x1f]+')
_SYMBOLS = {
    Operator.GT: ">",
    Operator.GTE: ">=",
    Operator.LT: "<",
    Operator.LTE: "<=",
}
_CONDITIONS_CACHED = 256


def register_functions(connection: sqlite3.Connection) -> None:
    """Give a connection the functions that compiled filters call."""
    connection.create_function("soma_holds", 2, _holds, deterministic=True)
    connection.create_function("soma_inside", 2, _inside, deterministic=True)


def filter_sql(filter: Filter) -> Sql:
    """Return a condition and its parameters; it is never NULL."""
    parts: list[Sql] = []
    if filter.kinds:
        parts.append((f"m.kind IN ({_marks(filter.kinds)})", [kind.value for kind in filter.kinds]))
    parts.extend(
        ("EXISTS (SELECT 1 FROM json_each(m.tags) WHERE value = ?)", [tag]) for tag in filter.tags
    )
    if filter.tags_any:
        marks = _marks(filter.tags_any)
        parts.append(
            (
                f"EXISTS (SELECT 1 FROM json_each(m.tags) WHERE value IN ({marks}))",
                list(filter.tags_any),
            )
        )
    if filter.occurred_after is not None:
        parts.append(("m.happened_at >= ?", [micros(filter.occurred_after)]))
    if filter.occurred_before is not None:
        parts.append(("m.happened_at < ?", [micros(filter.occurred_before)]))
    if filter.level is not None:
        parts.append(("m.level = ?", [filter.level]))
    if filter.actor is not None:
        parts.append(("m.actor IS ?", [filter.actor]))
    if filter.session is not None:
        parts.append(("m.session IS ?", [filter.session]))
    if filter.valid_at is not None:
        parts.append(_current_sql(filter.valid_at))
    if filter.box is not None:
        parts.append(_box_sql(filter.box))
    if filter.where is not None:
        parts.append(_condition_sql(filter.where))
    return _joined(parts, "AND", "1")


def _current_sql(moment: datetime) -> Sql:
    now = micros(moment)
    return (
        "ifnull(m.valid_from <= ?, 1) AND ifnull(? < m.valid_to, 1)"
        " AND ifnull(? < m.expires_at, 1)",
        [now, now, now],
    )


def _box_sql(box: Box) -> Sql:
    return (
        "(m.coordinate IS NOT NULL AND soma_inside(m.coordinate, ?))",
        [json.dumps([box.minimum, box.maximum])],
    )


def _condition_sql(condition: Condition) -> Sql:
    match condition:
        case AllOf(conditions):
            return _joined([_condition_sql(part) for part in conditions], "AND", "1")
        case AnyOf(conditions):
            return _joined([_condition_sql(part) for part in conditions], "OR", "0")
        case Not(negated):
            sql, parameters = _condition_sql(negated)
            return f"NOT ({sql})", parameters
        case Comparison():
            return _comparison_sql(condition)


def _comparison_sql(comparison: Comparison) -> Sql:
    path, operator, operand = comparison.path, comparison.operator, comparison.operand
    if not path or not all(_PLAIN_KEY.fullmatch(key) for key in path):
        return _asked(comparison)
    address = "$" + "".join(f'."{key}"' for key in path)
    if operator is Operator.EXISTS:
        presence = "IS NOT NULL" if operand else "IS NULL"
        return f"json_type(m.payload, ?) {presence}", [address]
    if operator is Operator.NE:
        sql, parameters = _comparison_sql(Comparison(path, Operator.EQ, operand))
        return f"NOT ({sql})", parameters
    if operator is Operator.IN:
        assert isinstance(operand, tuple)
        return _any_sql(path, address, operand)
    assert not isinstance(operand, tuple)
    if operator is Operator.EQ:
        return _any_sql(path, address, (operand,))
    if operand is None or isinstance(operand, bool):
        return "0", []
    if isinstance(operand, str):
        return _text_sql(address, f"{_SYMBOLS[operator]} ?", [operand])
    return _number_sql(comparison, address, f"{_SYMBOLS[operator]} ?", [operand])


def _any_sql(path: tuple[str, ...], address: str, operands: tuple[Scalar, ...]) -> Sql:
    """Return the condition that the value equals one of `operands`, type by type."""
    words = [to_json(one) for one in operands if one is None or isinstance(one, bool)]
    texts = [one for one in operands if isinstance(one, str)]
    numbers = [
        one for one in operands if isinstance(one, int | float) and not isinstance(one, bool)
    ]
    parts: list[Sql] = []
    if words:
        # `null`, `true` and `false` are types of their own to json_type.
        parts.append(
            (f"ifnull(json_type(m.payload, ?), '') IN ({_marks(words)})", [address, *words])
        )
    if texts:
        parts.append(_text_sql(address, f"IN ({_marks(texts)})", texts))
    if numbers:
        asked = Comparison(path, Operator.IN, tuple(numbers))
        parts.append(_number_sql(asked, address, f"IN ({_marks(numbers)})", numbers))
    return _joined(parts, "OR", "0")


def _text_sql(address: str, test: str, operands: Sequence[str]) -> Sql:
    return (
        f"(json_type(m.payload, ?) IS 'text' AND json_extract(m.payload, ?) {test})",
        [address, address, *operands],
    )


def _number_sql(
    comparison: Comparison, address: str, test: str, operands: Sequence[int | float]
) -> Sql:
    """Compare integers here and let the domain decide on all else that is a number."""
    asked, parameters = _asked(comparison)
    if not all(map(_fits, operands)):
        return asked, parameters
    # json_extract turns integers beyond 64 bits into rounded fractions: hence the typeof.
    return (
        "CASE WHEN json_type(m.payload, ?) IS 'integer'"
        " AND typeof(json_extract(m.payload, ?)) = 'integer'"
        f" THEN json_extract(m.payload, ?) {test}"
        f" WHEN ifnull(json_type(m.payload, ?), '') IN ('integer', 'real') THEN {asked}"
        " ELSE 0 END",
        [address, address, address, *operands, address, *parameters],
    )


def _fits(operand: int | float) -> bool:
    if isinstance(operand, float):
        return math.isfinite(operand)
    return _INTEGER_MIN <= operand <= _INTEGER_MAX


def _asked(comparison: Comparison) -> Sql:
    """Have the domain itself decide."""
    encoded = json.dumps([comparison.path, comparison.operator, comparison.operand])
    return "soma_holds(m.payload, ?)", [encoded]


def _holds(payload: str, encoded: str) -> bool:
    return holds(_comparison(encoded), json.loads(payload))


@lru_cache(maxsize=_CONDITIONS_CACHED)
def _comparison(encoded: str) -> Comparison:
    path, operator, operand = json.loads(encoded)
    if isinstance(operand, list):
        operand = tuple(operand)
    return Comparison(tuple(path), Operator(operator), operand)


def _inside(coordinate: str, corners: str) -> bool:
    axes = json.loads(coordinate)
    lows, highs = _corners(corners)
    return len(axes) == len(lows) and all(
        low <= axis <= high for low, axis, high in zip(lows, axes, highs, strict=True)
    )


@lru_cache(maxsize=_CONDITIONS_CACHED)
def _corners(encoded: str) -> tuple[list[float], list[float]]:
    lows, highs = json.loads(encoded)
    return lows, highs


def _joined(parts: list[Sql], operator: str, empty: str) -> Sql:
    if not parts:
        return empty, []
    sql = f" {operator} ".join(f"({part})" for part, _ in parts)
    return sql, [parameter for _, parameters in parts for parameter in parameters]


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
