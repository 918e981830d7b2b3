"""Links: typed, weighted, directed edges between memories."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from domain.errors import InvalidInput
from domain.memory import Memory, MemoryId

_TYPE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")

DEPTH_MAX = 8


class Direction(StrEnum):
    """Which way links are followed."""

    OUT = "out"
    IN = "in"
    BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A directed edge; `weight` is a strength: the greater, the closer."""

    source: MemoryId
    target: MemoryId
    type: str
    weight: float = 1.0
    properties: Mapping[str, object] = field(default_factory=dict)
    created_at: datetime
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbor:
    """A memory reached along links: its distance in hops and the links of the last hop."""

    memory: Memory
    depth: int
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A way from one memory to another."""

    memories: tuple[Memory, ...]
    links: tuple[Link, ...]


def check_link_type(link_type: str, field_name: str = "type") -> str:
    """Return a link type of 1 to 64 letters, digits and `_.:-`."""
    if not _TYPE.fullmatch(link_type):
        raise InvalidInput(field_name, "must be 1 to 64 of letters, digits and _.:-")
    return link_type


def check_weight(weight: float) -> float:
    """Return a finite weight above 0."""
    if not math.isfinite(weight) or weight <= 0:
        raise InvalidInput("weight", "must be a finite number above 0")
    return float(weight)
