# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""Candidates as they really are now: which live, at which version, and how far the feeds are."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from adapters.sqlite.feed import position
from adapters.sqlite.filters import filter_sql
from adapters.sqlite.namespaces import policy_in_force
from adapters.sqlite.records import setting
from adapters.sqlite.rows import SELECTED, list_json, memory_of, within_sql
from domain.events import FeedPosition
from domain.filter import Filter
from domain.memory import Memory, MemoryId
from domain.namespace import Scope, ScopeKind
from domain.ports import Claim, Standing, Verified

# CROSS JOIN fixes the order: from the ids to their rows, never through all rows of a namespace.
_OF_IDS = (
    f"SELECT {SELECTED} FROM json_each(?) w CROSS JOIN memories m ON m.id = w.value"
    " CROSS JOIN namespaces n ON n.id = m.namespace_id WHERE m.forgotten_at IS NULL"
)
_VERSIONS = (
    "SELECT m.id, m.version FROM json_each(?) w CROSS JOIN memories m ON m.id = w.value"
    " WHERE m.forgotten_at IS NULL"
)


def live(connection: sqlite3.Connection, ids: Sequence[MemoryId]) -> dict[MemoryId, Memory]:
    """Return the live ones among `ids`."""
    return _memories(connection.execute(_OF_IDS, [list_json(ids)])) if ids else {}


def verify(
    connection: sqlite3.Connection, ids: Sequence[MemoryId], scope: Scope, filter: Filter
) -> Verified:
    """Return those of `ids` that are live, in scope and pass, with the scope's heads."""
    # Two statements, but one snapshot.
    within, scope_parameters = within_sql(scope)
    passes, parameters = filter_sql(filter)
    rows = connection.execute(
        f"{_OF_IDS} AND {within} AND ({passes})", [list_json(ids), *scope_parameters, *parameters]
    )
    return Verified(_memories(rows), position(connection, scope))


def standing(connection: sqlite3.Connection, scope: Scope, claim: Claim, fact: str) -> Standing:
    """Hold a claim against the store: a few statements in one snapshot, most often three."""
    now = position(connection, scope)
    held = claim.others if now == claim.seen_at else {**claim.sure, **claim.others}
    versions, changed = dict[MemoryId, int](), dict[MemoryId, Memory]()
    if held:
        within, parameters = within_sql(scope)
        rows = connection.execute(f"{_VERSIONS} AND {within}", [list_json(held), *parameters])
        versions = dict(rows)
        changed = live(connection, [id for id in versions if versions[id] != held[id]])
    return _standing(connection, scope, fact, position=now, versions=versions, changed=changed)


def unmoved(
    connection: sqlite3.Connection, scope: Scope, claim: Claim, fact: str
) -> Standing | None:
    """Return how things stand if nothing needs to be looked up; else None.

    In one namespace these are a handful of rows of tables that are small and always in use.
    """
    if claim.others or scope.kind is not ScopeKind.EXACT:
        return None
    now = position(connection, scope)
    if now != claim.seen_at:
        return None
    return _standing(connection, scope, fact, position=now, versions={}, changed={})


def _standing(
    connection: sqlite3.Connection,
    scope: Scope,
    fact: str,
    *,
    position: FeedPosition,
    versions: dict[MemoryId, int],
    changed: dict[MemoryId, Memory],
) -> Standing:
    return Standing(
        position=position,
        versions=versions,
        changed=changed,
        policy=policy_in_force(connection, scope.namespace),
        fact=setting(connection, fact),
    )


def _memories(rows: sqlite3.Cursor) -> dict[MemoryId, Memory]:
    memories = map(memory_of, rows)
    return {memory.id: memory for memory in memories}
