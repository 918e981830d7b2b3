"""The canonical store on PostgreSQL: a pool of connections, a transaction on each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress

from psycopg import AsyncConnection, ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from adapters.postgres.bodies import Bodies
from adapters.postgres.checks import find_inconsistencies
from adapters.postgres.failures import translated
from adapters.postgres.migrate import migrate
from adapters.postgres.records import PostgresSettings
from adapters.postgres.session import Connection, Session
from adapters.postgres.transaction import PostgresTransaction
from domain.errors import ConfigurationError, StoreUnavailable
from domain.memory import MemoryId
from domain.ports import Answer, Cache, Finding, Transaction

_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
#: Each statement sees what was committed before it: after a wait for a counter, the newest state.
_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_CONNECT_TIMEOUT_SECONDS = 5
_GRACE_SECONDS = 5.0
_CHECK_TIMEOUT_SECONDS = 3600.0


class PostgresStore:
    """Implements `domain.ports.CanonicalStore`; construct, `open`, use, `close`.

    Any number of processes share one database. To begin is tried again when a connection turns
    out to be broken. A change that PostgreSQL gives up in favour of another raises
    `ChangeCollided`, one whose connection breaks `StoreUnavailable`: only who made it can make it
    again, and only the first of the two knows that nothing was committed.
    """

    def __init__(
        self,
        url: str,
        *,
        connections_max: int = 10,
        statement_timeout_seconds: float = 30.0,
        waiting_timeout_seconds: float = 10.0,
        bodies: Cache | None = None,
    ) -> None:
        self._url = url
        self._connections_max = connections_max
        self._statement_timeout_seconds = statement_timeout_seconds
        self._waiting_timeout_seconds = waiting_timeout_seconds
        self._bodies = None if bodies is None else Bodies(bodies)
        self._pool: AsyncConnectionPool[Connection] | None = None

    async def open(self) -> None:
        """Connect and migrate.

        Raises `StoreUnavailable`, `DataDirectoryNewer` or `DataDirectoryError`; then nothing in
        the database was changed.
        """
        self._check_url()
        await self._migrate()
        pool = AsyncConnectionPool(
            self._url,
            connection_class=AsyncConnection[tuple[object, ...]],
            kwargs={
                "autocommit": True,
                "row_factory": tuple_row,
                "connect_timeout": _CONNECT_TIMEOUT_SECONDS,
                "application_name": "soma",
            },
            min_size=1,
            max_size=self._connections_max,
            timeout=self._waiting_timeout_seconds,
            configure=self._configure,
            open=False,
        )
        try:
            with translated():
                await pool.open(wait=True, timeout=self._waiting_timeout_seconds)
        except BaseException:
            await pool.close()
            raise
        self._pool = pool

    def _check_url(self) -> None:
        """Raise `ConfigurationError` for a URL that no server could make right."""
        try:
            parts = conninfo_to_dict(self._url)
            [int(port) for port in str(parts.get("port") or 0).split(",")]
        except (ProgrammingError, ValueError) as error:
            # Without what it says: it may quote the password.
            raise ConfigurationError("postgres_url: is not a URL of PostgreSQL's form") from error

    async def close(self) -> None:
        """Let every connection go; transactions still open are undone by the server."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """Open a snapshot."""
        async with self._session(_READ, writing=False) as session:
            yield PostgresTransaction(session, self._bodies)
        if self._bodies is not None and session.bodies_read:
            await self._keep(self._bodies, session.bodies_read)

    async def glance(self, ask: Callable[[Transaction], Awaitable[Answer]], /) -> Answer:
        """Ask one thing in one round trip: a single statement is a snapshot of its own.

        A cache of bodies may need a second statement, so there it is a transaction. What is asked
        in passing has to be answered within the time that callers wait for a connection.
        """
        if self._bodies is not None:
            async with self.reading() as transaction:
                return await ask(transaction)
        pool = self._opened()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._waiting_timeout_seconds
        while True:
            with translated():
                connection = await pool.getconn(timeout=max(0.1, deadline - loop.time()))
            patience = self._waiting_timeout_seconds
            session = Session(connection, writing=False, silence_seconds=patience)
            try:
                return await ask(PostgresTransaction(session))
            except StoreUnavailable:
                # It may have died while nobody looked: then another one, or a new one, answers.
                if not connection.closed or loop.time() >= deadline:
                    raise
            finally:
                await session.roll_back()
                await pool.putconn(connection)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        """Open a change: committed and on the disk when the block ends, absent when it raises."""
        async with self._session(_WRITE, writing=True) as session:
            yield PostgresTransaction(session)
            await session.commit()
        if session.erased:
            with suppress(StoreUnavailable):
                await self.drop_bodies(session.erased)

    async def drop_bodies(self, erased: Mapping[MemoryId, int]) -> bool:
        """Remove cached bodies of erased memories, given their last versions.

        Done after every erasure; to be done again on the event, in case the process had died.
        False when the cache could not be asked. Raises `StoreUnavailable`.
        """
        if self._bodies is None:
            return True
        async with self._session(_READ, writing=False) as session:
            epoch = await PostgresSettings(session).get("epoch")
        return await self._bodies.drop(epoch or "", erased)

    async def schema_version(self) -> int:
        """Return the number of the last migration that was applied."""
        async with self._session(_READ, writing=False) as session:
            row = await session.row("SELECT max(version) FROM soma_schema")
        assert row is not None
        return int(str(row[0]))

    async def ping(self) -> None:
        """Raise `StoreUnavailable` when the database cannot be read."""
        await self.glance(lambda tx: tx.settings.get("epoch"))

    async def check(self) -> list[Finding]:
        """Compare everything derived with the canonical rows."""
        async with self._session(_READ, writing=False, patience=_CHECK_TIMEOUT_SECONDS) as session:
            await session.run("SET LOCAL statement_timeout = 0")
            return await find_inconsistencies(session)

    @asynccontextmanager
    async def _session(
        self, begin: str, *, writing: bool, patience: float | None = None
    ) -> AsyncIterator[Session]:
        pool = self._opened()
        connection, session = await self._begun(pool, begin, writing, patience)
        try:
            try:
                yield session
            finally:
                await session.roll_back()
        finally:
            await pool.putconn(connection)

    async def _begun(
        self,
        pool: AsyncConnectionPool[Connection],
        begin: str,
        writing: bool,
        patience: float | None,
    ) -> tuple[Connection, Session]:
        """Begin on a connection that lives; those that died while nobody looked are replaced.

        Nothing was sent on them yet, so trying again is safe, for as long as callers wait at all.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._waiting_timeout_seconds
        silence = patience or self._silence_seconds
        while True:
            left = max(0.1, deadline - loop.time())
            with translated():
                connection = await pool.getconn(timeout=left)
            session = Session(connection, writing=writing, silence_seconds=silence)
            try:
                await session.begin(begin, within_seconds=left)
            except BaseException as error:
                await connection.close()
                await pool.putconn(connection)
                if isinstance(error, StoreUnavailable) and loop.time() < deadline:
                    continue
                raise
            return connection, session

    async def _migrate(self) -> None:
        with translated():
            connection = await AsyncConnection.connect(
                self._url,
                autocommit=True,
                connect_timeout=_CONNECT_TIMEOUT_SECONDS,
                application_name="soma migrate",
            )
            async with connection:
                await migrate(connection)

    async def _configure(self, connection: Connection) -> None:
        """Bound what a statement may take; plan each for its own parameters.

        Plans made for any parameters would scan a namespace where an index fits.
        """
        timeout = str(int(self._statement_timeout_seconds * 1000))
        await connection.execute(
            "SELECT set_config('statement_timeout', %s, false),"
            " set_config('plan_cache_mode', 'force_custom_plan', false),"
            " set_config('jit', 'off', false)",
            [timeout],
        )

    async def _keep(self, bodies: Bodies, read: Mapping[str, tuple[str, bytes]]) -> None:
        """Put bodies into the cache, and take back those of memories erased meanwhile."""
        ids = {id for id, _ in read.values()}
        erased = ids
        try:
            await bodies.keep(read)
            async with self._session(_READ, writing=False) as session:
                rows = await session.rows(
                    "SELECT id FROM memories WHERE id = ANY(%s::text[]) AND erased_at IS NOT NULL",
                    [list(ids)],
                )
            erased = {id for (id,) in rows}
        except StoreUnavailable:
            # What was asked for has been answered; nothing unchecked stays in the cache.
            pass
        finally:
            if erased:
                await bodies.take_back([key for key, (id, _) in read.items() if id in erased])

    @property
    def _silence_seconds(self) -> float:
        return self._statement_timeout_seconds + _GRACE_SECONDS

    def _opened(self) -> AsyncConnectionPool[Connection]:
        if self._pool is None:
            raise StoreUnavailable("the store is not open")
        return self._pool
