"""The facts of a namespace as arrays and JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.fastcore.blocks import Block, merged
from adapters.fastcore.facts import Columns
from adapters.fastcore.growing import Growing
from adapters.fastcore.payload_path import PayloadPath


def written(columns: Columns) -> tuple[dict[str, object], dict[str, NDArray[np.generic]]]:
    """Return everything: what JSON can say, and arrays."""
    block = merged(columns._tags) if columns._tags else None
    arrays: dict[str, NDArray[np.generic]] = {
        "kinds": columns._kinds.values(),
        "levels": columns._levels.values(),
        "happened": columns._happened.values(),
        "actors": columns._actors.values(),
        "sessions": columns._sessions.values(),
    }
    if block is not None:
        arrays |= {
            "tags.keys": block.keys,
            "tags.starts": block.starts,
            "tags.rows": block.rows,
            "tags.counts": block.counts,
        }
    for arity, (places, axes) in columns._places.items():
        arrays[f"place.{arity}.rows"] = places.values()
        arrays[f"place.{arity}.axes"] = axes.values()
    values = []
    for number, (path, column) in enumerate(columns._paths.items()):
        known, rows, codes = column.written()
        values.append([path, known])
        arrays[f"path.{number}.rows"], arrays[f"path.{number}.codes"] = rows, codes
    said: dict[str, object] = {
        "names": list(columns._names),
        "arities": list(columns._places),
        "paths": values,
        "payloads_whole": columns._payloads_whole,
    }
    return said, arrays


def read(said: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Columns:
    """Make of what was written what it was written from."""
    columns = Columns()
    columns._kinds.extend(arrays["kinds"])
    columns._levels.extend(arrays["levels"])
    columns._happened.extend(arrays["happened"])
    columns._actors.extend(arrays["actors"])
    columns._sessions.extend(arrays["sessions"])
    columns._names = {name: number for number, name in enumerate(said["names"])}
    if "tags.keys" in arrays:
        parts = (arrays[f"tags.{part}"] for part in ("keys", "starts", "rows", "counts"))
        columns._tags = (Block(*parts),)
    for arity in said["arities"]:
        columns._places[arity] = (
            Growing(arrays[f"place.{arity}.rows"], np.int32),
            Growing(arrays[f"place.{arity}.axes"], np.float64),
        )
    for number, (path, values) in enumerate(said["paths"]):
        rows, codes = arrays[f"path.{number}.rows"], arrays[f"path.{number}.codes"]
        columns._paths[tuple(path)] = PayloadPath.read(values, rows, codes)
    columns._payloads_whole = said["payloads_whole"]
    return columns
