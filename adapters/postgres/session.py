"""One transaction on one connection."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus

from adapters.postgres.failures import translated
from domain.memory import MemoryId

Row = tuple[Any, ...]
Connection = AsyncConnection[Row]


class Session:
    """What the repositories run their statements on; it outlives its block for none.

    `silence_seconds` bounds every statement from this side as well: a network that swallows
    everything would otherwise hold the caller for ever.
    """

    def __init__(self, connection: Connection, *, writing: bool, silence_seconds: float) -> None:
        self._connection = connection
        self._silence_seconds = silence_seconds
        self._over = False
        self.writing = writing
        #: Ids of the namespaces whose counters this transaction holds, by path.
        self.locked: dict[str, int] = {}
        #: Number, namespace id and version of the memories that this transaction has added and
        #: not changed since: nobody else knows them, so they need no lock and no lookup.
        self.added: dict[str, tuple[int, int, int]] = {}
        #: Bodies that were not in the cache: (memory id, body) by key.
        self.bodies_read: dict[str, tuple[str, bytes]] = {}
        #: Erased memories with their last version.
        self.erased: dict[MemoryId, int] = {}

    async def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return the rows of a statement."""
        async with self._talking():
            cursor = await self._connection.execute(statement, parameters)
            return await cursor.fetchall()

    async def row(self, statement: str, parameters: Sequence[object] = ()) -> Row | None:
        """Return the first row of a statement."""
        async with self._talking():
            cursor = await self._connection.execute(statement, parameters)
            return await cursor.fetchone()

    async def run(self, statement: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement; return how many rows it changed."""
        async with self._talking():
            return (await self._connection.execute(statement, parameters)).rowcount

    async def insert(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Insert rows as they are, identity columns too: one plainly, several by COPY."""
        waiting = list(rows)
        if len(waiting) > 1:
            await self._copy(table, columns, waiting)
        elif waiting:
            marks = ", ".join(["%s"] * len(columns))
            names = ", ".join(columns)
            await self.run(
                f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE VALUES ({marks})",  # noqa: S608
                waiting[0],
            )

    async def begin(self, statement: str, *, within_seconds: float) -> None:
        """Start the transaction."""
        async with self._patience(within_seconds):
            await self._connection.execute(statement)

    async def commit(self) -> None:
        """Finish. A cancellation waits for the outcome, for it cannot be undone."""
        self._over = True
        done = asyncio.ensure_future(self._end("COMMIT"))
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError:
            await asyncio.wait([done])
            raise

    async def roll_back(self) -> None:
        """Undo everything, even if cancelled; a connection that cannot is closed."""
        self._over = True
        if self._connection.closed:
            return
        if self._connection.info.transaction_status is TransactionStatus.ACTIVE:
            # Cancelled in the middle of a COPY: the server undoes it when the line is cut.
            await self._connection.close()
            return
        done = asyncio.ensure_future(self._end("ROLLBACK"))
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError:
            await asyncio.wait([done])
            raise
        finally:
            if done.done() and not done.cancelled() and done.exception() is not None:
                await self._connection.close()

    async def _copy(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        names = ", ".join(columns)
        async with (
            self._talking(),
            self._connection.cursor() as cursor,
            cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy,
        ):
            for row in rows:
                await copy.write_row(row)

    async def _end(self, statement: str) -> None:
        async with self._patience(self._silence_seconds):
            await self._connection.execute(statement)

    @asynccontextmanager
    async def _talking(self) -> AsyncIterator[None]:
        if self._over:
            raise RuntimeError("the transaction is over")
        async with self._patience(self._silence_seconds):
            yield

    @asynccontextmanager
    async def _patience(self, seconds: float) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        watchdog = loop.call_later(seconds, hang_up, self._connection)
        try:
            with translated():
                yield
        finally:
            watchdog.cancel()


def hang_up(connection: Connection) -> None:
    """Break the connection under whoever waits on it: the wait ends with an error at once."""
    if connection.closed:
        return
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
