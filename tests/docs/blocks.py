"""Reads the code blocks of the manual, and what stands before them about running them.

A block is run unless the line before it is a comment: `<!-- needs REASON -->` with a reason of
`REASONS`, or `<!-- from PATH -->` for lines of a file. `<!-- all need REASON -->` speaks for every
block of its page that says nothing itself.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "infra/README.md")),
]
REASONS = {
    "a cluster": "acts on Kubernetes",
    "a container engine": "starts containers",
    "servers": "speaks to PostgreSQL, Redis, Qdrant or Kafka",
    "a checkout": "changes or checks the repository itself: `just check` and CI run it",
    "minutes": "measures, or runs all tests",
    "to stay": "serves until it is stopped; the tests of that server start it",
    "to be alone": "wants the data directory for itself",
    "another program": "is run with a program that is not part of Soma",
    "your data": "holds names, keys or addresses that only the reader has",
    "a test of its own": "is run by a test that looks at its answers as well",
}
_FENCE = re.compile(r"^```(\w*)$")
_COMMENT = re.compile(r"^<!-- (needs|from) (.+?) -->$")
_ALL = re.compile(r"^<!-- all need (.+?) -->$", re.MULTILINE)
_SEPARATORS = {"|", "||", "&&", ";", "&", "(", ")", "<", ">", ">>", "<<"}
_ASSIGNMENT = re.compile(r"\w+=.*")


@dataclass(frozen=True)
class Block:
    """Lines of code; without `needs` and `source` they are run as they stand."""

    page: Path
    line: int
    language: str
    text: str
    needs: str | None
    source: str | None

    @property
    def place(self) -> str:
        """Where it is, as compilers say it."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def commands(self) -> Iterator[list[str]]:
        """Iterate over the words of each command, without variables set for it."""
        for line in self.text.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words: list[str] = []
            for word in lexer:
                if word in _SEPARATORS:
                    yield from [words] if words else []
                    words = []
                elif words or not _ASSIGNMENT.fullmatch(word):
                    words.append(word)
            yield from [words] if words else []


def blocks(page: Path) -> list[Block]:
    """Return the fenced and the indented blocks of a page, in order."""
    text = page.read_text()
    everywhere = _ALL.search(text)
    lines = text.splitlines()
    found = []
    number = 0
    while number < len(lines):
        fence = _FENCE.match(lines[number])
        begins = _is_indented(lines, number)
        if not fence and not begins:
            number += 1
            continue
        first = number + 1 if fence else number
        end = first
        while end < len(lines) and (lines[end] != "```" if fence else _goes_on(lines, end)):
            end += 1
        code = "\n".join(lines[first:end] if fence else (line[4:] for line in lines[first:end]))
        language = (fence[1] if fence else "json" if code.startswith("{") else "") or "sh"
        needs, source = _said(lines, number)
        if needs is None and source is None and everywhere and language in ("sh", "python"):
            needs = everywhere[1]
        found.append(Block(page, number + 1, language, code.rstrip(), needs, source))
        number = end + 1
    return found


def _is_indented(lines: list[str], number: int) -> bool:
    """Tell whether an indented block begins here: not the rest of a list or a table."""
    before = number - 1
    while before >= 0 and (not lines[before] or lines[before].startswith("<!--")):
        before -= 1
    in_list = before >= 0 and re.match(r"^\s*([-*]|\d+\.) |^ ", lines[before])
    return lines[number].startswith("    ") and not in_list and not lines[number - 1]


def _goes_on(lines: list[str], number: int) -> bool:
    return lines[number].startswith("    ") or (
        not lines[number] and number + 1 < len(lines) and lines[number + 1].startswith("    ")
    )


def _said(lines: list[str], number: int) -> tuple[str | None, str | None]:
    """Return what the comment before a block says: what it needs, where it is from."""
    before = number - 1
    if before > 0 and not lines[before]:
        before -= 1
    comment = _COMMENT.match(lines[before]) if before >= 0 else None
    if comment is None:
        return None, None
    return (comment[2], None) if comment[1] == "needs" else (None, comment[2])
