"""Bring a database to the schema of this program, or say why that cannot be."""

from __future__ import annotations

import re
from pathlib import Path

from adapters.postgres.failures import translated
from adapters.postgres.session import Connection
from domain.errors import DataDirectoryError, DataDirectoryNewer, StoreUnavailable

_POSTGRES_OLDEST = 140_000
_MIGRATIONS = Path(__file__).with_name("migrations")
_TABLE = re.compile(r"^CREATE TABLE (\w+)", re.MULTILINE)
_FILE_NAME = re.compile(r"(\d{4})_\w+\.sql")
# One number for everybody who migrates: replicas that start together take turns.
LOCK = 0x536F6D61


async def migrate(connection: Connection) -> None:
    """Apply what is missing, each migration in a transaction of its own.

    Raises `DataDirectoryNewer` or `DataDirectoryError` before anything is changed.
    """
    with translated():
        await _recognise(connection)
        await connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        try:
            version = await schema_version(connection)
            newest = newest_version()
            if version > newest:
                raise DataDirectoryNewer(
                    f"the PostgreSQL database has schema version {version}, this program knows"
                    f" up to {newest}: use a newer version of Soma"
                )
            await apply_migrations(connection)
        finally:
            if not connection.closed:
                await connection.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


async def _recognise(connection: Connection) -> None:
    if connection.info.server_version < _POSTGRES_OLDEST:
        raise StoreUnavailable("PostgreSQL is too old, 14 is needed")
    row = await (await connection.execute("SHOW server_encoding")).fetchone()
    assert row is not None
    if row[0] != "UTF8":
        raise DataDirectoryError(f"the PostgreSQL database must be encoded in UTF8, not {row[0]}")


async def apply_migrations(connection: Connection, *, upto: int | None = None) -> None:
    """Apply what is missing, up to a version (None: the newest)."""
    version = await schema_version(connection)
    for number, file in _migrations():
        if number > version and (upto is None or number <= upto):
            await _apply(connection, number, file.read_text("utf-8"))


def newest_version() -> int:
    """Return the version of the schema that this program brings."""
    return _migrations()[-1][0]


def tables_of(version: int) -> list[str]:
    """Return the tables of a version of the schema, each after those that it refers to."""
    return [
        name
        for number, file in _migrations()
        if number <= version
        for name in _TABLE.findall(file.read_text("utf-8"))
    ]


async def schema_version(connection: Connection) -> int:
    """Return the version of the schema that the database has, 0 for none."""
    there = await (
        await connection.execute("SELECT to_regclass('soma_schema') IS NOT NULL")
    ).fetchone()
    assert there is not None
    if not there[0]:
        return 0
    row = await (await connection.execute("SELECT max(version) FROM soma_schema")).fetchone()
    assert row is not None
    return int(row[0] or 0)


async def _apply(connection: Connection, number: int, script: str) -> None:
    async with connection.transaction():
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS soma_schema"
            " (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        await connection.execute(script.encode())
        await connection.execute("INSERT INTO soma_schema (version) VALUES (%s)", [number])


def _migrations() -> list[tuple[int, Path]]:
    numbered = [
        (int(match[1]), file)
        for file in _MIGRATIONS.iterdir()
        if (match := _FILE_NAME.fullmatch(file.name))
    ]
    return sorted(numbered)
