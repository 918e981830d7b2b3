# ruff: noqa: S608 - statements are put together from the names in our own migrations
"""Copies of all tables of one moment, and such a copy put in their place.

Each table is one file: what `COPY ... TO STDOUT` writes in text form, which every later version
of PostgreSQL reads, compressed by gzip. No program of PostgreSQL's is needed.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from pathlib import Path

from psycopg import AsyncConnection, errors
from psycopg.rows import tuple_row

from adapters.postgres.failures import translated
from adapters.postgres.migrate import (
    LOCK,
    apply_migrations,
    newest_version,
    schema_version,
    tables_of,
)
from adapters.postgres.rows import micros
from adapters.postgres.session import Connection, hang_up
from domain.backup import StoreFacts
from domain.errors import BackupDamaged, DataDirectoryNewer, StoreNotEmpty
from domain.memory import MemoryId

ENGINE = "postgres"
#: Watermarks and numbers of transactions mean nothing in another epoch, or another server.
LEFT_OUT = frozenset({"projections", "projection_horizons", "feed_moves"})
_OWE = (
    "INSERT INTO erasures_due SELECT id FROM memories WHERE id IN ({}) AND erased_at IS NULL"
    " ON CONFLICT DO NOTHING"
)
_SILENCE_SECONDS = 300.0
_BUFFER_BYTES = 256 * 1024
_CONNECT_TIMEOUT_SECONDS = 5


class PostgresSnapshots:
    """Implements `domain.ports.Snapshots` for one database."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def write(
        self, folder: Path, /, *, report: Callable[[int, int | None], Awaitable[None]]
    ) -> StoreFacts:
        """Write one moment of every table."""
        async with self._connected("soma backup") as connection:
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            version = await schema_version(connection)
            tables = [table for table in tables_of(version) if table not in LEFT_OUT]
            total = await _bytes_of(connection, tables)
            columns = {table: await _columns(connection, table) for table in tables}
            written, counts = 0, {}
            for table in tables:
                statement = f"COPY {table} ({', '.join(columns[table])}) TO STDOUT"
                # Closed before the connection is, also when the folder cannot be written.
                async with aclosing(_blocks(connection, statement)) as blocks:
                    with gzip.open(folder / _file(table), "wb", compresslevel=1) as file:
                        async for block in blocks:
                            await asyncio.to_thread(file.write, block)
                            written += len(block)
                            await report(min(written, total), total)
                counts[table] = await _number(connection, f"SELECT count(*) FROM {table}")
            return StoreFacts(
                engine=ENGINE,
                schema_version=version,
                epoch=await _epoch(connection),
                counts=counts,
                heads=await _heads(connection),
                columns=columns,
            )

    async def holds_anything(self) -> bool:
        """Tell whether there are namespaces."""
        async with self._connected("soma restore") as connection:
            if not await _is_there(connection, "namespaces"):
                return False
            return bool(await _number(connection, "SELECT count(*) FROM namespaces"))

    async def put_in_place(
        self,
        folder: Path,
        facts: StoreFacts,
        /,
        *,
        epoch: str,
        at: datetime,
        erased: AsyncIterator[Sequence[MemoryId]],
    ) -> None:
        """Drop the tables and load those of the files, in one transaction."""
        if facts.engine != ENGINE:
            raise BackupDamaged(f"{folder} was made of {facts.engine}, this store is {ENGINE}")
        if facts.schema_version > newest_version():
            raise DataDirectoryNewer(
                f"{folder} has schema version {facts.schema_version}, this program knows up to"
                f" {newest_version()}: use a newer version of Soma"
            )
        async with self._connected("soma restore") as connection:
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
                await _refuse_company(connection)
                await _keep_erasures(connection)
                for table in [*reversed(tables_of(newest_version())), "soma_schema"]:
                    await connection.execute(f"DROP TABLE IF EXISTS {table}")
                await apply_migrations(connection, upto=facts.schema_version)
                await connection.execute("DELETE FROM settings")
                await self._load(connection, folder, facts)
                await apply_migrations(connection)
                await _begin_anew(connection, epoch, at)
                await connection.execute(_OWE.format("SELECT id FROM erased_before"))
                async for ids in erased:
                    await connection.execute(_OWE.format("SELECT unnest(%s::text[])"), [list(ids)])
            await connection.execute("ANALYZE")

    async def _load(self, connection: Connection, folder: Path, facts: StoreFacts) -> None:
        for table in (table for table in tables_of(facts.schema_version) if table in facts.columns):
            columns = ", ".join(facts.columns[table])
            try:
                async with (
                    connection.cursor() as cursor,
                    cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy,
                ):
                    with gzip.open(folder / _file(table), "rb") as file:
                        while block := await asyncio.to_thread(file.read, _BUFFER_BYTES):
                            await copy.write(block)
            except (OSError, EOFError, errors.DataError, errors.IntegrityError) as error:
                raise BackupDamaged(f"{folder / _file(table)} cannot be read ({error})") from error
            for column in await _identities(connection, table):
                await connection.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'),"
                    f" (SELECT coalesce(max({column}), 0) + 1 FROM {table}), false)"
                )
        if "feed_moves" in tables_of(facts.schema_version):
            await connection.execute(
                "INSERT INTO feed_moves (namespace_id, change)"
                " SELECT id, '0' FROM namespaces WHERE head > 0"
            )

    @asynccontextmanager
    async def _connected(self, name: str) -> AsyncIterator[Connection]:
        with translated():
            connection = await AsyncConnection.connect(
                self._url,
                autocommit=True,
                row_factory=tuple_row,
                connect_timeout=_CONNECT_TIMEOUT_SECONDS,
                application_name=name,
            )
            async with connection:
                await connection.execute(
                    "SELECT set_config('statement_timeout', '0', false),"
                    " set_config('idle_in_transaction_session_timeout', '0', false),"
                    " set_config('client_encoding', 'UTF8', false),"
                    " set_config('bytea_output', 'hex', false)"
                )
                yield connection


def _file(table: str) -> str:
    return f"{table}.copy.gz"


async def _blocks(connection: Connection, statement: str) -> AsyncGenerator[bytes, None]:
    """Yield what a COPY sends, in pieces that are worth writing; silence breaks the connection."""
    loop = asyncio.get_running_loop()
    held = bytearray()
    watchdog = loop.call_later(_SILENCE_SECONDS, hang_up, connection)
    try:
        async with connection.cursor() as cursor, cursor.copy(statement) as copy:
            async for piece in copy:
                watchdog.cancel()
                watchdog = loop.call_later(_SILENCE_SECONDS, hang_up, connection)
                held += piece
                if len(held) >= _BUFFER_BYTES:
                    yield bytes(held)
                    held.clear()
    finally:
        watchdog.cancel()
    if held:
        yield bytes(held)


async def _refuse_company(connection: Connection) -> None:
    others = await _number(
        connection,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND application_name LIKE 'soma%%'",
    )
    if others:
        raise StoreNotEmpty(
            f"{others} connections of Soma are open to the database: stop servers and workers first"
        )


async def _keep_erasures(connection: Connection) -> None:
    """Set aside what was erased in the database that is replaced."""
    await connection.execute("CREATE TEMP TABLE erased_before (id text) ON COMMIT DROP")
    if await _is_there(connection, "memories"):
        await connection.execute(
            "INSERT INTO erased_before SELECT id FROM memories WHERE erased_at IS NOT NULL"
        )


async def _begin_anew(connection: Connection, epoch: str, at: datetime) -> None:
    await connection.execute("UPDATE settings SET value = %s WHERE name = 'epoch'", [epoch])
    await connection.execute("DELETE FROM settings WHERE name LIKE 'lock:%%'", [])
    await connection.execute("UPDATE embedding_tasks SET lease_until = NULL")
    await connection.execute(
        "UPDATE jobs SET state = 'failed', finished_at = %s,"
        " error = 'it ran when the backup was made' WHERE finished_at IS NULL",
        [micros(at)],
    )


async def _columns(connection: Connection, table: str) -> list[str]:
    rows = await connection.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema()"
        " AND table_name = %s AND is_generated = 'NEVER' ORDER BY ordinal_position",
        [table],
    )
    return [str(name) for (name,) in await rows.fetchall()]


async def _identities(connection: Connection, table: str) -> list[str]:
    rows = await connection.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema()"
        " AND table_name = %s AND is_identity = 'YES'",
        [table],
    )
    return [str(name) for (name,) in await rows.fetchall()]


async def _is_there(connection: Connection, table: str) -> bool:
    return bool(await _number(connection, f"SELECT (to_regclass('{table}') IS NOT NULL)::int"))


async def _bytes_of(connection: Connection, tables: list[str]) -> int:
    sizes = ", ".join(f"pg_table_size('{table}')" for table in tables)
    return await _number(connection, f"SELECT (SELECT sum(size) FROM unnest(ARRAY[{sizes}]) size)")


async def _epoch(connection: Connection) -> str:
    row = await (
        await connection.execute("SELECT value FROM settings WHERE name = 'epoch'")
    ).fetchone()
    assert row is not None
    return str(row[0])


async def _heads(connection: Connection) -> str:
    digest = hashlib.sha256()
    async for block in _blocks(
        connection, "COPY (SELECT path || ' ' || head FROM namespaces ORDER BY path) TO STDOUT"
    ):
        digest.update(block)
    return digest.hexdigest()


async def _number(connection: Connection, statement: str) -> int:
    row = await (await connection.execute(statement)).fetchone()
    assert row is not None
    return int(row[0])
