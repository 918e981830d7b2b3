# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""The one statement of a recall: candidates as they are now, with all that is in force."""

from __future__ import annotations

from adapters.postgres.arrays import numbers, texts
from adapters.postgres.feed import position_sql
from adapters.postgres.namespaces import POLICIES
from adapters.postgres.rows import scope_sql, storable, within_sql
from domain.events import FeedPosition
from domain.memory import MemoryId
from domain.namespace import Scope, ancestors
from domain.ports import Claim


def standing_sql(scope: Scope, claim: Claim, fact: str, selected: str) -> tuple[str, list[object]]:
    """Return the statement whose every row begins with the position, the fact and the policies.

    What follows is the id and version of a candidate, then all of it if the version is another.
    """
    inside, inside_parameters = scope_sql(scope)
    within, scope_parameters = within_sql(scope, "c.namespace_id")
    since = claim.seen_at or FeedPosition("", -1)
    sure, others = storable(claim.sure), storable(claim.others)
    held = {**claim.sure, **claim.others}
    statement = (
        f"SELECT p.*, c.id, c.version, {selected}"
        f" FROM (SELECT {position_sql(inside)}, (SELECT value FROM settings WHERE name = %s),"
        f" {POLICIES}) p (epoch, seq, fact, policies)"
        " LEFT JOIN LATERAL (SELECT c.id, c.version, c.number, w.version AS held"
        " FROM unnest(%s::text[], %s::bigint[], %s::boolean[]) w (id, version, sure)"
        " JOIN memories c ON c.id = w.id"
        f" WHERE c.forgotten_at IS NULL AND {within}"
        " AND NOT (w.sure AND p.epoch = %s AND p.seq = %s)) c ON true"
        " LEFT JOIN memories m ON m.number = c.number AND m.version <> c.held"
        " LEFT JOIN namespaces n ON n.id = m.namespace_id"
    )
    return statement, [
        *inside_parameters,
        fact,
        list(ancestors(scope.namespace)),
        texts([*sure, *others]),
        numbers(held[MemoryId(id)] for id in (*sure, *others)),
        [True] * len(sure) + [False] * len(others),
        *scope_parameters,
        since.epoch,
        since.seq,
    ]
