"""What a backup says about itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

#: Of the folder: which files there are, and what they mean.
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """What a snapshot holds.

    `counts` are rows by table; `columns` their columns in the order of the files, where the files
    do not tell. `heads` is the SHA-256 of all lines "<path> <head>", in path order.
    """

    engine: str
    schema_version: int
    epoch: str
    counts: Mapping[str, int]
    heads: str
    columns: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a backup; `sha256` is of its bytes as they lie on the disk."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything that must be so for a backup to be used."""

    format: int
    made_at: datetime
    facts: StoreFacts
    parts: Sequence[Part]
