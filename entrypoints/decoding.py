"""Decode JSON as exactly one type; what does not fit is refused by the name of its field."""

from __future__ import annotations

import json
import math
import re
from typing import TypeVar

import msgspec

from domain.errors import InvalidInput
from domain.memory import NESTING_MAX, nested_too_deeply

T = TypeVar("T")

#: In larger bodies finding the place costs more than it is worth.
LOCATED_BYTES_MAX = 1024 * 1024

_SURROGATE = re.compile("[\ud800-\udfff]")
_AT = re.compile(r" - at `(?:key in )?\$(?P<path>[^`]*)`$")
#: What JSON is made of, read from front to back: for what no decoder takes.
JSON_SIGN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[][{}:,]|[^][{}:,\s"]+', re.DOTALL)
#: The fields that hold any JSON: what is wrong inside them is theirs.
_FREE = frozenset({"payload", "properties", "where"})
#: More than there are around any of them, as in `memories[0].links[0].properties`.
_LEVELS_AROUND = 8
_NAMED = re.compile(r"Object (?:contains unknown|missing required) field `(?P<name>[^`]*)`")


def decoded(body: bytes | str, wanted: type[T], *, within: str = "") -> T:
    """Decode JSON as exactly the wanted type; raise `InvalidInput` naming the field."""
    try:
        return msgspec.json.decode(body, type=wanted)
    except msgspec.ValidationError as error:
        raise refusal(str(error), within) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _misplaced(body, within) or InvalidInput(
            within or "body", f"is not valid JSON ({error})"
        ) from error
    except RecursionError as error:
        raise nested_too_deeply(_deep(body, within)) from error


def _misplaced(body: bytes | str, within: str) -> InvalidInput | None:
    """Name the field with what JSON cannot hold: a lone surrogate, NaN or an infinity."""
    if len(body) > LOCATED_BYTES_MAX:
        return None
    try:
        whole = json.loads(body)  # reads both, unlike msgspec
    except (ValueError, RecursionError):
        return None
    waiting: list[tuple[str, object]] = [(within, whole)]
    while waiting:
        at, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(at, key) for key in value]
            waiting += [(f"{at}.{key}".lstrip("."), inside) for key, inside in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{at}[{index}]", inside) for index, inside in enumerate(value)]
        elif isinstance(value, float) and not math.isfinite(value):
            return InvalidInput(at or "body", "must be a finite number")
        elif isinstance(value, str) and _SURROGATE.search(value):
            return InvalidInput(at or "body", "holds a lone surrogate")
    return None


def _deep(body: bytes | str, within: str) -> str:
    """Name the field that the decoder gave up in: the first with more levels than are allowed."""
    if within or len(body) > LOCATED_BYTES_MAX:
        return within or "body"
    text = body if isinstance(body, str) else body.decode(errors="replace")
    places: list[str | int] = []  # what is being read, in each of the objects and lists around it
    last = ""
    for found in JSON_SIGN.finditer(text):
        sign = found[0]
        if sign in "[{":
            places.append(0 if sign == "[" else "")
            if len(places) > _LEVELS_AROUND + NESTING_MAX:
                return _path(places)
        elif sign in "]}":
            places.pop()
        elif sign == ":":
            places[-1] = last
        elif sign == "," and isinstance(place := places[-1], int):
            places[-1] = place + 1
        last = sign[1:-1]
    return "body"


def _path(places: list[str | int]) -> str:
    path = ""
    for place in places:
        path += f"[{place}]" if isinstance(place, int) else f".{place}"
        if place in _FREE:
            break
    return path.lstrip(".")


def refusal(message: str, within: str = "") -> InvalidInput:
    """Turn what msgspec says, ``Expected `int`, got `str` - at `$.k` ``, into a named refusal."""
    at = _AT.search(message)
    path = f"{within}{at['path'] if at else ''}".lstrip(".")
    reason = message[: at.start()] if at else message
    named = _NAMED.match(reason)
    if named is None:
        return InvalidInput(path or "body", reason[:1].lower() + reason[1:])
    known = "unknown" not in reason
    field = f"{path}.{named['name']}".lstrip(".")
    return InvalidInput(field, "is required" if known else "is not a known field")
