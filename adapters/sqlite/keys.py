"""API keys as rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from adapters.sqlite.rows import micros, moment_of, optional_micros, optional_moment
from adapters.sqlite.session import Session
from domain.access import ApiKey, Permission
from domain.namespace import Namespace
from domain.ports import StoredKey

_COLUMNS = (
    "id, digest, name, permission, namespace, created_at, created_by,"
    " expires_at, revoked_at, last_used_at"
)


class SqliteApiKeys:
    """Implements `domain.ports.ApiKeys`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, stored: StoredKey, /) -> None:
        """Insert a key."""
        await self._session.run(_add, stored)

    async def find(self, id: str, /) -> StoredKey | None:
        """Return a key, whether or not it still works."""
        return await self._session.run(_find, id)

    async def exist(self) -> bool:
        """Tell whether there ever was a key."""
        return await self._session.run(_exist)

    async def page(
        self, within: Namespace | None, /, *, limit: int, after: str | None = None
    ) -> list[ApiKey]:
        """Return one page in id order."""
        return await self._session.run(_page, within, limit, after)

    async def revoke(self, id: str, /, *, at: datetime, actor: str) -> None:
        """End a key for good."""
        await self._session.run(_revoke, id, at, actor)

    async def used(self, at: Mapping[str, datetime], /) -> None:
        """Note when keys were last used."""
        await self._session.run(_used, at)


def _add(connection: sqlite3.Connection, stored: StoredKey) -> None:
    key = stored.key
    connection.execute(
        f"INSERT INTO api_keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        [
            key.id,
            stored.digest,
            key.name,
            key.permission.value,
            key.namespace,
            micros(key.created_at),
            key.created_by,
            optional_micros(key.expires_at),
            optional_micros(key.revoked_at),
            optional_micros(key.last_used_at),
        ],
    )
    _audit(connection, "create_key", key.id, key.created_at, key.created_by)


def _find(connection: sqlite3.Connection, id: str) -> StoredKey | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM api_keys WHERE id = ?",  # noqa: S608
        [id],
    ).fetchone()
    return None if row is None else StoredKey(_key_of(row), row[1])


def _exist(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM api_keys LIMIT 1").fetchone() is not None


def _page(
    connection: sqlite3.Connection, within: Namespace | None, limit: int, after: str | None
) -> list[ApiKey]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM api_keys WHERE id > ?1"  # noqa: S608
        " AND (?2 IS NULL OR namespace = ?2 OR substr(namespace, 1, length(?2) + 1) = ?2 || '/')"
        " ORDER BY id LIMIT ?3",
        (after or "", within, limit),
    ).fetchall()
    return [_key_of(row) for row in rows]


def _revoke(connection: sqlite3.Connection, id: str, at: datetime, actor: str) -> None:
    changed = connection.execute(
        "UPDATE api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", [micros(at), id]
    ).rowcount
    if changed:
        _audit(connection, "revoke_key", id, at, actor)


def _used(connection: sqlite3.Connection, at: Mapping[str, datetime]) -> None:
    connection.executemany(
        "UPDATE api_keys SET last_used_at = max(coalesce(last_used_at, ?1), ?1) WHERE id = ?2",
        [(micros(moment), id) for id, moment in at.items()],
    )


def _audit(
    connection: sqlite3.Connection, action: str, key_id: str, at: datetime, actor: str
) -> None:
    connection.execute(
        "INSERT INTO audit_log (at, actor, action, memory_id, namespace, key_id)"
        " SELECT ?, ?, ?, '', coalesce(namespace, ''), id FROM api_keys WHERE id = ?",
        [micros(at), actor, action, key_id],
    )


def _key_of(row: tuple[Any, ...]) -> ApiKey:
    id, _, name, permission, namespace, created_at, created_by, expires, revoked, used = row
    return ApiKey(
        id=id,
        name=name,
        permission=Permission(permission),
        namespace=namespace,
        created_at=moment_of(created_at),
        created_by=created_by,
        expires_at=optional_moment(expires),
        revoked_at=optional_moment(revoked),
        last_used_at=optional_moment(used),
    )
