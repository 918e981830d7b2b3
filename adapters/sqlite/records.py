"""Small records beside the memories: used idempotency keys, and facts about the store."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime, timedelta

from adapters.sqlite.rows import micros, to_json
from adapters.sqlite.session import Session
from domain.memory import MemoryId
from domain.ports import IdempotencyRecord

#: Longer than the event log keeps what it may hand in twice.
_KEY_LIFE = timedelta(days=8)


class SqliteIdempotencyKeys:
    """Implements `domain.ports.IdempotencyKeys`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def find(self, owner: str, key: str, /) -> IdempotencyRecord | None:
        """Return what the key stood for."""
        return await self._session.run(_find_key, owner, key)

    async def add(
        self, owner: str, key: str, record: IdempotencyRecord, /, *, at: datetime
    ) -> None:
        """Remember a key, and drop those that are older than eight days."""
        await self._session.run(_add_key, owner, key, record, at)


class SqliteSettings:
    """Implements `domain.ports.Settings`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, name: str, /) -> str | None:
        """Return one fact."""
        return await self._session.run(setting, name)

    async def set(self, name: str, value: str, /) -> None:
        """Replace one fact."""
        await self._session.run(_set_setting, name, value)


def _find_key(connection: sqlite3.Connection, owner: str, key: str) -> IdempotencyRecord | None:
    row = connection.execute(
        "SELECT request_hash, memory_ids, versions FROM idempotency_keys"
        " WHERE owner = ? AND key = ?",
        [owner, key],
    ).fetchone()
    if row is None:
        return None
    request_hash, memory_ids, versions = row
    return IdempotencyRecord(
        request_hash,
        tuple(MemoryId(id) for id in json.loads(memory_ids)),
        tuple(json.loads(versions)),
    )


def _add_key(
    connection: sqlite3.Connection, owner: str, key: str, record: IdempotencyRecord, at: datetime
) -> None:
    connection.execute("DELETE FROM idempotency_keys WHERE at < ?", [micros(at - _KEY_LIFE)])
    connection.execute(
        "INSERT INTO idempotency_keys (owner, key, at, request_hash, memory_ids, versions)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [
            owner,
            key,
            micros(at),
            record.request_hash,
            to_json(record.memory_ids),
            to_json(record.versions),
        ],
    )


def setting(connection: sqlite3.Connection, name: str) -> str | None:
    """Return one fact about the store."""
    row = connection.execute("SELECT value FROM settings WHERE name = ?", [name]).fetchone()
    return None if row is None else str(row[0])


def _set_setting(connection: sqlite3.Connection, name: str, value: str) -> None:
    connection.execute(
        "INSERT INTO settings (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        [name, value],
    )
