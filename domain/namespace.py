"""Namespaces: self-similar paths such as `acme/support/alice`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from domain.errors import InvalidInput

Namespace = NewType("Namespace", str)

DEFAULT_NAMESPACE = Namespace("default")
SEGMENTS_MAX = 16
_SEGMENT = re.compile(r"[A-Za-z0-9_.@:+=-]{1,128}")


class ScopeKind(StrEnum):
    """Whether an operation works on one namespace or on everything below it too."""

    EXACT = "exact"
    SUBTREE = "subtree"


@dataclass(frozen=True, slots=True)
class Scope:
    """One namespace, or a whole subtree (the namespace itself included)."""

    namespace: Namespace
    kind: ScopeKind = ScopeKind.EXACT

    def contains(self, namespace: Namespace) -> bool:
        """Tell whether `namespace` lies in this scope."""
        if namespace == self.namespace:
            return True
        return self.kind is ScopeKind.SUBTREE and namespace.startswith(f"{self.namespace}/")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespacePolicy:
    """What a namespace does differently; unset fields are inherited from the nearest ancestor.

    `half_life_days` is the recency half-life (None: age does not matter), `default_ttl_seconds`
    the life of a memory stored without one, `weights` and `signals` override recall defaults.
    """

    half_life_days: float | None = None
    default_ttl_seconds: float | None = None
    weights: dict[str, float] = field(default_factory=dict)
    signals: dict[str, bool] = field(default_factory=dict)

    def over(self, inherited: NamespacePolicy) -> NamespacePolicy:
        """Return this policy with unset fields taken from `inherited`."""
        return NamespacePolicy(
            half_life_days=_first(self.half_life_days, inherited.half_life_days),
            default_ttl_seconds=_first(self.default_ttl_seconds, inherited.default_ttl_seconds),
            weights={**inherited.weights, **self.weights},
            signals={**inherited.signals, **self.signals},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceStats:
    """What a namespace holds. `head` is its last sequence number, `pending_vectors` the lag."""

    path: Namespace
    head: int
    memories: int
    links: int
    pending_vectors: int
    policy: NamespacePolicy


def parse_namespace(text: str, field_name: str = "namespace") -> Namespace:
    """Check a namespace path; raise `InvalidInput` naming `field_name`."""
    segments = text.split("/")
    if len(segments) > SEGMENTS_MAX:
        raise InvalidInput(field_name, f"has {len(segments)} segments, at most {SEGMENTS_MAX}")
    for segment in segments:
        if segment in {".", ".."} or not _SEGMENT.fullmatch(segment):
            raise InvalidInput(
                field_name,
                f"{segment!r} is not a segment: 1 to 128 of letters, digits and _.@:+=-",
            )
    return Namespace(text)


def root_of(namespace: Namespace) -> Namespace:
    """Return the first path segment: links never leave it."""
    return Namespace(namespace.split("/", 1)[0])


def ancestors(namespace: Namespace) -> tuple[Namespace, ...]:
    """Return the namespace and everything above it, nearest first."""
    parts = namespace.split("/")
    return tuple(Namespace("/".join(parts[:end])) for end in range(len(parts), 0, -1))


def _first(own: float | None, inherited: float | None) -> float | None:
    return inherited if own is None else own
