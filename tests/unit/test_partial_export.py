"""What stays of an export that broke off anywhere, and where it goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrypoints.cli.partial import Kept, kept_of


def line(type: str, **facts: object) -> bytes:
    """Write a line as the server does."""
    return json.dumps({"type": type, **facts}, separators=(",", ":")).encode() + b"\n"


def memory(id: str) -> bytes:
    """Write a memory."""
    return line("memory", memory={"id": id})


LINK = line("link", link={"source": "a", "target": "b", "type": "t,u"})
WHOLE = memory("a") + line("version", version={}) + memory("b") + memory("c") + LINK * 2


def test_nothing_stays_of_nothing(tmp_path: Path) -> None:
    assert kept_of(tmp_path / "absent") == Kept()


@pytest.mark.parametrize(
    ("lines", "kept", "after"),
    [
        (1, 0, None),
        (2, 0, None),
        (3, 2, "a"),
        (4, 3, "b"),
        (5, 5, "a,b,t,u"),
        (6, 6, "a,b,t,u"),
    ],
)
def test_all_but_the_last_memory_stays(
    tmp_path: Path, lines: int, kept: int, after: str | None
) -> None:
    written = WHOLE.splitlines(keepends=True)[:lines]
    file = tmp_path / "export.partial"
    file.write_bytes(b"".join(written) + b'{"type":"mem')

    assert kept_of(file) == Kept(len(b"".join(written[:kept])), kept, after)


@given(st.integers(0, len(WHOLE)))
def test_what_stays_is_a_beginning_of_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, size: int
) -> None:
    file = tmp_path_factory.mktemp("partial") / "export.partial"
    file.write_bytes(WHOLE[:size])

    kept = kept_of(file)

    assert kept.bytes <= size
    assert WHOLE[: kept.bytes].count(b"\n") == kept.lines
    assert not kept.bytes or WHOLE[kept.bytes - 1 : kept.bytes] == b"\n"
