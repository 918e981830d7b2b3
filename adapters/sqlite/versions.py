"""Earlier versions of memories, written directly only by import."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from adapters.sqlite.rows import body_of, list_json, micros, optional_micros, values_of
from adapters.sqlite.session import Session
from domain.memory import MemoryVersion


class SqliteVersions:
    """Implements `domain.ports.Versions`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, versions: Sequence[MemoryVersion], /) -> None:
        """Insert history entries; their memories must exist."""
        await self._session.run(_add, versions)


def _add(connection: sqlite3.Connection, versions: Sequence[MemoryVersion]) -> None:
    numbers = dict(
        connection.execute(
            "SELECT m.id, m.number FROM json_each(?) w CROSS JOIN memories m ON m.id = w.value",
            [list_json({version.memory.id for version in versions})],
        )
    )
    connection.executemany(
        "INSERT INTO memory_versions"
        " (memory, version, recorded_at, recorded_by, forgotten_at, body)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [
            (
                numbers[version.memory.id],
                version.version,
                micros(version.recorded_at),
                version.recorded_by,
                optional_micros(version.forgotten_at),
                body_of(values_of(version.memory)),
            )
            for version in versions
        ],
    )
