"""How much of an export that broke off is whole, and where to go on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

_MEMORY = b'{"type":"memory"'
_LINK = b'{"type":"link"'


@dataclass(frozen=True, slots=True)
class Kept:
    """The beginning of a file that stays; `after` is what the server has to go on after."""

    bytes: int = 0
    lines: int = 0
    after: str | None = None


def kept_of(file: Path) -> Kept:
    """Return what stays of a file: all but its last memory, whose versions may be missing.

    A link is whole when its line is. Nothing stays of a file that is not there.
    """
    kept, memory, link = Kept(), b"", b""
    size = lines = 0
    try:
        with file.open("rb") as source:
            for line in source:
                if not line.endswith(b"\n"):
                    break
                if line.startswith(_MEMORY):
                    kept, memory = Kept(size, lines, memory_after(memory)), line
                size += len(line)
                lines += 1
                if line.startswith(_LINK):
                    link = line
    except FileNotFoundError:
        return Kept()
    return Kept(size, lines, _link_after(link)) if link else kept if kept.after else Kept()


def memory_after(line: bytes) -> str | None:
    """Return how to go on after the memory of a line."""
    return None if not line else str(json.loads(line)["memory"]["id"])


def _link_after(line: bytes) -> str:
    link = json.loads(line)["link"]
    return f"{link['source']},{link['target']},{link['type']}"
