"""Decode JSON as exactly one type; what does not fit is refused by the name of its field."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from domain.errors import InvalidInput

T = TypeVar("T")

_AT = re.compile(r" - at `(?:key in )?\$(?P<path>[^`]*)`$")
_NAMED = re.compile(r"Object (?:contains unknown|missing required) field `(?P<name>[^`]*)`")


def decoded(body: bytes | str, wanted: type[T], *, within: str = "") -> T:
    """Decode JSON as exactly the wanted type; raise `InvalidInput` naming the field."""
    try:
        return msgspec.json.decode(body, type=wanted)
    except msgspec.ValidationError as error:
        raise refusal(str(error), within) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(within or "body", f"is not valid JSON ({error})") from error
    except RecursionError as error:
        raise InvalidInput(within or "body", "is nested too deeply") from error


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
