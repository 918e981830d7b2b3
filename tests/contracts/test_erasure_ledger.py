"""The ledger of erasures: what was noted is found, whatever else happened to the file."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.erasure_file import ErasureFile
from domain.errors import StoreUnavailable
from domain.memory import MemoryId
from tests.contracts.store_fixtures import START, new_id


async def noted(ledger: ErasureFile) -> list[MemoryId]:
    """Return everything in a ledger."""
    return [id async for page in ledger.pages() for id in page]


async def test_finds_what_was_noted_in_order(tmp_path: Path) -> None:
    path = tmp_path / "erasures.log"
    ledger = ErasureFile(path)
    ids = [new_id() for _ in range(2500)]
    assert await noted(ledger) == []

    await ledger.note(ids[:1], at=START)
    await ErasureFile(path).note(ids[1:], at=START)

    assert await noted(ledger) == ids
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_many_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "erasures.log"
    batches = [[new_id() for _ in range(50)] for _ in range(20)]

    await asyncio.gather(*(ErasureFile(path).note(batch, at=START) for batch in batches))

    found = await noted(ErasureFile(path))
    assert sorted(found) == sorted(id for batch in batches for id in batch)


@given(kept=st.integers(0, 300))
async def test_a_line_that_was_cut_off_spoils_none_after_it(
    tmp_path_factory: pytest.TempPathFactory, kept: int
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "erasures.log"
    first, second, third = new_id(), new_id(), new_id()
    await ErasureFile(path).note([first, second], at=START)
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])

    await ErasureFile(path).note([third], at=START)

    found = await noted(ErasureFile(path))
    assert third in found
    assert (first in found) or kept < len(whole) // 2


async def test_what_cannot_be_written_is_not_taken_for_noted(tmp_path: Path) -> None:
    ledger = ErasureFile(tmp_path / "no" / "such" / "folder")

    with pytest.raises(StoreUnavailable, match="ledger"):
        await ledger.note([new_id()], at=START)
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreUnavailable, match="ledger"):
        await noted(ErasureFile(tmp_path / "folder"))
