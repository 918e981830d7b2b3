"""Tables and a plot of what `benchmarks/compare.py` found: `python benchmarks/report.py FOLDER`.

Writes `results.json` and `tables.md` into the folder. `--plot FILE` draws cost against size, which
needs matplotlib: `.venv-bench/bin/python -m benchmarks.report FOLDER --plot FILE`. `--docs` puts the
tables in their place in docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.comparison.records import LEFT_OUT, Record, Records
from benchmarks.comparison.shapes import EVERYTHING, parse

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "performance.md"
BEGIN = "<!-- comparison: written by benchmarks/report.py -->"
END = "<!-- comparison: end -->"
BY_VECTOR = "vector"
_SMALL, _HALF = "1 %", "50 %"
#: Whom Soma is held against at this size, and how many times their rates it should have.
AIMED_AT = "100000"
RIVALS = ("mem0", "chroma", "langgraph", "langgraph-postgres", "langgraph-flat")
RECALL_AIM, STORE_AIM = 20, 5


class Findings:
    """The records of a run, to be looked up."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.all = list(records)

    def shapes(self) -> list[str]:
        """Return the shapes, smaller ones first, many namespaces last."""
        found = {record["shape"] for record in self.all}
        return sorted(found, key=lambda text: (parse(text).namespaces, parse(text).total))

    def systems(self, shape: str) -> list[str]:
        """Return the systems that were measured with a shape, in the order they ran."""
        return list(
            dict.fromkeys(
                record["system"]
                for record in self.all
                if record["shape"] == shape and record["measure"] == "store"
            )
        )

    def ways(self, shape: str, system: str) -> list[str]:
        """Return the ways in which a system was asked, by vector first."""
        found = dict.fromkeys(
            record["way"]
            for record in self.all
            if (record["measure"], record["shape"], record["system"]) == ("recall", shape, system)
        )
        return sorted(found, key=lambda way: way != BY_VECTOR)

    def get(self, measure: str, shape: str, system: str, name: str, **which: object) -> Any:
        """Return one figure, or None where it was not measured."""
        wanted = {"measure": measure, "shape": shape, "system": system, **which}
        for record in self.all:
            if all(record.get(field) == value for field, value in wanted.items()):
                return record.get(name)
        return None

    def left_out(self, shape: str) -> list[tuple[str, str]]:
        """Return (system, reason) of those that were left out."""
        return [
            (record["system"], record["reason"])
            for record in self.all
            if record["measure"] == LEFT_OUT and record["shape"] == shape
        ]


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
        parts += [f"#### {_title(shape)}", _machine(findings, shape), _costs(findings, shape)]
        parts += [_percentiles(findings, shape), _crowds(findings, shape)]
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

    return (
        f"{fact('cpu')}, {fact('cores')} cores, {fact('memory_gb')} GB, Python {fact('python')},"
        f" NumPy {fact('numpy')}, load {fact('load')} at the start; one 10,000 x 384 float32"
        f" matrix-vector product: {fact('matvec_ms')} ms."
    )


def _costs(findings: Findings, shape: str) -> str:
    """Return the table of one shape: what storing, recalling and keeping costs."""
    rows = []
    for system in findings.systems(shape):
        for place, way in enumerate(findings.ways(shape, system) or [BY_VECTOR]):

            def recall(keep: str, name: str, way: str = way, system: str = system) -> Any:
                which = {"way": way, "keep": keep, "warm": True}
                return findings.get("recall", shape, system, name, **which)

            def once(measure: str, name: str, place: int = place, system: str = system) -> Any:
                return None if place else findings.get(measure, shape, system, name)

            rows.append(
                {
                    "system": system if way == BY_VECTOR else f"{system}, {way}",
                    "batch, memories/s": _rounded(once("store", "per_second")),
                    "one, p50 ms": _short(once("single", "p50_ms")),
                    "recall p50 ms": _short(recall(EVERYTHING, "p50_ms")),
                    "1 % kept": _short(recall(_SMALL, "p50_ms")),
                    "50 % kept": _short(recall(_HALF, "p50_ms")),
                    "recall@10": _found(way, recall, EVERYTHING),
                    "1 % kept, @10": _found(way, recall, _SMALL),
                    "reopened s": _short(once("reopen", "open_seconds")),
                    "cold start s": _short(once("reopen", "cold_seconds")),
                    "RSS MB": _rounded(once("size", "rss_mb")),
                    "disk MB": _rounded(once("size", "disk_mb")),
                }
            )
    return _markdown(rows)


def _found(way: str, recall: Callable[[str, str], Any], keep: str) -> str:
    """Return recall@10; words are meant to change the order, so it says nothing there."""
    share = recall(keep, "recall_at_k")
    return "" if way == "words" or share is None else f"{share:.3f}"


def _percentiles(findings: Findings, shape: str) -> str:
    rows = [
        {
            "recall": f"{record['system']}, {record['way']}",
            "kept": record["keep"],
            "": "" if record["warm"] else "each namespace for the first time",
            "n": str(record["n"]),
            "p50 ms": _short(record["p50_ms"]),
            "p95 ms": _short(record["p95_ms"]),
            "p99 ms": _short(record["p99_ms"]),
        }
        for record in findings.all
        if record["measure"] == "recall" and record["shape"] == shape
    ]
    return _markdown(rows)


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
    text = f"{before}{BEGIN}\n\n{tables(findings)}\n{END}{after}"
    docs.write_text(text, encoding="utf-8")


def plot(findings: Findings, path: Path) -> None:
    """Draw cost against size, both logarithmic: straight lines of slope 1 are linear cost."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.6), layout="constrained")
    panels = figure.subplots(1, 3)
    titles = ("recall, p50 ms", "recall, filter keeping 1 %, p50 ms", "batch store, ms a memory")
    for panel, title in zip(panels, titles, strict=True):
        panel.set(xscale="log", yscale="log", title=title, xlabel="memories in one namespace")
        panel.grid(alpha=0.3, which="both", linewidth=0.4)
    sizes = [shape for shape in findings.shapes() if parse(shape).namespaces == 1]
    systems = dict.fromkeys(system for shape in sizes for system in findings.systems(shape))
    for place, system in enumerate(systems):
        style = {"marker": "o", "markersize": 3, "color": f"C{place}" if place < 10 else "black"}
        style["linewidth"] = 2.4 if system.startswith("soma") else 1.2
        for panel, figures in zip(panels, _curves(findings, sizes, system), strict=True):
            known = [(int(size), y) for size, y in zip(sizes, figures, strict=True) if y]
            panel.plot([x for x, _ in known], [y for _, y in known], label=system, **style)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def _curves(findings: Findings, sizes: Sequence[str], system: str) -> list[list[float | None]]:
    def recalls(keep: str) -> list[float | None]:
        which = {"way": BY_VECTOR, "keep": keep, "warm": True}
        return [findings.get("recall", size, system, "p50_ms", **which) for size in sizes]

    rates = [findings.get("store", size, system, "per_second") for size in sizes]
    return [recalls(EVERYTHING), recalls(_SMALL), [rate and 1000 / rate for rate in rates]]


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
