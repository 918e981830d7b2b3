"""Fencing tokens: the latest holder of a lock ends what earlier ones may do."""

from __future__ import annotations

import sqlite3

from adapters.sqlite.session import Session
from domain.errors import LockLost


class SqliteFences:
    """Implements `domain.ports.Fences`. While one writer checks, no other can take."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def take(self, name: str, /) -> int:
        """Return a number higher than all before."""
        return await self._session.run(_take, name)

    async def check(self, name: str, token: int, /) -> None:
        """Raise `LockLost` unless `token` is the latest."""
        if await self._session.run(_latest, name) != token:
            raise LockLost(name)


def _take(connection: sqlite3.Connection, name: str) -> int:
    connection.execute(
        "INSERT INTO fences (name, token) VALUES (?, 1)"
        " ON CONFLICT (name) DO UPDATE SET token = token + 1",
        [name],
    )
    token = _latest(connection, name)
    assert token is not None
    return token


def _latest(connection: sqlite3.Connection, name: str) -> int | None:
    row = connection.execute("SELECT token FROM fences WHERE name = ?", [name]).fetchone()
    return None if row is None else int(row[0])
