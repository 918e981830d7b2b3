"""The comparison suite runs, and what it writes can be reported; its times are nobody's concern."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.comparison.filling import Filled, turns
from benchmarks.comparison.findings import Findings
from benchmarks.comparison.records import DONE, LEFT_OUT, Records
from benchmarks.comparison.shapes import KEEPS, Shape, parse
from benchmarks.comparison.workload import Workload
from benchmarks.report import BEGIN, END, replace_in_docs, tables

ROOT = Path(__file__).resolve().parent.parent.parent
_FIGURES = {
    "store": {"per_second", "last_per_second", "memories", "loaded", "settle_seconds"},
    "single": {"n", "p50_ms", "p95_ms", "p99_ms"},
    "recall": {"n", "p50_ms", "p95_ms", "p99_ms", "recall_at_k", "way", "keep", "warm"},
    "crowd": {"per_second", "clients", "keep", "way"},
    "size": {"rss_mb", "disk_mb"},
}
_REOPENED = {"n", "cold_seconds", "open_seconds", "first_ms", "built_ms"}


def compare(folder: Path) -> str:
    """Run the suite as its user does and return what it prints."""
    program = [sys.executable, str(ROOT / "benchmarks" / "compare.py"), str(folder), "--quick"]
    chosen = ["--sizes", "200,3x20", "--systems", "numpy,soma"]
    done = subprocess.run(
        [*program, *chosen], capture_output=True, text=True, check=False, timeout=110, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_quick_run_writes_every_figure_of_every_system_and_is_not_run_twice(
    tmp_path: Path,
) -> None:
    printed = compare(tmp_path)

    document = json.loads((tmp_path / "results.json").read_text())
    records: list[dict[str, Any]] = document["records"]
    assert document["shapes"] == ["200", "3x20"]
    assert [r for r in records if r["measure"] == LEFT_OUT] == []
    for shape in document["shapes"]:
        (machine,) = [r for r in records if (r["measure"], r["shape"]) == ("machine", shape)]
        assert machine.keys() >= {"cpu", "cores", "load", "python", "numpy", "matvec_ms"}
        for system in ("numpy", "soma"):
            found = [r for r in records if (r["shape"], r["system"]) == (shape, system)]
            wanted = _FIGURES if system == "numpy" else {**_FIGURES, "reopen": _REOPENED}
            assert {r["measure"] for r in found} == {"version", DONE, *wanted}
            for record in found:
                assert record.keys() >= wanted.get(record["measure"], set())
            (stored,) = [r for r in found if r["measure"] == "store"]
            assert stored["memories"] == parse(shape).total
    by_vector = [r for r in records if r["measure"] == "recall" and r["way"] != "words"]
    assert {r["keep"] for r in by_vector} == {"all", "1 %"}
    assert {r["recall_at_k"] for r in by_vector} <= {1.0, None}
    assert not any(folder.is_dir() for folder in tmp_path.iterdir()), "the data is removed"
    assert "| soma, engine |" in printed

    again = compare(tmp_path)

    assert "store" not in again.partition("Versions:")[0], "nothing is measured again"
    assert json.loads((tmp_path / "results.json").read_text()) == document


@given(total=st.integers(1, 5000), rounds=st.integers(1, 20))
def test_turns_store_every_memory_once_and_in_order(total: int, rounds: int) -> None:
    numbers = [n for first, count in turns(total, rounds) for n in range(first, first + count)]
    assert numbers == list(range(total))


def test_time_is_foreseen_from_the_pace_so_far_and_anew_once_loading_takes_over() -> None:
    state = Filled()
    state.note(100, 10.0)
    assert state.foreseen_seconds(1000) == pytest.approx(100)
    state.loading = True
    assert state.foreseen_seconds(1000) == 0
    state.note(300, 3.0)
    assert state.foreseen_seconds(1000) == pytest.approx(9)
    assert (state.stored, state.loaded) == (100, 300)
    assert state.rate == pytest.approx(10)


@pytest.mark.parametrize("shape", [Shape(1, 300), Shape(6, 50)], ids=str)
@pytest.mark.parametrize("keep", [None, *KEEPS.values()], ids=lambda keep: keep and keep.name)
def test_exact_answers_are_those_of_the_definition(shape: Shape, keep: Any, tmp_path: Path) -> None:
    workload = Workload(tmp_path, shape)
    workload.make(12, 7)
    items = [item for batch in workload.items(0, 307, 100) for item in batch]
    asked = workload.questions()

    found = workload.exact(asked, keep, 10, 307)

    for question, numbers in zip(asked, found, strict=True):
        allowed = [
            item
            for item in items
            if item.namespace == question.namespace
            and (keep is None or item.payload[keep.field] == keep.value)
        ]
        scores = {item.number: float(item.vector @ question.vector) for item in allowed}
        ranked = sorted(scores.values(), reverse=True)[:10]
        assert [scores[number] for number in numbers] == pytest.approx(ranked, abs=1e-6)
    assert len({item.text for item in items}) == len(items)
    assert np.allclose([np.linalg.norm(item.vector) for item in items], 1, atol=1e-5)


def test_a_system_begun_again_is_reported_by_its_newer_figures(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.add("store", "100", "soma", per_second=1.0)
    assert not records.is_settled("100", "soma")
    records.add("store", "100", "soma", per_second=2.0)
    records.add(DONE, "100", "soma")
    assert records.is_settled("100", "soma")
    assert Findings(records).get("store", "100", "soma", "per_second") == 2.0


def test_who_is_left_out_is_reported_with_the_reason(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.add(LEFT_OUT, "100", "mem0", reason="would take 60 minutes of the 15 allowed")
    assert "mem0: would take 60 minutes" in tables(Findings(records))


def test_the_tables_go_between_the_marks_of_the_document(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.add("store", "100", "soma", per_second=1234.0)
    docs = tmp_path / "performance.md"
    docs.write_text(f"before\n{BEGIN}\nlast year\n{END}\nafter\n", encoding="utf-8")

    replace_in_docs(Findings(records), docs)

    text = docs.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "| soma | 1,234 |" in text
    assert "last year" not in text
