"""What commands print: tables on a terminal, plain lines in a pipe, JSON for programs.

Stored text is somebody else's text: nothing in it may steer the terminal it is shown on.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from entrypoints.cli.failure import OutputLost

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_SPACE = re.compile(r"\s+")


@contextmanager
def written() -> Iterator[None]:
    """Tell what is wrong with standard output from everything else that cannot be written.

    A reader that has seen enough is nobody to tell.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputLost(f"standard output cannot be written: {error.strerror}") from error


def safe(text: str) -> str:
    """Return `text` with control characters (but newline and tab) and direction marks escaped."""
    return _STEERING.sub(_escape, text)


def one_line(text: str) -> str:
    """Return `text` safe and on one line."""
    return safe(_SPACE.sub(" ", text)).strip()


@written()
def show_json(answer: Mapping[str, object]) -> None:
    """Print an answer of the API: indented on a terminal, one line in a pipe."""
    text = json.dumps(answer, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None)
    print(_STEERING.sub(_escape_json, text))


@written()
def say(text: str = "") -> None:
    """Print one line for a person."""
    print(safe(text))


@written()
def announce(text: str) -> None:
    """Print a line that somebody waits for."""
    print(text, flush=True)


def note(text: str) -> None:
    """Print a remark that is not part of the answer."""
    print(safe(text), file=sys.stderr)


@written()
def show_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, below: Collection[str] = ()
) -> None:
    """Print rows: aligned on a terminal, separated by tabs in a pipe.

    On a terminal the last column wraps, and columns named in `below` stand under it: ids and
    parts of scores are long, and a memory needs the room.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    if not sys.stdout.isatty():
        for row in [list(columns), *cells]:
            print("\t".join(row))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    beside = [index for index, column in enumerate(columns) if column not in below]
    under = [index for index, column in enumerate(columns) if column in below]
    *narrow, wide = beside
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index in narrow:
        numeric = all(_is_number(row[index]) for row in cells)
        table.add_column(columns[index], justify="right" if numeric else "left", no_wrap=True)
    table.add_column(columns[wide], overflow="fold", ratio=1)
    for row in cells:
        text = Text(row[wide])
        for index in under:
            text.append(f"\n{row[index]}", style="dim")
        table.add_row(*(Text(row[index]) for index in narrow), text)
    Console().print(table)


@written()
def show_fields(fields: Mapping[str, object]) -> None:
    """Print one thing, a field on each line; fields without a value are left out."""
    shown = {name: value for name, value in fields.items() if value not in (None, "", [], {})}
    width = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        text = safe(value) if isinstance(value, str) else _cell(value)
        print(f"{name:<{width}}  {text}")


def moment(value: object) -> str:
    """Shorten a time of the API for a table."""
    return str(value)[:16].replace("T", " ") + "Z" if value else ""


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1000 else f"{value:g}"  # noqa: PLR2004 - layout
    if isinstance(value, list | tuple | dict):
        return one_line(json.dumps(value, ensure_ascii=False))
    return one_line(str(value))


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"-?\d+(\.\d+)?", cell))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 - Latin-1 ends


def _escape_json(match: re.Match[str]) -> str:
    return match[0] if match[0] == "\n" else f"\\u{ord(match[0]):04x}"
