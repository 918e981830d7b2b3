"""Small records beside the memories: used idempotency keys, and facts about the store."""

from __future__ import annotations

from datetime import datetime, timedelta

from adapters.postgres.rows import micros
from adapters.postgres.session import Session
from domain.memory import MemoryId
from domain.ports import IdempotencyRecord

#: Longer than the event log keeps what it may hand in twice.
_KEY_LIFE = timedelta(days=8)


class PostgresIdempotencyKeys:
    """Implements `domain.ports.IdempotencyKeys`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def find(self, owner: str, key: str, /) -> IdempotencyRecord | None:
        """Return what the key stood for.

        A change first waits for another one with the same key: then it sees what that one did.
        """
        if self._session.writing:
            await self._session.run(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, hashtextextended(%s, 0)))",
                [key, owner],
            )
        row = await self._session.row(
            "SELECT request_hash, memory_ids, versions FROM idempotency_keys"
            " WHERE owner = %s AND key = %s",
            [owner, key],
        )
        if row is None:
            return None
        request_hash, memory_ids, versions = row
        return IdempotencyRecord(request_hash, tuple(map(MemoryId, memory_ids)), tuple(versions))

    async def add(
        self, owner: str, key: str, record: IdempotencyRecord, /, *, at: datetime
    ) -> None:
        """Remember a key, and drop those that are older than eight days and in nobody's hands."""
        await self._session.run(
            "DELETE FROM idempotency_keys WHERE (owner, key) IN (SELECT owner, key"
            " FROM idempotency_keys WHERE at < %s FOR UPDATE SKIP LOCKED)",
            [micros(at - _KEY_LIFE)],
        )
        await self._session.run(
            "INSERT INTO idempotency_keys (owner, key, at, request_hash, memory_ids, versions)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [
                owner,
                key,
                micros(at),
                record.request_hash,
                list(record.memory_ids),
                list(record.versions),
            ],
        )


class PostgresSettings:
    """Implements `domain.ports.Settings`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, name: str, /) -> str | None:
        """Return one fact."""
        row = await self._session.row("SELECT value FROM settings WHERE name = %s", [name])
        return None if row is None else str(row[0])

    async def set(self, name: str, value: str, /) -> None:
        """Replace one fact."""
        await self._session.run(
            "INSERT INTO settings (name, value) VALUES (%s, %s)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            [name, value],
        )
