# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""Namespaces: their counters, what they hold and their policies."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict
from functools import lru_cache

from adapters.sqlite.rows import list_json, scope_sql, to_json
from adapters.sqlite.session import Session
from domain.namespace import Namespace, NamespacePolicy, NamespaceStats, Scope, ancestors

_POLICIES_CACHED = 1024


class SqliteNamespaces:
    """Implements `domain.ports.Namespaces`. A namespace exists when it has a row."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def stats(
        self, scope: Scope | None, /, *, limit: int, after: Namespace | None = None
    ) -> list[NamespaceStats]:
        """Return one page in path order; None means everywhere."""
        return await self._session.run(_stats, scope, limit, after)

    async def policy(self, namespace: Namespace, /) -> NamespacePolicy:
        """Return the policy in force: its own over its ancestors'."""
        return await self._session.run(policy_in_force, namespace)

    async def set_policy(self, namespace: Namespace, policy: NamespacePolicy, /) -> None:
        """Replace the namespace's own policy; a namespace may have one before it has memories."""
        await self._session.run(_set_policy, namespace, policy)


def ensure_namespaces(
    connection: sqlite3.Connection, paths: Iterable[Namespace]
) -> dict[Namespace, int]:
    """Return the row ids of namespaces, creating absent ones."""
    wanted = sorted(set(paths))
    connection.executemany(
        "INSERT OR IGNORE INTO namespaces (path) VALUES (?)", [(path,) for path in wanted]
    )
    return dict(
        connection.execute(
            "SELECT n.path, n.id FROM json_each(?) w JOIN namespaces n ON n.path = w.value",
            [list_json(wanted)],
        )
    )


def _stats(
    connection: sqlite3.Connection, scope: Scope | None, limit: int, after: Namespace | None
) -> list[NamespaceStats]:
    inside, parameters = ("1", []) if scope is None else scope_sql(scope)
    rows = connection.execute(
        "SELECT path, head, memories, links, policy,"
        " (SELECT count(*) FROM embedding_tasks WHERE namespace_id = namespaces.id)"
        f" FROM namespaces WHERE {inside} AND path > ? ORDER BY path LIMIT ?",
        [*parameters, after or "", limit],
    )
    return [
        NamespaceStats(
            path=Namespace(path),
            head=head,
            memories=memories,
            links=links,
            pending_vectors=pending,
            policy=NamespacePolicy(**json.loads(policy)),
        )
        for path, head, memories, links, policy, pending in rows
    ]


def policy_in_force(connection: sqlite3.Connection, namespace: Namespace) -> NamespacePolicy:
    """Return a namespace's own policy over its ancestors'."""
    line = ancestors(namespace)
    marks = ", ".join("?" * len(line))
    own = dict(
        connection.execute(f"SELECT path, policy FROM namespaces WHERE path IN ({marks})", line)
    )
    return _in_force(tuple(own.get(path, "{}") for path in line))


@lru_cache(maxsize=_POLICIES_CACHED)
def _in_force(texts: tuple[str, ...]) -> NamespacePolicy:
    """Lay policies over each other, the nearest first: mostly the same ones, and empty."""
    in_force = NamespacePolicy()
    for text in texts:
        in_force = in_force.over(NamespacePolicy(**json.loads(text)))
    return in_force


def _set_policy(
    connection: sqlite3.Connection, namespace: Namespace, policy: NamespacePolicy
) -> None:
    connection.execute(
        "INSERT INTO namespaces (path, policy) VALUES (?, ?)"
        " ON CONFLICT (path) DO UPDATE SET policy = excluded.policy",
        [namespace, to_json(asdict(policy))],
    )
