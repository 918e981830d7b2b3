"""First passes over vectors that were considered: `python benchmarks/first_passes.py`.

Each in one thread, on random vectors of 384 dimensions. What is not installed is left out.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fast_core import DIMENSION, NOMINATED, Floats, milliseconds, random_vectors
from benchmarks.measuring import percentile, report


def passes(rows: Floats, query: Floats) -> dict[str, Callable[[], object]]:
    """Return every first pass that can be tried here, by name."""
    step = np.float32(np.abs(rows).max() / 127)
    codes, code = np.rint(rows / step).astype(np.int8), np.rint(query / step).astype(np.int8)
    bits, bit = np.packbits(rows > 0, axis=1), np.packbits(query > 0)
    wide = np.ascontiguousarray(bits).view(np.uint64)
    tried: dict[str, Callable[[], object]] = {
        "NumPy float32 product": lambda: rows @ query,
        "NumPy float32 vecdot": lambda: np.vecdot(rows, query),
        "NumPy bits": lambda: np.bitwise_count(wide ^ bit.view(np.uint64)).sum(1, np.uint16),
    }
    numkong, simsimd, usearch, faiss = map(
        _imported, ("numkong", "simsimd", "usearch.index", "faiss")
    )
    if numkong:
        tried["numkong int8"] = lambda: numkong.dot(codes, code)
        tried["numkong bits"] = lambda: numkong.hamming(bits, bit, "uint1")
    if simsimd:
        many, more = np.broadcast_to(code, codes.shape), np.broadcast_to(bit, bits.shape)
        tried["simsimd int8"] = lambda: simsimd.dot(codes, many)
        tried["simsimd bits"] = lambda: simsimd.hamming(bits, more, "bin8")
    if usearch:
        tried["usearch exact int8, best 50"] = lambda: usearch.search(
            codes, code, NOMINATED, usearch.MetricKind.IP, exact=True, threads=1
        )
    if faiss:
        tried |= _of_faiss(faiss, rows, query, codes, code)
    return tried


def _of_faiss(
    faiss: Any, rows: Floats, query: Floats, codes: NDArray[np.int8], code: NDArray[np.int8]
) -> dict[str, Callable[[], object]]:
    faiss.omp_set_num_threads(1)
    kind = faiss.ScalarQuantizer.QT_8bit_direct_signed
    whole = faiss.IndexScalarQuantizer(DIMENSION, kind, faiss.METRIC_INNER_PRODUCT)
    whole.is_trained = True
    whole.add_sa_codes((codes.astype(np.int16) + 128).astype(np.uint8))
    asked, rounded = query[None, :], code[None, :].astype(np.float32)
    bits = faiss.IndexRaBitQFastScan(DIMENSION, faiss.METRIC_INNER_PRODUCT)
    bits.train(rows)
    bits.add(rows)
    bits.qb = 8
    return {
        "faiss int8, best 550": lambda: whole.search(rounded, 550),
        "faiss RaBitQ bits, best 1 %": lambda: bits.search(asked, len(rows) // 100),
    }


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def compare_passes(options: argparse.Namespace) -> list[dict[str, object]]:
    """Time every first pass on random vectors, in one thread."""
    found: list[dict[str, object]] = []
    for size in options.memories:
        rows, [query] = random_vectors(size, 1), random_vectors(1, 2)
        for name, call in passes(rows, query).items():
            times = [milliseconds(call) for _ in range(options.queries)]
            found.append(
                {
                    "first pass": name,
                    "rows": size,
                    "p50 ms": f"{percentile(times, 0.5):.3f}",
                    "least ms": f"{min(times):.3f}",
                }
            )
    return found


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--memories", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    options = parser.parse_args()
    report("First passes", compare_passes(options), as_json=options.json)


if __name__ == "__main__":
    main()
