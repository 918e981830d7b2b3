"""Earlier versions of memories, written directly only by import."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.postgres.rows import body_of, micros, optional_micros, values_of
from adapters.postgres.session import Session
from domain.memory import MemoryVersion

VERSION_COLUMNS = ("memory", "version", "recorded_at", "recorded_by", "forgotten_at", "body")


class PostgresVersions:
    """Implements `domain.ports.Versions`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, versions: Sequence[MemoryVersion], /) -> None:
        """Insert history entries; their memories must exist."""
        numbers: dict[str, int] = dict(
            await self._session.rows(
                "SELECT id, number FROM memories WHERE id = ANY(%s::text[])",
                [list({version.memory.id for version in versions})],
            )
        )
        await self._session.insert(
            "memory_versions",
            VERSION_COLUMNS,
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
