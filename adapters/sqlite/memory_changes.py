# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""Adding, replacing, forgetting and erasing memories, with all that hangs on them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from adapters.sqlite.embeddings import remove_vectors
from adapters.sqlite.erasure import note_residue
from adapters.sqlite.lexicon import remove_terms
from adapters.sqlite.links import remove_links_at
from adapters.sqlite.namespaces import ensure_namespaces
from adapters.sqlite.rows import COLUMNS, body_of, list_json, micros, to_json, values_of
from domain.memory import Memory, MemoryId

_NAMES = ", ".join(COLUMNS)
_INSERT = (
    f"INSERT INTO memories (id, namespace_id, recorded_by, {_NAMES})"
    f" VALUES (?, ?, ?, {', '.join('?' * len(COLUMNS))})"
)
_UPDATE = (
    f"UPDATE memories SET recorded_by = ?, {', '.join(f'{name} = ?' for name in COLUMNS)}"
    " WHERE number = ?"
)
_ERASE = (
    "UPDATE memories SET erased_at = ?1, forgotten_at = ifnull(forgotten_at, ?1), kind = '',"
    " level = 0, version = 0, seq = 0, importance = 0, pinned = 0, created_at = 0, updated_at = 0,"
    " happened_at = 0, occurred_at = NULL, valid_from = NULL, valid_to = NULL, expires_at = NULL,"
    " recorded_by = '', actor = NULL, session = NULL, content_hash = '', coordinate = NULL,"
    " tags = '[]', payload = '{}', content = ''"
    " WHERE number IN (SELECT value FROM json_each(?2))"
)


def add(connection: sqlite3.Connection, memories: Sequence[Memory], actor: str) -> None:
    """Insert new memories; a known id is a mistake of the caller."""
    spaces = ensure_namespaces(connection, (memory.namespace for memory in memories))
    connection.executemany(
        _INSERT,
        [(memory.id, spaces[memory.namespace], actor, *values_of(memory)) for memory in memories],
    )
    _count(connection, Counter(spaces[memory.namespace] for memory in memories))


def replace(connection: sqlite3.Connection, memories: Sequence[Memory], actor: str) -> None:
    """Make each the current version, in order; every memory must be live."""
    waiting = list(memories)
    while waiting:
        # A memory may come twice: then its first new version becomes history in turn.
        once = {memory.id: memory for memory in reversed(waiting)}
        _replace_once(connection, once, actor)
        first = {id(memory) for memory in once.values()}
        waiting = [memory for memory in waiting if id(memory) not in first]


def _replace_once(
    connection: sqlite3.Connection, memories: dict[MemoryId, Memory], actor: str
) -> None:
    rows = connection.execute(
        f"SELECT m.number, m.id, m.recorded_by, {', '.join(f'm.{name}' for name in COLUMNS)}"
        " FROM json_each(?) w CROSS JOIN memories m ON m.id = w.value"
        " WHERE m.forgotten_at IS NULL",
        [list_json(memories)],
    ).fetchall()
    if len(rows) != len(memories):
        missing = sorted(set(memories) - {row[1] for row in rows})
        raise AssertionError(f"cannot replace what is not live: {missing}")
    version, updated_at = COLUMNS.index("version"), COLUMNS.index("updated_at")
    connection.executemany(
        "INSERT INTO memory_versions (memory, version, recorded_at, recorded_by, body)"
        " VALUES (?, ?, ?, ?, ?)",
        [
            (number, values[version], values[updated_at], by, body_of(values))
            for number, _, by, *values in rows
        ],
    )
    # Memories may swap coordinates: all give theirs up before any takes another.
    connection.executemany(
        "UPDATE memories SET coordinate = NULL WHERE number = ? AND coordinate IS NOT NULL",
        [(row[0],) for row in rows],
    )
    connection.executemany(
        _UPDATE, [(actor, *values_of(memories[id]), number) for number, id, *_ in rows]
    )


def forget(
    connection: sqlite3.Connection, ids: Sequence[MemoryId], at: datetime, actor: str
) -> None:
    """Hide the live ones among `ids`; links, terms and vectors go at once."""
    numbers = _let_go(connection, ids)
    connection.execute(
        "UPDATE memories SET forgotten_at = ? WHERE number IN (SELECT value FROM json_each(?))",
        [micros(at), numbers],
    )
    _audit(connection, "forget", numbers, at, actor)


def erase(
    connection: sqlite3.Connection, ids: Sequence[MemoryId], at: datetime, actor: str
) -> None:
    """Blank every row among `ids`, live or forgotten, and its history."""
    rows = connection.execute(
        "SELECT m.number FROM json_each(?) w CROSS JOIN memories m ON m.id = w.value"
        " WHERE m.erased_at IS NULL",
        [list_json(set(ids))],
    )
    numbers = to_json([number for (number,) in rows])
    _let_go(connection, ids)
    connection.execute(
        "DELETE FROM memory_versions WHERE memory IN (SELECT value FROM json_each(?))", [numbers]
    )
    connection.execute(_ERASE, [micros(at), numbers])
    note_residue(connection)
    _audit(connection, "erase", numbers, at, actor)


def _let_go(connection: sqlite3.Connection, ids: Sequence[MemoryId]) -> str:
    """Remove what is derived from the live ones among `ids`; return their numbers as JSON."""
    rows = connection.execute(
        "SELECT m.number, m.id, m.namespace_id FROM json_each(?) w"
        " CROSS JOIN memories m ON m.id = w.value WHERE m.forgotten_at IS NULL",
        [list_json(set(ids))],
    ).fetchall()
    numbers = to_json([number for number, _, _ in rows])
    remove_links_at(connection, [id for _, id, _ in rows])
    remove_terms(connection, numbers)
    remove_vectors(connection, numbers)
    gone = Counter({namespace: 0 for _, _, namespace in rows})
    gone.subtract(namespace for _, _, namespace in rows)
    _count(connection, gone)
    return numbers


def _count(connection: sqlite3.Connection, change: Counter[int]) -> None:
    connection.executemany(
        "UPDATE namespaces SET memories = memories + ? WHERE id = ?",
        [(difference, namespace) for namespace, difference in change.items()],
    )


def _audit(
    connection: sqlite3.Connection, action: str, numbers: str, at: datetime, actor: str
) -> None:
    connection.execute(
        "INSERT INTO audit_log (at, actor, action, memory_id, namespace)"
        " SELECT ?, ?, ?, m.id, n.path FROM json_each(?) w"
        " CROSS JOIN memories m ON m.number = w.value"
        " CROSS JOIN namespaces n ON n.id = m.namespace_id",
        [micros(at), actor, action, numbers],
    )
