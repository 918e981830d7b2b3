"""What crosses the border in an export or an import, one record per line."""

from __future__ import annotations

from dataclasses import dataclass

from domain.draft import Draft
from domain.link import Link
from domain.memory import Memory, MemoryVersion
from domain.vector import Vector


@dataclass(frozen=True, slots=True)
class ExportedMemory:
    """A live memory, with its own vector where that was asked for."""

    memory: Memory
    vector: Vector | None = None


@dataclass(frozen=True, slots=True)
class ExportedVersion:
    """An earlier version of an exported memory."""

    version: MemoryVersion


@dataclass(frozen=True, slots=True)
class ExportedLink:
    """A link between two exported memories."""

    link: Link


ExportRecord = ExportedMemory | ExportedVersion | ExportedLink


@dataclass(frozen=True, slots=True)
class ImportLine:
    """One line of an import; `record` is None when it could not be read, `error` says why.

    `digest` stands for all lines up to this one: whoever goes on must have begun with the same.
    """

    number: int
    record: ExportRecord | Draft | None
    error: str | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class LineError:
    """Why one line was not imported."""

    line: int
    detail: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of an import; `errors` holds the first of `errors_total`."""

    imported: int
    skipped: int
    errors: tuple[LineError, ...]
    errors_total: int
