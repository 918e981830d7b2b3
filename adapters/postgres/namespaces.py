# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""Namespaces: their counters, what they hold and their policies."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from functools import lru_cache

from adapters.postgres.rows import Row, scope_sql, to_json
from adapters.postgres.session import Session
from domain.namespace import Namespace, NamespacePolicy, NamespaceStats, Scope, ancestors

#: Selects path and policy, with a space between, of the namespaces whose paths are given.
POLICIES = "ARRAY(SELECT path || ' ' || policy FROM namespaces WHERE path = ANY(%s::text[]))"

_POLICIES_CACHED = 1024


class PostgresNamespaces:
    """Implements `domain.ports.Namespaces`. A namespace exists when it has a row."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def stats(
        self, scope: Scope | None, /, *, limit: int, after: Namespace | None = None
    ) -> list[NamespaceStats]:
        """Return one page in path order; None means everywhere."""
        inside, parameters = ("true", []) if scope is None else scope_sql(scope)
        rows = await self._session.rows(
            "SELECT path, head, memories, links, policy,"
            " (SELECT count(*) FROM embedding_tasks WHERE namespace_id = namespaces.id)"
            f" FROM namespaces WHERE {inside} AND path > %s ORDER BY path LIMIT %s",
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

    async def policy(self, namespace: Namespace, /) -> NamespacePolicy:
        """Return the policy in force: its own over its ancestors'."""
        row = await self._session.row(f"SELECT {POLICIES}", [list(ancestors(namespace))])
        return policy_of(namespace, [] if row is None else row[0])

    async def set_policy(self, namespace: Namespace, policy: NamespacePolicy, /) -> None:
        """Replace the namespace's own policy; a namespace may have one before it has memories."""
        await lock_namespaces(self._session, [namespace])
        await self._session.run(
            "UPDATE namespaces SET policy = %s WHERE path = %s",
            [to_json(asdict(policy)), namespace],
        )


def policy_of(namespace: Namespace, policies: Iterable[str]) -> NamespacePolicy:
    """Lay the policies that `POLICIES` selected over each other."""
    own = dict(one.split(" ", 1) for one in policies)
    return _in_force(tuple(own.get(path, "{}") for path in ancestors(namespace)))


@lru_cache(maxsize=_POLICIES_CACHED)
def _in_force(texts: tuple[str, ...]) -> NamespacePolicy:
    """Lay policies over each other, the nearest first: mostly the same ones, and empty."""
    in_force = NamespacePolicy()
    for text in texts:
        in_force = in_force.over(NamespacePolicy(**json.loads(text)))
    return in_force


async def lock_namespaces(session: Session, paths: Iterable[Namespace]) -> dict[str, int]:
    """Hold the counters of namespaces until the end, creating absent ones; return their ids.

    One statement in path order, whether a row is there or not: two writers never wait for each
    other. The lock leaves foreign keys alone, so only writers of the same namespace wait.
    """
    wanted = sorted(set(paths))
    missing = [path for path in wanted if path not in session.locked]
    if missing:
        for path, id, head in await _locked(session, missing):
            session.locked[path] = id
            session.heads[path] = head
    return {path: session.locked[path] for path in wanted}


async def _locked(session: Session, paths: list[Namespace]) -> list[Row]:
    """Lock rows that are not locked yet, in path order; return path, id and head of each."""
    select = "SELECT path, id, head FROM namespaces WHERE path = ANY(%s::text[])"
    if len(paths) == 1:
        # One row has no order to keep: where it is there already, this is all.
        rows = await session.rows(f"{select} FOR NO KEY UPDATE", [paths])
        if rows:
            return rows
    # An update that changes nothing (WHERE false) still locks the row.
    await session.run(
        "INSERT INTO namespaces (path) SELECT unnest(%s::text[]) ON CONFLICT (path)"
        " DO UPDATE SET head = namespaces.head WHERE false",
        [paths],
    )
    return await session.rows(select, [paths])


async def lock_namespaces_of(session: Session, ids: Iterable[str]) -> None:
    """Hold the counters of the namespaces in which these memories live or lived."""
    rows = await session.rows(
        "SELECT DISTINCT n.path FROM memories m JOIN namespaces n ON n.id = m.namespace_id"
        " WHERE m.id = ANY(%s::text[])",
        [list(ids)],
    )
    await lock_namespaces(session, [path for (path,) in rows])
