"""What the systems on PostgreSQL share: a database of their own on the given server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict


async def made_database(
    server: str, name: str, folder: Path, parameters: Mapping[str, str] | None = None
) -> str:
    """Return the URL of this system's database, whose `parameters` hold in every session.

    One that an earlier run left is made anew: that it is this run's is noted in the folder.
    """
    database = f"soma_benchmark_{name}"
    note = folder / "database"
    if not note.exists():
        async with await psycopg.AsyncConnection.connect(server, autocommit=True) as connection:
            named = sql.Identifier(database)
            await connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(named))
            create = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'")
            await connection.execute(create.format(named))
            for parameter, value in (parameters or {}).items():
                change = sql.SQL("ALTER DATABASE {} SET {} = {}")
                chosen = (named, sql.SQL(".").join(map(sql.Identifier, parameter.split("."))))
                await connection.execute(change.format(*chosen, sql.Literal(value)))
        note.touch()
    parts = {**conninfo_to_dict(server), "dbname": database}
    return f"postgresql:///?{urlencode(parts)}"


async def analysed(url: str) -> None:
    """Let the planner know the tables."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("VACUUM ANALYZE")


async def dropped_index(url: str, name: str) -> None:
    """Drop an index, if it is there."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(name)))


def database_bytes(url: str) -> int:
    """Return what the database occupies."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])
