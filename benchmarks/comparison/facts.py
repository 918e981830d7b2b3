"""What the machine is and how fast it was at that moment."""

from __future__ import annotations

import platform
import time
from pathlib import Path

import numpy as np

from benchmarks.comparison.shapes import DIMENSION
from benchmarks.measuring import machine, percentile

_ROWS = 10_000
_TIMES = 50


def facts() -> dict[str, object]:
    """Describe the machine; `matvec_ms` says what its milliseconds are worth."""
    return {
        **machine(),
        "memory_gb": round(_meminfo("MemTotal") / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "numpy": np.__version__,
        "matvec_ms": round(matvec_ms(), 3),
    }


def matvec_ms() -> float:
    """Return the median of one 10,000 x 384 float32 matrix-vector product, in milliseconds."""
    draw = np.random.default_rng(1)
    matrix = draw.standard_normal((_ROWS, DIMENSION), np.float32)
    vector = draw.standard_normal(DIMENSION, np.float32)
    times = []
    for _ in range(_TIMES):
        started = time.perf_counter()
        matrix @ vector
        times.append(1000 * (time.perf_counter() - started))
    return percentile(times, 0.5)


def available_bytes() -> int:
    """Return the memory that could still be had."""
    return _meminfo("MemAvailable")


def _meminfo(name: str) -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise SystemExit(f"this system does not tell its {name}")
