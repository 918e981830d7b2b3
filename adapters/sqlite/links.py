# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""Links between live memories."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence

from adapters.sqlite.rows import Row, list_json, micros, moment_of, to_json, within_sql
from adapters.sqlite.session import Session
from domain.link import Direction, Link
from domain.memory import MemoryId
from domain.namespace import Scope, root_of

_SELECTED = "l.source, l.target, l.type, l.weight, l.properties, l.created_at, l.seq"
_ORDER = "ORDER BY l.source, l.target, l.type LIMIT ?"
_AT = {
    Direction.OUT: "l.source IN (SELECT value FROM json_each(?1))",
    Direction.IN: "l.target IN (SELECT value FROM json_each(?1))",
    Direction.BOTH: "(l.source IN (SELECT value FROM json_each(?1))"
    " OR l.target IN (SELECT value FROM json_each(?1)))",
}


class SqliteLinks:
    """Implements `domain.ports.Links`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def of(
        self, ids: Sequence[MemoryId], /, *, direction: Direction, limit: int
    ) -> list[Link]:
        """Return links at these memories, ordered by (source, target, type)."""
        return await self._session.run(_of, ids, direction, limit)

    async def page(
        self, scope: Scope, /, *, limit: int, after: tuple[str, str, str] | None = None
    ) -> list[Link]:
        """Return links whose source lies in scope, ordered by (source, target, type)."""
        return await self._session.run(_page, scope, limit, after)

    async def put(self, links: Sequence[Link], /) -> None:
        """Insert, or replace weight, properties and seq of, links; both ends must be live."""
        await self._session.run(_put, links)

    async def remove(self, source: MemoryId, target: MemoryId, type: str, /) -> bool:
        """Remove one link; tell whether it was there."""
        return await self._session.run(_remove, source, target, type)


def remove_links_at(connection: sqlite3.Connection, ids: Sequence[MemoryId]) -> None:
    """Remove every link from or to these memories and count them out."""
    rows = connection.execute(
        f"DELETE FROM links AS l WHERE {_AT[Direction.BOTH]} RETURNING namespace_id",
        [list_json(ids)],
    )
    _count_out(connection, rows)


def _of(
    connection: sqlite3.Connection, ids: Sequence[MemoryId], direction: Direction, limit: int
) -> list[Link]:
    rows = connection.execute(
        f"SELECT {_SELECTED} FROM links l WHERE {_AT[direction]} {_ORDER.replace('?', '?2')}",
        [list_json(ids), limit],
    )
    return [_link(row) for row in rows]


def _page(
    connection: sqlite3.Connection,
    scope: Scope,
    limit: int,
    after: tuple[str, str, str] | None,
) -> list[Link]:
    within, parameters = within_sql(scope, "+l.namespace_id")
    rows = connection.execute(
        f"SELECT {_SELECTED} FROM links l INDEXED BY links_by_root WHERE l.root = ?"
        f" AND (l.source, l.target, l.type) > (?, ?, ?) AND {within} {_ORDER}",
        [root_of(scope.namespace), *(after or ("", "", "")), *parameters, limit],
    )
    return [_link(row) for row in rows]


def _put(connection: sqlite3.Connection, links: Sequence[Link]) -> None:
    ends = {end for link in links for end in (link.source, link.target)}
    rows = connection.execute(
        "SELECT m.id, m.namespace_id, n.path FROM json_each(?) w"
        " CROSS JOIN memories m ON m.id = w.value"
        " CROSS JOIN namespaces n ON n.id = m.namespace_id WHERE m.forgotten_at IS NULL",
        [list_json(ends)],
    )
    places = {id: (namespace, root_of(path)) for id, namespace, path in rows}
    if len(places) != len(ends):
        raise AssertionError(f"cannot link what is not live: {sorted(ends - set(places))}")
    added: Counter[int] = Counter()
    for link in links:
        namespace, root = places[link.source]
        values = [link.weight, to_json(link.properties), link.seq]
        key = [link.source, link.target, link.type]
        known = connection.execute(
            "UPDATE links SET weight = ?, properties = ?, seq = ?"
            " WHERE source = ? AND target = ? AND type = ?",
            [*values, *key],
        ).rowcount
        if not known:
            connection.execute(
                "INSERT INTO links (weight, properties, seq, source, target, type,"
                " root, namespace_id, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [*values, *key, root, namespace, micros(link.created_at)],
            )
            added[namespace] += 1
    connection.executemany(
        "UPDATE namespaces SET links = links + ? WHERE id = ?",
        [(number, namespace) for namespace, number in added.items()],
    )


def _remove(
    connection: sqlite3.Connection, source: MemoryId, target: MemoryId, link_type: str
) -> bool:
    rows = connection.execute(
        "DELETE FROM links WHERE source = ? AND target = ? AND type = ? RETURNING namespace_id",
        [source, target, link_type],
    )
    return _count_out(connection, rows) > 0


def _count_out(connection: sqlite3.Connection, removed: sqlite3.Cursor) -> int:
    namespaces = Counter(namespace for (namespace,) in removed.fetchall())
    connection.executemany(
        "UPDATE namespaces SET links = links - ? WHERE id = ?",
        [(number, namespace) for namespace, number in namespaces.items()],
    )
    return namespaces.total()


def _link(row: Row) -> Link:
    source, target, link_type, weight, properties, created_at, seq = row
    return Link(
        source=source,
        target=target,
        type=link_type,
        weight=weight,
        properties=json.loads(properties),
        created_at=moment_of(created_at),
        seq=seq,
    )
