"""Import is one streamed pass: `python benchmarks/import_memory.py`.

Writes an NDJSON file of memories with ready-made vectors, streams it through a real server, and
samples the server's resident memory as memories arrive: it must not grow with the file. What may
grow is the vector index, and only once somebody recalls: it has a byte budget of its own.
"""

from __future__ import annotations

import argparse
import base64
import json
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import numpy as np

from benchmarks.measuring import Server, report, serving
from benchmarks.texts import remarks

NAMESPACE = "benchmark"
DIMENSION = 384
POLL_SECONDS = 0.2


def write_lines(path: Path, count: int) -> None:
    """Write one memory per line, each with a random unit vector as base64 of float32."""
    draw = np.random.default_rng(3)
    with path.open("w", encoding="utf-8") as file:
        for index, text in enumerate(remarks(count, seed=9)):
            vector = draw.standard_normal(DIMENSION)
            unit = (vector / np.linalg.norm(vector)).astype("<f4")
            line = {
                "content": text,
                "namespace": NAMESPACE,
                "payload": {"line": index},
                "vector": base64.b64encode(unit.tobytes()).decode(),
            }
            file.write(json.dumps(line) + "\n")


class Sampler(threading.Thread):
    """Looks at the server's memory each time another `step` memories have arrived."""

    def __init__(self, server: Server, step: int) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._step = step
        self.over = threading.Event()
        self.rows: list[Mapping[str, object]] = []

    def run(self) -> None:
        """Sample until told that it is over."""
        started = time.perf_counter()
        due = 0
        peak = 0.0
        with httpx.Client(base_url=self._server.url, timeout=60) as client:
            while not self.over.wait(POLL_SECONDS):
                peak = max(peak, self._server.resident_mb())
                answer = client.get(f"/v1/namespaces/{NAMESPACE}")
                held = answer.json()["memories"] if answer.status_code == httpx.codes.OK else 0
                if held >= due:
                    seconds = time.perf_counter() - started
                    self.rows.append(
                        {
                            "memories": held,
                            "server MB": self._server.resident_mb(),
                            "peak MB so far": peak,
                            "seconds": seconds,
                        }
                    )
                    due = (held // self._step + 1) * self._step


def measure(options: argparse.Namespace, folder: Path) -> None:
    """Write the file, import it, and print."""
    path = folder / "memories.ndjson"
    write_lines(path, options.lines)
    data = folder / "data"
    with serving(data) as server, httpx.Client(base_url=server.url, timeout=3600) as client:
        sampler = Sampler(server, options.step)
        sampler.start()
        started = time.perf_counter()
        with path.open("rb") as file:
            answer = client.post(
                "/v1/import", content=file, headers={"Content-Type": "application/x-ndjson"}
            )
        seconds = time.perf_counter() - started
        sampler.over.set()
        sampler.join()
        outcome = answer.raise_for_status().json()
        report("Import, memory of the server", sampler.rows, as_json=options.json)
        row = {
            "file MB": path.stat().st_size / 2**20,
            "imported": outcome["imported"],
            "errors": len(outcome["errors"]),
            "seconds": seconds,
            "memories/s": outcome["imported"] / seconds,
            "server MB at the end": server.resident_mb(),
        }
        report("Import", [row], as_json=options.json)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--step", type=int, default=10_000, help="memories between two samples")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(options, Path(folder))


if __name__ == "__main__":
    main()
