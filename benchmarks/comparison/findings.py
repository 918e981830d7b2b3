"""The records of a run, to be looked up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.comparison.records import LEFT_OUT, Record
from benchmarks.comparison.shapes import parse


class Findings:
    """What was measured, by shape and system."""

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
