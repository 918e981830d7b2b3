"""API keys as rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from adapters.postgres.rows import micros, moment_of, optional_micros, optional_moment
from adapters.postgres.session import Row, Session
from domain.access import ApiKey, Permission
from domain.namespace import Namespace
from domain.ports import StoredKey

_COLUMNS = (
    "id, digest, name, permission, namespace, created_at, created_by,"
    " expires_at, revoked_at, last_used_at"
)


class PostgresApiKeys:
    """Implements `domain.ports.ApiKeys`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, stored: StoredKey, /) -> None:
        """Insert a key."""
        key = stored.key
        await self._session.run(
            f"INSERT INTO api_keys ({_COLUMNS})"  # noqa: S608
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
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
        await self._audit("create_key", key.id, key.created_at, key.created_by)

    async def find(self, id: str, /) -> StoredKey | None:
        """Return a key, whether or not it still works."""
        row = await self._session.row(
            f"SELECT {_COLUMNS} FROM api_keys WHERE id = %s",  # noqa: S608
            [id],
        )
        return None if row is None else StoredKey(_key_of(row), row[1])

    async def exist(self) -> bool:
        """Tell whether there ever was a key."""
        return await self._session.row("SELECT 1 FROM api_keys LIMIT 1") is not None

    async def page(
        self, within: Namespace | None, /, *, limit: int, after: str | None = None
    ) -> list[ApiKey]:
        """Return one page in id order."""
        rows = await self._session.rows(
            f"SELECT {_COLUMNS} FROM api_keys WHERE id > %s"  # noqa: S608
            " AND (%s::text IS NULL OR namespace = %s OR starts_with(namespace, %s || '/'))"
            " ORDER BY id LIMIT %s",
            [after or "", within, within, within, limit],
        )
        return [_key_of(row) for row in rows]

    async def revoke(self, id: str, /, *, at: datetime, actor: str) -> None:
        """End a key for good."""
        revoked = await self._session.row(
            "UPDATE api_keys SET revoked_at = %s WHERE id = %s AND revoked_at IS NULL RETURNING id",
            [micros(at), id],
        )
        if revoked is not None:
            await self._audit("revoke_key", id, at, actor)

    async def used(self, at: Mapping[str, datetime], /) -> None:
        """Note when keys were last used: in one order, so that two replicas cannot collide."""
        ids = sorted(at)
        await self._session.run(
            "UPDATE api_keys k SET last_used_at = greatest(k.last_used_at, u.at)"
            " FROM (SELECT k.id, u.at FROM unnest(%s::text[], %s::bigint[]) AS u (id, at)"
            " JOIN api_keys k ON k.id = u.id ORDER BY k.id FOR UPDATE OF k) u WHERE k.id = u.id",
            [ids, [micros(at[id]) for id in ids]],
        )

    async def _audit(self, action: str, key_id: str, at: datetime, actor: str) -> None:
        await self._session.run(
            "INSERT INTO audit_log (at, actor, action, memory_id, namespace, key_id)"
            " SELECT %s, %s, %s, '', coalesce(namespace, ''), id FROM api_keys WHERE id = %s",
            [micros(at), actor, action, key_id],
        )


def _key_of(row: Row) -> ApiKey:
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
