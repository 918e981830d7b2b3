# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""Links between live memories."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from adapters.postgres.namespaces import lock_namespaces_of
from adapters.postgres.rows import Row, micros, moment_of, storable, to_json, within_sql
from adapters.postgres.session import Session
from domain.link import Direction, Link
from domain.memory import MemoryId
from domain.namespace import Scope, root_of

_SELECTED = "l.source, l.target, l.type, l.weight, l.properties, l.created_at, l.seq"
_ORDER = "ORDER BY l.source, l.target, l.type LIMIT %s"
_AT = {
    Direction.OUT: "l.source = ANY(%s::text[])",
    Direction.IN: "l.target = ANY(%s::text[])",
    Direction.BOTH: "(l.source = ANY(%s::text[]) OR l.target = ANY(%s::text[]))",
}


class PostgresLinks:
    """Implements `domain.ports.Links`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def of(
        self, ids: Sequence[MemoryId], /, *, direction: Direction, limit: int
    ) -> list[Link]:
        """Return links at these memories, ordered by (source, target, type)."""
        rows = await self._session.rows(
            f"SELECT {_SELECTED} FROM links l WHERE {_AT[direction]} {_ORDER}",
            [*_ends(storable(ids), direction), limit],
        )
        return [_link(row) for row in rows]

    async def page(
        self, scope: Scope, /, *, limit: int, after: tuple[str, str, str] | None = None
    ) -> list[Link]:
        """Return links whose source lies in scope, ordered by (source, target, type)."""
        within, parameters = within_sql(scope, "l.namespace_id")
        rows = await self._session.rows(
            f"SELECT {_SELECTED} FROM links l WHERE l.root = %s"
            f" AND (l.source, l.target, l.type) > (%s, %s, %s) AND {within} {_ORDER}",
            [root_of(scope.namespace), *(after or ("", "", "")), *parameters, limit],
        )
        return [_link(row) for row in rows]

    async def put(self, links: Sequence[Link], /) -> None:
        """Insert, or replace weight, properties and seq of, links; both ends must be live."""
        ends = {end for link in links for end in (link.source, link.target)}
        await lock_namespaces_of(self._session, ends)
        rows = await self._session.rows(
            "SELECT m.id, m.namespace_id, n.path FROM memories m"
            " JOIN namespaces n ON n.id = m.namespace_id"
            " WHERE m.id = ANY(%s::text[]) AND m.forgotten_at IS NULL",
            [list(ends)],
        )
        places = {id: (namespace, root_of(path)) for id, namespace, path in rows}
        if len(places) != len(ends):
            raise AssertionError(f"cannot link what is not live: {sorted(ends - set(places))}")
        added: Counter[int] = Counter()
        for link in links:
            namespace, root = places[link.source]
            # xmax is 0 in a row that is new, and names this transaction in one that was there.
            row = await self._session.row(
                "INSERT INTO links (source, target, type, root, namespace_id, weight, properties,"
                " seq, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
                " ON CONFLICT (source, target, type) DO UPDATE SET weight = excluded.weight,"
                " properties = excluded.properties, seq = excluded.seq RETURNING xmax = 0",
                [
                    *(link.source, link.target, link.type, root, namespace, link.weight),
                    *(to_json(link.properties), link.seq, micros(link.created_at)),
                ],
            )
            assert row is not None
            added[namespace] += bool(row[0])
        _count(self._session, added)

    async def remove(self, source: MemoryId, target: MemoryId, type: str, /) -> bool:
        """Remove one link; tell whether it was there."""
        await lock_namespaces_of(self._session, [source])
        rows = await self._session.rows(
            "DELETE FROM links WHERE source = %s AND target = %s AND type = %s"
            " RETURNING namespace_id",
            [source, target, type],
        )
        return _count_out(self._session, rows) > 0


async def sources_of_links_at(session: Session, ids: Sequence[str]) -> list[str]:
    """Return the memories whose namespaces count the links at these memories."""
    rows = await session.rows(
        f"SELECT DISTINCT l.source FROM links l WHERE {_AT[Direction.IN]}", [list(ids)]
    )
    return [source for (source,) in rows]


async def remove_links_at(session: Session, ids: Sequence[str]) -> None:
    """Remove every link from or to these memories and count them out."""
    rows = await session.rows(
        f"DELETE FROM links AS l WHERE {_AT[Direction.BOTH]} RETURNING namespace_id",
        _ends(list(ids), Direction.BOTH),
    )
    _count_out(session, rows)


def _ends(ids: list[str], direction: Direction) -> list[object]:
    return [ids, ids] if direction is Direction.BOTH else [ids]


def _count_out(session: Session, removed: Sequence[Row]) -> int:
    namespaces = Counter(namespace for (namespace,) in removed)
    _count(session, Counter({space: -number for space, number in namespaces.items()}))
    return namespaces.total()


def _count(session: Session, change: Counter[int]) -> None:
    for namespace, difference in change.items():
        if difference:
            session.counters.count(namespace, "links", difference)


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
