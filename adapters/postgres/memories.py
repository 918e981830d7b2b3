# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""Live memories: reading them. Changes are in `memory_changes`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from adapters.postgres import memory_changes
from adapters.postgres.arrays import texts
from adapters.postgres.bodies import SELECTED_WITHOUT_BODIES, Bodies
from adapters.postgres.feed import position_sql
from adapters.postgres.filters import filter_sql
from adapters.postgres.namespaces import (
    lock_namespaces,
    lock_namespaces_of,
    policy_of,
)
from adapters.postgres.rows import (
    SELECTED,
    Row,
    memory_of,
    memory_of_body,
    micros,
    moment_of,
    optional_moment,
    place_of,
    scope_sql,
    storable,
    within_sql,
)
from adapters.postgres.session import Session
from adapters.postgres.standing import standing_sql
from domain.events import FeedPosition
from domain.filter import Filter
from domain.memory import Life, Memory, MemoryId, MemoryVersion
from domain.namespace import Namespace, Scope
from domain.ports import Claim, Cursor, SessionPlace, Standing, Verified

_JOINED = "memories m JOIN namespaces n ON n.id = m.namespace_id"


def _beside(comparison: str, direction: str) -> str:
    return (
        "(SELECT o.id FROM memories o WHERE o.namespace_id = m.namespace_id"
        " AND o.session = m.session AND o.forgotten_at IS NULL"
        f" AND (o.happened_at, o.id) {comparison} (m.happened_at, m.id)"
        f" ORDER BY o.happened_at {direction}, o.id {direction} LIMIT 1)"
    )


_PLACES = (
    f"SELECT m.id, {_beside('<', 'DESC')}, {_beside('>', 'ASC')} FROM memories m"
    " WHERE m.id = ANY(%s::text[]) AND m.forgotten_at IS NULL AND m.session IS NOT NULL"
)


class PostgresMemories:
    """Implements `domain.ports.Memories`."""

    def __init__(self, session: Session, bodies: Bodies | None = None) -> None:
        self._session = session
        # A change sees versions that may never be committed: they are no cache's business.
        self._bodies = None if session.writing else bodies
        self._selected = SELECTED if self._bodies is None else SELECTED_WITHOUT_BODIES

    async def get(self, ids: Sequence[MemoryId], /) -> dict[MemoryId, Memory]:
        """Return the live ones among `ids`; a change holds their counters first.

        Who reads in order to change must see what the writer before made of it.
        """
        if not ids:
            return {}
        if self._session.writing:
            await lock_namespaces_of(self._session, storable(ids))
        rows = await self._session.rows(
            f"SELECT {self._selected} FROM {_JOINED}"
            " WHERE m.id = ANY(%s::text[]) AND m.forgotten_at IS NULL",
            [storable(ids)],
        )
        return {memory.id: memory for memory in map(memory_of, await self._completed(rows))}

    async def verify(self, ids: Sequence[MemoryId], scope: Scope, filter: Filter, /) -> Verified:
        """Return those of `ids` that are live, in scope and pass, with the heads: one statement.

        With a cache, large bodies that it lacks are read by a second one in the same snapshot.
        """
        within, scope_parameters = within_sql(scope)
        passes, parameters = filter_sql(filter)
        inside, inside_parameters = scope_sql(scope)
        rows = await self._session.rows(
            f"SELECT p.epoch, p.seq, found.* FROM (SELECT {position_sql(inside)}) p (epoch, seq)"
            f" LEFT JOIN LATERAL (SELECT {self._selected} FROM {_JOINED}"
            " WHERE m.id = ANY(%s::text[]) AND m.forgotten_at IS NULL"
            f" AND {within} AND ({passes})) found ON true",
            [*inside_parameters, storable(ids), *scope_parameters, *parameters],
        )
        epoch, seq = rows[0][:2]
        bare = [row[2:] for row in rows if row[2] is not None]
        found = [memory_of(row) for row in await self._completed(bare)]
        return Verified({memory.id: memory for memory in found}, FeedPosition(epoch, int(seq)))

    async def standing(self, scope: Scope, claim: Claim, /, *, fact: str) -> Standing:
        """Hold a claim against the store, together with the heads: one statement.

        With a cache, large bodies that it lacks are read by a second one in the same snapshot.
        """
        rows = await self._session.rows(*standing_sql(scope, claim, fact, self._selected))
        epoch, seq, told, policies = rows[0][:4]
        now = FeedPosition(epoch, int(seq))
        held = claim.others if now == claim.seen_at else {**claim.sure, **claim.others}
        found = [row[4:] for row in rows if row[4] is not None]
        whole = [row[2:] for row in found if row[1] != held[row[0]]]
        return Standing(
            position=now,
            versions={MemoryId(row[0]): row[1] for row in found},
            changed={one.id: one for one in map(memory_of, await self._completed(whole))},
            policy=policy_of(scope.namespace, policies),
            fact=told,
        )

    async def find(
        self, scope: Scope, filter: Filter, /, *, limit: int, after: Cursor | None = None
    ) -> list[Memory]:
        """Return one page, newest first."""
        within, scope_parameters = within_sql(scope)
        passes, parameters = filter_sql(filter)
        beyond, cursor = "true", list[object]()
        if after is not None:
            beyond, cursor = (
                "(m.happened_at, m.id) < (%s, %s)",
                [micros(after.happened_at), after.id],
            )
        rows = await self._session.rows(
            f"SELECT {SELECTED} FROM {_JOINED} WHERE m.forgotten_at IS NULL AND {within}"
            f" AND {beyond} AND ({passes}) ORDER BY m.happened_at DESC, m.id DESC LIMIT %s",
            [*scope_parameters, *cursor, *parameters, limit],
        )
        return [memory_of(row) for row in rows]

    async def find_ids(self, scope: Scope, filter: Filter, /) -> list[MemoryId]:
        """Return the ids of all matches."""
        within, scope_parameters = within_sql(scope)
        passes, parameters = filter_sql(filter)
        rows = await self._session.rows(
            f"SELECT m.id FROM memories m WHERE m.forgotten_at IS NULL AND {within} AND ({passes})",
            [*scope_parameters, *parameters],
        )
        return [MemoryId(id) for (id,) in rows]

    async def not_erased(self, namespace: Namespace, /, *, limit: int) -> list[MemoryId]:
        """Return some ids, live or forgotten, whose content is still there."""
        # In two parts, as there is an index of the live and one of the forgotten.
        part = f"SELECT m.id FROM {_JOINED} WHERE n.path = %s AND m.forgotten_at IS"
        rows = await self._session.rows(
            f"{part} NULL UNION ALL {part} NOT NULL AND m.erased_at IS NULL LIMIT %s",
            [namespace, namespace, limit],
        )
        return [MemoryId(id) for (id,) in rows]

    async def history(self, id: MemoryId, /) -> list[MemoryVersion]:
        """Return every version, newest first; only the newest of a forgotten one says when."""
        row = await self._session.row(
            f"SELECT m.number, m.recorded_by, m.forgotten_at, m.updated_at, {SELECTED}"
            f" FROM {_JOINED} WHERE m.id = ANY(%s::text[]) AND m.erased_at IS NULL",
            [storable([id])],
        )
        if row is None:
            return []
        number, recorded_by, forgotten_at, recorded_at, *columns = row
        current = memory_of(tuple(columns))
        newest = MemoryVersion(
            version=current.version,
            recorded_at=moment_of(recorded_at),
            recorded_by=recorded_by,
            memory=current,
            forgotten_at=optional_moment(forgotten_at),
        )
        earlier = await self._session.rows(
            "SELECT version, recorded_at, recorded_by, forgotten_at, body FROM memory_versions"
            " WHERE memory = %s ORDER BY version DESC",
            [number],
        )
        return [
            newest,
            *(
                MemoryVersion(
                    version=version,
                    recorded_at=moment_of(at),
                    recorded_by=by,
                    memory=memory_of_body(current.id, current.namespace, body),
                    forgotten_at=optional_moment(forgotten),
                )
                for version, at, by, forgotten, body in earlier
            ),
        ]

    async def life(self, id: MemoryId, /) -> tuple[Life, Namespace | None]:
        """Tell what has become of an id, and in which namespace it lives or lived."""
        row = await self._session.row(
            "SELECT n.path, m.forgotten_at IS NOT NULL, m.erased_at IS NOT NULL"
            f" FROM {_JOINED} WHERE m.id = ANY(%s::text[])",
            [storable([id])],
        )
        if row is None:
            return Life.UNKNOWN, None
        path, forgotten, erased = row
        life = Life.ERASED if erased else Life.FORGOTTEN if forgotten else Life.LIVE
        return life, Namespace(path)

    async def session_places(self, ids: Sequence[MemoryId], /) -> dict[MemoryId, SessionPlace]:
        """Return the session neighbours of those ids that are live and have a session."""
        if not ids:
            return {}
        rows = await self._session.rows(_PLACES, [storable(ids)])
        return {MemoryId(id): SessionPlace(before, after) for id, before, after in rows}

    async def by_content(self, namespace: Namespace, hashes: Sequence[str], /) -> dict[str, Memory]:
        """Return the oldest live memory for each content hash; a change holds the counter first."""
        await self._hold(namespace)
        # One look into the index for each. Most contents are new, and to find the next hash in
        # order leaves one index to choose: a planner that does not know yet how large the
        # namespace has become would else read all of it every time.
        rows = await self._session.rows(
            f"SELECT {SELECTED} FROM namespaces n CROSS JOIN unnest(%s::text[]) w (hash)"
            " CROSS JOIN LATERAL (SELECT namespace_id, content_hash FROM memories"
            " WHERE (namespace_id, content_hash) >= (n.id, w.hash) AND forgotten_at IS NULL"
            " ORDER BY namespace_id, content_hash LIMIT 1) next"
            " CROSS JOIN LATERAL (SELECT * FROM memories WHERE namespace_id = n.id"
            " AND content_hash = w.hash AND forgotten_at IS NULL ORDER BY created_at, id LIMIT 1) m"
            " WHERE n.path = %s AND next.namespace_id = n.id AND next.content_hash = w.hash",
            [texts(storable(set(hashes))), namespace],
        )
        return {memory.content_hash: memory for memory in map(memory_of, rows)}

    async def by_coordinate(
        self, namespace: Namespace, coordinates: Sequence[tuple[float, ...]], /
    ) -> dict[tuple[float, ...], Memory]:
        """Return the live memory at each place; a change holds the counter first."""
        await self._hold(namespace)
        places = [place_of(coordinate) for coordinate in coordinates]
        if not places:
            return {}
        marks = ", ".join(["%s::float8[]"] * len(places))
        rows = await self._session.rows(
            f"SELECT {SELECTED} FROM {_JOINED} WHERE n.path = %s"
            f" AND m.coordinate IN ({marks}) AND m.forgotten_at IS NULL",
            [namespace, *places],
        )
        memories = map(memory_of, rows)
        return {memory.coordinate: memory for memory in memories if memory.coordinate is not None}

    async def add(self, memories: Sequence[Memory], /, *, actor: str) -> None:
        """Insert new memories (version 1, or as imported)."""
        await memory_changes.add(self._session, memories, actor)

    async def replace(self, memories: Sequence[Memory], /, *, actor: str) -> None:
        """Make each the current version; the version before becomes history."""
        await memory_changes.replace(self._session, memories, actor)

    async def forget(self, ids: Sequence[MemoryId], /, *, at: datetime, actor: str) -> None:
        """Hide memories and remove all that is derived from them; history stays."""
        await memory_changes.forget(self._session, ids, at, actor)

    async def erase(self, ids: Sequence[MemoryId], /, *, at: datetime, actor: str) -> None:
        """Remove everything but the bare id; the server's vacuum takes the bytes."""
        await memory_changes.erase(self._session, ids, at, actor)

    async def _completed(self, rows: list[Row]) -> list[Row]:
        return rows if self._bodies is None else await self._bodies.complete(self._session, rows)

    async def _hold(self, namespace: Namespace) -> None:
        """Who looks for a twin in order to store must see what the writer before stored."""
        if self._session.writing:
            await lock_namespaces(self._session, [namespace])
