"""What was measured: one JSON line each, written as it comes; so a run can be taken up again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Record = dict[str, Any]
#: Said of a system and a shape when nothing more is to be measured.
DONE = "done"
#: Said instead when a system had to be left out, with the reason.
LEFT_OUT = "left out"


class Records:
    """The file of one run."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "records.jsonl"

    def add(self, measure: str, shape: str, system: str, **values: object) -> Record:
        """Write one finding with the moment and the load it was made under."""
        record: Record = {
            "measure": measure,
            "shape": shape,
            "system": system,
            "load": round(os.getloadavg()[0], 2),
            **values,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        return record

    def __iter__(self) -> Iterator[Record]:
        """Give everything found so far; of a system begun again only the newer findings."""
        if not self.path.exists():
            return
        lines = self.path.read_text(encoding="utf-8").splitlines()
        newest: dict[tuple[object, ...], Record] = {}
        for line in lines:
            record = json.loads(line)
            names = ("measure", "shape", "system", "way", "keep", "clients", "warm")
            newest[tuple(record.get(name) for name in names)] = record
        yield from newest.values()

    def is_settled(self, shape: str, system: str) -> bool:
        """Tell whether there is nothing more to measure."""
        return any(
            record["measure"] in {DONE, LEFT_OUT}
            and record["shape"] == shape
            and record["system"] == system
            for record in self
        )
