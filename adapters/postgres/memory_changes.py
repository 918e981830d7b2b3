# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""Adding, replacing, forgetting and erasing memories, with all that hangs on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from adapters.postgres.embeddings import remove_vectors
from adapters.postgres.lexicon import remove_terms
from adapters.postgres.links import remove_links_at, sources_of_links_at
from adapters.postgres.namespaces import lock_namespaces, lock_namespaces_of
from adapters.postgres.rows import COLUMNS, body_of, micros, sent_values_of, storable
from adapters.postgres.session import Session
from adapters.postgres.versions import VERSION_COLUMNS
from domain.memory import Memory, MemoryId

_INSERTED = ("number", "namespace_id", "id", "recorded_by", "facts", *COLUMNS)
_UPDATE = (
    f"UPDATE memories SET recorded_by = %s, facts = %s, {', '.join(f'{c} = %s' for c in COLUMNS)}"
    " WHERE number = %s"
)
_ERASE = (
    "UPDATE memories SET erased_at = %s, forgotten_at = coalesce(forgotten_at, %s), kind = '',"
    " level = 0, version = 0, seq = 0, importance = 0, pinned = false, created_at = 0,"
    " updated_at = 0, happened_at = 0, occurred_at = NULL, valid_from = NULL, valid_to = NULL,"
    " expires_at = NULL, recorded_by = '', actor = NULL, session = NULL, content_hash = '',"
    " coordinate = NULL, tags = '{}', facts = '{}', payload = '{}', content = ''"
    " WHERE number = ANY(%s::bigint[])"
)


async def add(session: Session, memories: Sequence[Memory], actor: str) -> None:
    """Insert new memories; a known id is a mistake of the caller."""
    if not memories:
        return
    spaces = await lock_namespaces(session, (memory.namespace for memory in memories))
    row = await session.row(
        "SELECT array_agg(nextval(pg_get_serial_sequence('memories', 'number')))"
        " FROM generate_series(1, %s)",
        [len(memories)],
    )
    assert row is not None
    placed: dict[str, tuple[int, int, int]] = {
        memory.id: (number, spaces[memory.namespace], memory.version)
        for memory, number in zip(memories, row[0], strict=True)
    }
    await session.insert(
        "memories",
        _INSERTED,
        [
            (*placed[memory.id][:2], memory.id, actor, *sent_values_of(memory))
            for memory in memories
        ],
    )
    session.added.update(placed)
    session.without_terms.update(row[0])
    session.without_vectors.update(row[0])
    _count(session, Counter(spaces[memory.namespace] for memory in memories))


async def replace(session: Session, memories: Sequence[Memory], actor: str) -> None:
    """Make each the current version, in order; every memory must be live."""
    waiting = list(memories)
    while waiting:
        # A memory may come twice: then its first new version becomes history in turn.
        once: dict[str, Memory] = {memory.id: memory for memory in reversed(waiting)}
        await _replace_once(session, once, actor)
        first = {id(memory) for memory in once.values()}
        waiting = [memory for memory in waiting if id(memory) not in first]


async def _replace_once(session: Session, memories: dict[str, Memory], actor: str) -> None:
    _changed(session, memories)
    await lock_namespaces_of(session, memories)
    rows = await session.rows(
        f"SELECT number, id, recorded_by, {', '.join(COLUMNS)} FROM memories"
        " WHERE id = ANY(%s::text[]) AND forgotten_at IS NULL ORDER BY number FOR UPDATE",
        [list(memories)],
    )
    if len(rows) != len(memories):
        missing = sorted(set(memories) - {row[1] for row in rows})
        raise AssertionError(f"cannot replace what is not live: {missing}")
    version, updated_at = COLUMNS.index("version"), COLUMNS.index("updated_at")
    await session.insert(
        "memory_versions",
        VERSION_COLUMNS,
        [
            (number, values[version], values[updated_at], by, None, body_of(values))
            for number, _, by, *values in rows
        ],
    )
    # Memories may swap coordinates: all give theirs up before any takes another.
    await session.run(
        "UPDATE memories SET coordinate = NULL"
        " WHERE number = ANY(%s::bigint[]) AND coordinate IS NOT NULL",
        [[row[0] for row in rows]],
    )
    for number, id, *_ in rows:
        memory = memories[id]
        await session.run(_UPDATE, [actor, *sent_values_of(memory), number])


async def forget(session: Session, ids: Sequence[str], at: datetime, actor: str) -> None:
    """Hide the live ones among `ids`; links, terms and vectors go at once."""
    numbers = await _let_go(session, ids)
    if not numbers:
        return
    await session.run(
        "UPDATE memories SET forgotten_at = %s WHERE number = ANY(%s::bigint[])",
        [micros(at), numbers],
    )
    await _audit(session, "forget", numbers, at, actor)


async def erase(session: Session, ids: Sequence[str], at: datetime, actor: str) -> None:
    """Blank every row among `ids`, live or forgotten, and its history."""
    await _let_go(session, ids)
    rows = await session.rows(
        "SELECT number, id, version FROM memories WHERE id = ANY(%s::text[])"
        " AND erased_at IS NULL ORDER BY number FOR UPDATE",
        [storable(ids)],
    )
    numbers = [number for number, _, _ in rows]
    if not numbers:
        return
    session.erased.update({MemoryId(id): version for _, id, version in rows})
    await session.run("DELETE FROM memory_versions WHERE memory = ANY(%s::bigint[])", [numbers])
    await session.run(_ERASE, [micros(at), micros(at), numbers])
    await _audit(session, "erase", numbers, at, actor)


async def _let_go(session: Session, ids: Sequence[str]) -> list[int]:
    """Remove what is derived from the live ones among `ids`; return their numbers."""
    _changed(session, ids)
    wanted = storable(set(ids))
    # Their links may be counted in other namespaces, whose counters are needed too.
    await lock_namespaces_of(session, [*wanted, *await sources_of_links_at(session, wanted)])
    rows = await session.rows(
        "SELECT number, id, namespace_id FROM memories"
        " WHERE id = ANY(%s::text[]) AND forgotten_at IS NULL ORDER BY number FOR UPDATE",
        [wanted],
    )
    numbers = [number for number, _, _ in rows]
    if numbers:
        await remove_links_at(session, [id for _, id, _ in rows])
        await remove_terms(session, numbers)
        await remove_vectors(session, numbers)
        gone = Counter(namespace for _, _, namespace in rows)
        _count(session, Counter({space: -number for space, number in gone.items()}))
    return numbers


def _changed(session: Session, ids: Iterable[str]) -> None:
    for id in ids:
        session.added.pop(id, None)


def _count(session: Session, change: Counter[int]) -> None:
    for namespace, difference in change.items():
        session.counters.count(namespace, "memories", difference)


async def _audit(
    session: Session, action: str, numbers: list[int], at: datetime, actor: str
) -> None:
    await session.run(
        "INSERT INTO audit_log (at, actor, action, memory_id, namespace)"
        " SELECT %s, %s, %s, m.id, n.path FROM memories m"
        " JOIN namespaces n ON n.id = m.namespace_id WHERE m.number = ANY(%s::bigint[])",
        [micros(at), actor, action, numbers],
    )
