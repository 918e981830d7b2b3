"""Tables and a plot of what `benchmarks/compare.py` found: `python benchmarks/report.py FOLDER`.

Writes `results.json` and `tables.md` into the folder. `--plot FILE` draws cost against size, which
needs matplotlib, and `--docs` puts the tables in their place in docs/performance.md: both is
`just bench-report FOLDER`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.comparison.findings import Findings
from benchmarks.comparison.plot import plot
from benchmarks.comparison.records import Records
from benchmarks.comparison.shapes import EVERYTHING, parse
from benchmarks.peers.system import BY_VECTOR

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "performance.md"
PLOT = "performance-cost.svg"
BEGIN = "<!-- comparison: written by benchmarks/report.py -->"
END = "<!-- comparison: end -->"
_SMALL, _HALF = "1 %", "50 %"
#: Whom Soma is held against at this size, and how many times their rates it should have.
AIMED_AT = "100000"
RIVALS = ("mem0", "chroma", "langgraph", "langgraph-postgres", "langgraph-flat")
RECALL_AIM, STORE_AIM = 20, 5


def write(folder: Path) -> str:
    """Write the JSON and the tables, and return the tables."""
    findings = Findings(Records(folder))
    text = tables(findings)
    document = {"shapes": findings.shapes(), "records": findings.all}
    (folder / "results.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (folder / "tables.md").write_text(text, encoding="utf-8")
    return text


def tables(findings: Findings) -> str:
    """Return everything as Markdown."""
    parts = [_versions(findings)]
    for shape in findings.shapes():
        parts += [f"#### {_title(shape)}", _machine(findings, shape)]
        parts += [_keeping(findings, shape), _recalling(findings, shape), _crowds(findings, shape)]
        parts += [f"Left out: {name}: {reason}." for name, reason in findings.left_out(shape)]
    parts.append(_aims(findings))
    return "\n\n".join(part for part in parts if part) + "\n"


def _title(shape: str) -> str:
    size = parse(shape)
    if size.namespaces == 1:
        return f"{size.each:,} memories in one namespace"
    return f"{size.namespaces:,} namespaces of {size.each:,} memories"


def _versions(findings: Findings) -> str:
    rows: dict[str, None] = {}
    for record in findings.all:
        if record["measure"] == "version":
            known = {"measure", "shape", "system", "load", "at", "python", "numpy"}
            names = [name for name in record if name not in known] or ["numpy"]
            rows[f"{names[0]} {record[names[0]]}"] = None
    return f"Versions: {', '.join(rows)}." if rows else ""


def _machine(findings: Findings, shape: str) -> str:
    def fact(name: str) -> object:
        return findings.get("machine", shape, "", name)

    options = findings.get("plan", shape, "", "options") or {}
    return (
        f"{fact('cpu')}, {fact('cores')} cores, {fact('memory_gb')} GB, Python {fact('python')},"
        f" NumPy {fact('numpy')}, load {fact('load')} at the start; one 10,000 x 384 float32"
        f" matrix-vector product: {fact('matvec_ms')} ms. Batches of {options.get('batch')}."
    )


def _keeping(findings: Findings, shape: str) -> str:
    """Return what storing and keeping costs."""
    rows = []
    for system in findings.systems(shape):

        def get(measure: str, name: str, system: str = system) -> Any:
            return findings.get(measure, shape, system, name)

        rows.append(
            {
                "storing": system,
                "batch, memories/s": _rounded(get("store", "per_second")),
                "of these in the last turn": _rounded(get("store", "last_per_second")),
                "one, p50 / p95 ms": _joined([get("single", "p50_ms"), get("single", "p95_ms")]),
                "first answer ever, ms": _short(get("reopen", "built_ms")),
                "open again, s": _short(get("reopen", "open_seconds")),
                "then the first answer, ms": _short(get("reopen", "first_ms")),
                "cold start to first answer, s": _short(get("reopen", "cold_seconds")),
                "RSS, MB": _rounded(get("size", "rss_mb")),
                "disk, MB": _rounded(get("size", "disk_mb")),
                "loaded apart": _rounded(get("store", "loaded") or None),
            }
        )
    return _markdown(rows)


def _recalling(findings: Findings, shape: str) -> str:
    """Return what recalling costs, in every way that each system can be asked."""
    found = [r for r in findings.all if (r["measure"], r["shape"]) == ("recall", shape)]
    asked = dict.fromkeys((r["system"], r["way"], r["warm"]) for r in found)
    keeps = dict.fromkeys(r["keep"] for r in found)
    rows = []
    for system, way, warm in sorted(asked, key=lambda one: not one[2]):
        row = {"recalling, p50 / p95 / p99 ms": _called(system, way, warm=warm)}
        for keep in keeps:
            which = {"way": way, "keep": keep, "warm": warm}
            names = ("p50_ms", "p95_ms", "p99_ms")
            row[f"{keep} kept"] = _joined(
                [findings.get("recall", shape, system, name, **which) for name in names]
            )
        for keep in keeps:
            which = {"way": way, "keep": keep, "warm": warm}
            share = findings.get("recall", shape, system, "recall_at_k", **which)
            # Words are meant to change what is found: there the share would say nothing.
            row[f"recall@10, {keep}"] = "" if way == "words" else _share(share)
        rows.append(row)
    return _markdown(rows)


def _called(system: str, way: str, *, warm: bool) -> str:
    name = system if way == BY_VECTOR else f"{system}, {way}"
    return name if warm else f"{name}, each namespace for the first time"


def _crowds(findings: Findings, shape: str) -> str:
    """Return recalls per second by the number of clients, without and with a filter."""
    records = [r for r in findings.all if (r["measure"], r["shape"]) == ("crowd", shape)]
    columns = dict.fromkeys((r["keep"], r["clients"]) for r in records)
    rows = []
    for system in dict.fromkeys(record["system"] for record in records):
        row = {"recalls/s by clients": system}
        for keep, clients in columns:
            which = {"keep": keep, "clients": clients}
            rate = findings.get("crowd", shape, system, "per_second", **which)
            row[f"{clients}, {keep}"] = _rounded(rate)
        rows.append(row)
    return _markdown(rows)


def _aims(findings: Findings) -> str:
    """Hold Soma against the others at the size that the aims are about."""
    rows = []
    for rival in RIVALS:
        if rival not in findings.systems(AIMED_AT):
            continue
        row = {f"soma : others at {int(AIMED_AT):,}": rival}
        row[f"batch store (aim {STORE_AIM})"] = _ratio(findings, rival, "store", "per_second")
        row["one store"] = _ratio(findings, rival, "single", "p50_ms", inverse=True)
        for keep in (EVERYTHING, _SMALL, _HALF):
            which = {"way": BY_VECTOR, "keep": keep, "warm": True}
            aim = "" if keep == EVERYTHING else f" (aim {RECALL_AIM})"
            row[f"recall, {keep} kept{aim}"] = _ratio(
                findings, rival, "recall", "p50_ms", inverse=True, **which
            )
        rows.append(row)
    return _markdown(rows)


def _ratio(
    findings: Findings,
    rival: str,
    measure: str,
    name: str,
    *,
    inverse: bool = False,
    **which: object,
) -> str:
    ours = findings.get(measure, AIMED_AT, "soma", name, **which)
    theirs = findings.get(measure, AIMED_AT, rival, name, **which)
    if not ours or not theirs:
        return ""
    if measure == "store" and not findings.get("store", AIMED_AT, rival, "durable"):
        return "not durable"
    return f"{theirs / ours if inverse else ours / theirs:.2f}"


def _short(value: float | None) -> str:
    """Write a figure with three digits that mean something."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _joined(values: Sequence[float | None]) -> str:
    return "" if None in values else " / ".join(map(_short, values))


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _rounded(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _markdown(rows: Sequence[dict[str, str]]) -> str:
    if not rows:
        return ""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([row[name] for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def replace_in_docs(findings: Findings, docs: Path = DOCS) -> None:
    """Put the tables between the marks."""
    before, begin, rest = docs.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{docs.name} has no place for the comparison")
    image = f"![Cost against size, both logarithmic]({PLOT})"
    text = f"{before}{BEGIN}\n\n{image}\n\n{tables(findings)}\n{END}{after}"
    docs.write_text(text, encoding="utf-8")


def main() -> None:
    """Read the command line and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw it too")
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md anew")
    options = parser.parse_args()
    print(write(options.folder))
    findings = Findings(Records(options.folder))
    if options.plot is not None:
        plot(findings, options.plot)
    if options.docs:
        replace_in_docs(findings)


if __name__ == "__main__":
    main()
