"""How the values of options are written on a command line."""

from __future__ import annotations

import argparse
import json
import re

from domain.memory import NESTING_MAX, is_nested_deeper

_TOO_DEEP = f"is nested deeper than {NESTING_MAX} levels"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw]?)")

_HEADER = re.compile(r"[!-~](?:[ -~]*[!-~])?")

_SWITCHES = {"on": True, "off": False}


def json_object(text: str) -> dict[str, object]:
    """Read a JSON object."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"is not JSON: {error}") from error
    except RecursionError as error:
        raise argparse.ArgumentTypeError(_TOO_DEEP) from error
    if is_nested_deeper(value, NESTING_MAX):
        raise argparse.ArgumentTypeError(_TOO_DEEP)
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("is not a JSON object such as {}")
    return value


def numbers(text: str) -> list[float]:
    """Read numbers joined by commas."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError("must be numbers joined by commas") from error


def box(text: str) -> dict[str, list[float]]:
    """Read the two corners of a box."""
    low, colon, high = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError("must be two corners joined by a colon")
    return {"min": numbers(low), "max": numbers(high)}


def seconds(text: str) -> float:
    """Read a time such as 15m as seconds."""
    matched = _DURATION.fullmatch(text)
    if matched is None:
        raise argparse.ArgumentTypeError("must be a time such as 90, 15m, 12h or 7d")
    return float(matched[1]) * _UNITS[matched[2] or "s"]


def header(text: str) -> str:
    """Read what is sent in a header."""
    if not _HEADER.fullmatch(text):
        raise argparse.ArgumentTypeError("must be printable ASCII characters")
    return text


def weight(text: str) -> tuple[str, float]:
    """Read a part of the score and its weight."""
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError("must be such as lexical=0.6") from error


def signal(text: str) -> tuple[str, bool]:
    """Read a signal and whether it counts."""
    name, _, value = text.partition("=")
    if value not in _SWITCHES:
        raise argparse.ArgumentTypeError("must be such as speaker=off")
    return name, _SWITCHES[value]
