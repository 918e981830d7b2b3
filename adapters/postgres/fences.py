"""Fencing tokens: the latest holder of a lock ends what earlier ones may do."""

from __future__ import annotations

from adapters.postgres.session import Session
from domain.errors import LockLost


class PostgresFences:
    """Implements `domain.ports.Fences`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def take(self, name: str, /) -> int:
        """Return a number higher than all before; waits for changes that checked theirs."""
        row = await self._session.row(
            "INSERT INTO fences AS f (name, token) VALUES (%s, 1)"
            " ON CONFLICT (name) DO UPDATE SET token = f.token + 1 RETURNING token",
            [name],
        )
        assert row is not None
        return int(row[0])

    async def check(self, name: str, token: int, /) -> None:
        """Raise `LockLost` unless `token` is the latest; nobody takes another until the end."""
        row = await self._session.row("SELECT token FROM fences WHERE name = %s FOR SHARE", [name])
        if row is None or row[0] != token:
            raise LockLost(name)
