"""The plot of cost against size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.comparison.findings import Findings
from benchmarks.comparison.shapes import EVERYTHING, KEEPS, parse
from benchmarks.peers.system import BY_VECTOR


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
    return [
        recalls(EVERYTHING),
        recalls(next(iter(KEEPS))),
        [rate and 1000 / rate for rate in rates],
    ]
