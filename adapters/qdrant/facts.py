"""A memory's payload, flattened so that Qdrant can answer conditions on it.

Every path that exists and every scalar value becomes a token of fixed length: a hash over path,
type and value, so that types never mix, integers of any size compare exactly, and no text of a
payload is repeated in the index. Numbers are kept beside that for ranges.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

FACTS_MAX = 256
NUMBERS_MAX = 64
#: From here on two integers may be the same float.
EXACT_INTEGERS = 2**53

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Tokens, and (path token, number) pairs; `cut` when the payload holds more than is kept."""

    tokens: tuple[str, ...]
    numbers: tuple[tuple[str, float], ...]
    cut: bool


def facts_of(payload: Mapping[str, object]) -> Facts:
    """Flatten a payload, up to a limit."""
    tokens: list[str] = []
    numbers: list[tuple[str, float]] = []
    for path, value in _walk(payload):
        token = path_token(path)
        tokens.append(token)
        if value is None or isinstance(value, str | bool | int | float):
            tokens.append(value_token(path, value))
        if isinstance(value, int | float) and not isinstance(value, bool):
            numbers.append((token, nearest_float(value)))
        if len(tokens) > FACTS_MAX or len(numbers) > NUMBERS_MAX:
            return Facts(tuple(tokens[:FACTS_MAX]), tuple(numbers[:NUMBERS_MAX]), cut=True)
    return Facts(tuple(tokens), tuple(numbers), cut=False)


def path_token(path: Path) -> str:
    """Return the token that says: there is something at this path."""
    return _token("path", list(path))


def value_token(path: Path, value: str | bool | int | float | None) -> str:
    """Return the token that says: this value is at this path."""
    return _token("value", [*path], _canonical(value))


def nearest_float(value: int | float) -> float:
    """Return a finite float that is never on the other side of a number than the value is."""
    largest = sys.float_info.max
    try:
        return min(max(float(value), -largest), largest)
    except OverflowError:
        return largest if value > 0 else -largest


def _walk(payload: Mapping[str, object]) -> Iterator[tuple[Path, object]]:
    """Yield every path of object keys with its value, without recursion: payloads may be deep."""
    open_objects: list[tuple[Path, Mapping[str, object]]] = [((), payload)]
    while open_objects:
        above, items = open_objects.pop()
        for key, value in items.items():
            path = (*above, key)
            yield path, value
            if isinstance(value, Mapping):
                open_objects.append((path, value))


def _canonical(value: str | bool | int | float | None) -> list[str]:
    if value is None:
        return ["null"]
    if isinstance(value, bool):
        return ["boolean", str(value)]
    if isinstance(value, str):
        return ["text", value]
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)
    # An integer in hexadecimal: decimals of more than 4300 digits are refused by Python.
    return ["number", hex(value) if isinstance(value, int) else value.hex()]


def _token(*parts: object) -> str:
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()
