"""The values at one path of the payloads of a namespace."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from adapters.fastcore.growing import Growing
from domain.filter import Comparison, Operator, holds

Mask = NDArray[np.bool_]

#: Up to here, comparing each different value by itself takes a few milliseconds.
_COMPARED_MAX = 4096
#: Up to here float64 holds every whole number.
_WHOLE_MAX = 2**53
_VALUE_BYTES = 220

_ORDERS = {
    Operator.GT: np.greater,
    Operator.GTE: np.greater_equal,
    Operator.LT: np.less,
    Operator.LTE: np.less_equal,
}


class PayloadPath:
    """For each row that has a value: which of the different values it is. One writer at a time."""

    def __init__(self) -> None:
        self._rows: Growing[np.int32] = Growing([], np.int32)
        self._codes: Growing[np.int32] = Growing([], np.int32)
        self._values: list[object] = []
        self._index: dict[tuple[str, object], int] = {}
        self._numbers: Growing[np.float64] = Growing([], np.float64)
        self._numbers_exact = True

    @property
    def size_bytes(self) -> int:
        """What it takes."""
        columns = self._rows.size_bytes + self._codes.size_bytes + self._numbers.size_bytes
        return columns + _VALUE_BYTES * len(self._values)

    def extend(self, entries: Sequence[tuple[int, object]]) -> None:
        """Add values of rows that follow."""
        codes = self._learn([value for _, value in entries])
        self._codes.extend(codes)
        self._rows.extend([row for row, _ in entries])

    def truncate(self, count: int) -> None:
        """Drop the rows from `count` on."""
        kept = int(np.searchsorted(self._rows.values(), count))
        self._rows.truncate(kept)
        self._codes.truncate(kept)

    def kept(self, numbers: NDArray[np.int64]) -> PayloadPath:
        """Return the same with new numbers for the rows; -1 drops one."""
        copy = PayloadPath()
        new = numbers[self._rows.values()]
        stays = new >= 0
        used, codes = np.unique(self._codes.values(len(new))[stays], return_inverse=True)
        copy._learn([self._values[code] for code in used.tolist()])
        copy._codes.extend(codes)
        copy._rows.extend(new[stays])
        return copy

    def written(self) -> tuple[list[object], NDArray[np.int32], NDArray[np.int32]]:
        """Return the different values, the rows, and which value each has."""
        rows = self._rows.values()
        return list(self._values), rows, self._codes.values(len(rows))

    @staticmethod
    def read(
        values: Sequence[object], rows: NDArray[np.int32], codes: NDArray[np.int32]
    ) -> PayloadPath:
        """Make of what was written what it was written from."""
        path = PayloadPath()
        path._learn(values)
        path._codes.extend(codes)
        path._rows.extend(rows)
        return path

    def can_tell(self, comparison: Comparison) -> bool:
        """Tell whether `mask` can answer without comparing too many values one by one."""
        if comparison.operator not in _ORDERS or len(self._values) <= _COMPARED_MAX:
            return True
        return self._numbers_exact and _is_small(comparison.operand)

    def mask(self, comparison: Comparison, count: int) -> Mask:
        """Return which of the first `count` rows satisfy a comparison with this path."""
        rows = self._rows.values()
        rows = rows[: int(np.searchsorted(rows, count))]
        mask = np.zeros(count, np.bool_)
        match comparison.operator:
            case Operator.EXISTS:
                mask[rows] = True
                return mask if comparison.operand else ~mask
            case Operator.EQ | Operator.NE | Operator.IN:
                codes = self._codes.values(len(rows))
                operand = comparison.operand
                wanted = operand if isinstance(operand, tuple) else (operand,)
                known = [code for value in wanted for code in [self._index.get(_key(value))]]
                for code in known:
                    if code is not None:
                        mask[rows[codes == code]] = True
                return ~mask if comparison.operator is Operator.NE else mask
            case _:
                verdicts = self._ordered(comparison)
                mask[rows[verdicts[self._codes.values(len(rows))]]] = True
                return mask

    def _ordered(self, comparison: Comparison) -> Mask:
        if self._numbers_exact and _is_small(comparison.operand):
            assert isinstance(comparison.operand, int | float)
            # What is no number is NaN here: never above, never below, never equal.
            answer: Mask = _ORDERS[comparison.operator](self._numbers.values(), comparison.operand)
            return answer
        alone = Comparison(("value",), comparison.operator, comparison.operand)
        verdicts = [holds(alone, {"value": value}) for value in list(self._values)]
        return np.array(verdicts, np.bool_)

    def _learn(self, values: Sequence[object]) -> list[int]:
        """Return the code of each value."""
        codes = [self._code(value) for value in values]
        fresh = self._values[len(self._numbers) :]
        self._numbers.extend([self._number(value) for value in fresh])
        return codes

    def _code(self, value: object) -> int:
        key = _key(value)
        code = self._index.get(key)
        if code is None:
            code = self._index[key] = len(self._values)
            self._values.append(value if key[0] != "other" else ())
        return code

    def _number(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return np.nan
        if not _is_small(value):
            self._numbers_exact = False
            return np.nan
        return float(value)


def _key(value: object) -> tuple[str, object]:
    """Return what equal values share; values of different JSON types are never equal."""
    if isinstance(value, bool):
        return "boolean", value
    if isinstance(value, int | float):
        return "number", value
    if isinstance(value, str):
        return "text", value
    return ("null", None) if value is None else ("other", None)


def _is_small(value: object) -> bool:
    """Tell whether a number is one that float64 holds as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) <= _WHOLE_MAX
