"""From the start of a server process to its readiness: `python benchmarks/start.py`.

`soma serve` as a whole process, Python's imports included, until `/readyz` is 200: on an embedded
data directory, and with PostgreSQL and Redis that run already (their tables are there after the
first, uncounted start). Each round starts a bare Python too, as a measure of the machine.
Target: under 2 s when the servers are there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from benchmarks.measuring import report, serving
from benchmarks.redis_value import valkey
from benchmarks.store_postgres import server


def seconds_to_ready(folder: Path, settings: Mapping[str, str]) -> float:
    """Start a server, wait until it is ready, stop it."""
    started = time.perf_counter()
    with serving(folder, **settings):
        return time.perf_counter() - started


def seconds_of_python() -> float:
    """Start an interpreter that does nothing."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - started


def measure(
    folder: Path, profiles: Mapping[str, Mapping[str, str]], runs: int
) -> list[dict[str, object]]:
    """Start every profile in turn; the first start of each is not counted."""
    times: dict[str, list[float]] = {name: [] for name in ("bare Python", *profiles)}
    for turn in range(runs + 1):
        spent = {"bare Python": seconds_of_python()}
        for name, settings in profiles.items():
            spent[name] = seconds_to_ready(folder / name.replace(" ", "-"), settings)
        for name, value in spent.items():
            times[name] += [value] if turn else []
    return [
        {
            "start to ready": name,
            "runs": runs,
            "median s": f"{sorted(found)[len(found) // 2]:.2f}",
            "worst s": f"{max(found):.2f}",
        }
        for name, found in times.items()
    ]


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--postgres", help="URL of an empty database that is there")
    parser.add_argument("--redis", help="URL of a Redis that is there")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as servers:
        folder = Path(name)
        there = {
            "SOMA_POSTGRES_URL": servers.enter_context(server(options.postgres)),
            "SOMA_REDIS_URL": options.redis or servers.enter_context(valkey(folder)),
        }
        rows = measure(folder, {"embedded": {}, "PostgreSQL and Redis": there}, options.runs)
    report("soma serve", rows, as_json=options.json)


if __name__ == "__main__":
    main()
