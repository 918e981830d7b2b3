# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""Go through all live memories, page by page, to queue what they lack or to drop what is past."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from adapters.sqlite.rows import list_json
from domain.memory import MemoryId
from domain.ports import GIVEN
from domain.vector import Role

# Which memories need what; only one with a session neighbour has a context.
_NEEDED = {
    Role.OWN: "1",
    Role.CONTEXT: (
        "EXISTS (SELECT 1 FROM memories o WHERE o.namespace_id = m.namespace_id"
        " AND o.session = m.session AND o.forgotten_at IS NULL AND o.number <> m.number)"
    ),
    # Who brings a vector does not want the model to run.
    Role.STATES: (
        "NOT EXISTS (SELECT 1 FROM embeddings g WHERE g.memory = m.number"
        f" AND g.role = '{Role.OWN.value}' AND g.model = ?2 AND g.input_hash = '{GIVEN}')"
    ),
}


def requeue(
    connection: sqlite3.Connection,
    model: str,
    roles: Collection[Role],
    limit: int,
    after: MemoryId | None,
) -> MemoryId | None:
    """Queue what the next `limit` live memories lack in these roles; return the last id."""
    ids = _next_live(connection, limit, after)
    for role in roles:
        connection.execute(
            "INSERT INTO embedding_tasks (memory, role, model, namespace_id)"
            " SELECT m.number, ?1, ?2, m.namespace_id FROM json_each(?3) w"
            " CROSS JOIN memories m ON m.id = w.value WHERE NOT EXISTS (SELECT 1 FROM embeddings e"
            " WHERE e.memory = m.number AND e.role = ?1 AND e.model = ?2)"
            f" AND {_NEEDED[role]} ON CONFLICT (memory, role, model) DO NOTHING",
            [role.value, model, list_json(ids)],
        )
    return MemoryId(ids[-1]) if ids else None


def discard(
    connection: sqlite3.Connection, model: str, limit: int, after: MemoryId | None
) -> MemoryId | None:
    """Delete what the next `limit` live memories have of a model; return the last id."""
    ids = _next_live(connection, limit, after)
    for table in ("embeddings", "embedding_tasks"):
        connection.execute(
            f"DELETE FROM {table} WHERE model = ? AND memory IN (SELECT m.number"
            " FROM json_each(?) w CROSS JOIN memories m ON m.id = w.value)",
            [model, list_json(ids)],
        )
    return MemoryId(ids[-1]) if ids else None


def _next_live(connection: sqlite3.Connection, limit: int, after: MemoryId | None) -> list[str]:
    rows = connection.execute(
        "SELECT id FROM memories WHERE forgotten_at IS NULL AND id > ? ORDER BY id LIMIT ?",
        [after or "", limit],
    )
    return [id for (id,) in rows]
