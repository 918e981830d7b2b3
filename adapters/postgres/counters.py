# ruff: noqa: S608 - statements are put together from constants
"""Changes to the counters of namespaces, written by one statement instead of one at a time."""

from __future__ import annotations

from adapters.postgres.arrays import numbers

_COUNTS = ("memories", "links", "documents", "own_length", "context_length")
_WRITE = (
    "WITH moved AS (UPDATE namespaces n SET "
    + ", ".join(f"{name} = n.{name} + w.{name}" for name in _COUNTS)
    + ", head = coalesce(w.head, n.head) FROM unnest(%s::bigint[], %s::bigint[]"
    + ", %s::bigint[]" * len(_COUNTS)
    + f") w (id, head, {', '.join(_COUNTS)}) WHERE n.id = w.id RETURNING n.id, w.head)"
    " INSERT INTO feed_moves (namespace_id, change)"
    " SELECT id, pg_current_xact_id() FROM moved WHERE head IS NOT NULL"
    " ON CONFLICT (namespace_id) DO UPDATE SET change = excluded.change"
)


class Counters:
    """Collects what one transaction changes; the rows of the namespaces must be locked."""

    def __init__(self) -> None:
        self._counts: dict[int, dict[str, int]] = {}
        self._heads: dict[int, int] = {}

    def count(self, namespace: int, name: str, difference: int) -> None:
        """Add to one of a namespace's counts."""
        counts = self._counts.setdefault(namespace, {})
        counts[name] = counts.get(name, 0) + difference

    def move(self, namespace: int, head: int) -> None:
        """Advance the head of a namespace's feed."""
        self._counts.setdefault(namespace, {})
        self._heads[namespace] = head

    def taken(self) -> tuple[str, list[str]] | None:
        """Return the statement that writes everything, once; None when there is nothing."""
        if not self._counts:
            return None
        counts, self._counts = self._counts, {}
        heads, self._heads = self._heads, {}
        columns = [[changes.get(name, 0) for changes in counts.values()] for name in _COUNTS]
        return _WRITE, [
            numbers(counts),
            numbers(heads.get(namespace) for namespace in counts),
            *map(numbers, columns),
        ]
