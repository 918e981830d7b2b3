"""What the systems on PostgreSQL share: a database of their own on the given server."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict


async def made_database(server: str, name: str, parameters: Mapping[str, str] | None = None) -> str:
    """Return the URL of a database, made if it is missing; `parameters` hold in its sessions."""
    async with await psycopg.AsyncConnection.connect(server, autocommit=True) as connection:
        found = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if await found.fetchone() is None:
            create = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'")
            await connection.execute(create.format(sql.Identifier(name)))
        for parameter, value in (parameters or {}).items():
            await connection.execute(
                sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                    sql.Identifier(name), sql.Identifier(parameter), sql.Literal(value)
                )
            )
    parts = {**conninfo_to_dict(server), "dbname": name}
    return f"postgresql:///?{urlencode(parts)}"


async def analysed(url: str) -> None:
    """Let the planner know the tables."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("VACUUM ANALYZE")


def database_bytes(url: str) -> int:
    """Return what the database occupies."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])
