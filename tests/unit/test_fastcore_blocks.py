"""Postings in blocks against a plain dictionary."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.fastcore import blocks
from adapters.fastcore.blocks import Block, appended, built, found

_texts = st.lists(st.lists(st.integers(0, 6), max_size=6), min_size=1, max_size=40)


def _block(texts: list[list[int]], start: int) -> Block:
    keys = [key for text in texts for key in text]
    rows = [row for row, text in enumerate(texts, start) for _ in text]
    return built(np.array(keys, np.int64), np.array(rows, np.int64))


@given(texts=_texts, portion=st.integers(1, 7), small=st.sampled_from([0, 8192]))
def test_finds_every_row_and_its_count_however_the_blocks_were_merged(
    texts: list[list[int]], portion: int, small: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_SMALL", small)
        kept: tuple[Block, ...] = ()
        for start in range(0, len(texts), portion):
            kept = appended(kept, _block(texts[start : start + portion], start))

    answer = found(kept, np.arange(8, dtype=np.int64))

    assert len(answer) == 8
    for key, (rows, counts) in enumerate(answer):
        expected = {row: text.count(key) for row, text in enumerate(texts) if key in text}
        assert dict(zip(rows.tolist(), counts.tolist(), strict=True)) == expected


def test_there_are_few_blocks_after_many_small_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_SMALL", 0)
    kept: tuple[Block, ...] = ()

    for row in range(1000):
        kept = appended(kept, _block([[1, 2, 3]], row))

    assert len(kept) <= math.log2(1000) + 1
    assert sum(len(block.rows) for block in kept) == 3000
