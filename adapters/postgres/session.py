"""One transaction on one connection."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus

from adapters.postgres.counters import Counters
from adapters.postgres.failures import translated
from domain.memory import MemoryId

Row = tuple[Any, ...]
Connection = AsyncConnection[Row]
_PATIENCE_SECONDS = 1.0


class Session:
    """What the repositories run their statements on; it outlives its block for none.

    `silence_seconds` bounds every statement from this side as well: a network that swallows
    everything would otherwise hold the caller for ever.
    """

    def __init__(self, connection: Connection, *, writing: bool, silence_seconds: float) -> None:
        self._connection = connection
        self._silence_seconds = silence_seconds
        self._over = False
        self._behind: asyncio.Task[None] | None = None
        self.writing = writing
        #: Ids and heads of the namespaces whose counters this transaction holds, by path.
        self.locked: dict[str, int] = {}
        self.heads: dict[str, int] = {}
        #: What becomes of these counters; written before anything is asked, and at the commit.
        self.counters = Counters()
        #: Number, namespace id and version of the memories that this transaction has added and
        #: not changed since: nobody else knows them, so they need no lock and no lookup.
        self.added: dict[str, tuple[int, int, int]] = {}
        #: Numbers of memories that were added here and have no terms, or no vectors and tasks, yet:
        #: there is nothing to replace.
        self.without_terms: set[int] = set()
        self.without_vectors: set[int] = set()
        #: Bodies that were not in the cache: (memory id, body) by key.
        self.bodies_read: dict[str, tuple[str, bytes]] = {}
        #: Erased memories with their last version.
        self.erased: dict[MemoryId, int] = {}

    async def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return the rows of a statement."""
        async with self._asking():
            cursor = await self._connection.execute(statement, parameters)
            return await cursor.fetchall()

    async def row(self, statement: str, parameters: Sequence[object] = ()) -> Row | None:
        """Return the first row of a statement."""
        async with self._asking():
            cursor = await self._connection.execute(statement, parameters)
            return await cursor.fetchone()

    async def run(self, statement: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement; return how many rows it changed."""
        async with self._asking():
            return (await self._connection.execute(statement, parameters)).rowcount

    async def write(self, statement: str, parameters: Sequence[object]) -> None:
        """Send a statement that reads no counter; what it fails with, a later call raises."""
        await self._leave_behind(lambda sent: self._executed(statement, parameters, sent))

    async def insert(
        self,
        table: str,
        columns: Sequence[str],
        rows: Iterable[Row],
        *,
        types: Sequence[str] | None = None,
    ) -> None:
        """Insert rows as they are, identity columns too: one plainly, several by COPY.

        Returns when they are sent; what they fail with, a later call raises. With `types`, COPY is
        binary.
        """
        waiting = list(rows)
        names = ", ".join(columns)
        if len(waiting) > 1:
            form = "" if types is None else " (FORMAT BINARY)"
            statement = f"COPY {table} ({names}) FROM STDIN{form}"
            await self._leave_behind(lambda sent: self._copied(statement, waiting, types, sent))
        elif waiting:
            marks = ", ".join(["%s"] * len(columns))
            await self.write(
                f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE VALUES ({marks})",  # noqa: S608
                waiting[0],
            )

    async def begin(self, statement: str, *, within_seconds: float) -> None:
        """Start the transaction."""
        async with self._patience(within_seconds):
            await self._connection.execute(statement)

    async def commit(self) -> None:
        """Finish. A cancellation waits for the outcome, for it cannot be undone."""
        async with self._asking():
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
        await self._give_up_behind()
        if self._connection.closed:
            return
        if self._connection.info.transaction_status is TransactionStatus.IDLE:
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

    async def _leave_behind(
        self, work: Callable[[asyncio.Event], Coroutine[Any, Any, None]]
    ) -> None:
        """Start work that the server goes on with while the caller prepares what comes next.

        Returns when all is sent: from then on nothing here has to run for the server to work.
        """
        if self._over:
            raise RuntimeError("the transaction is over")
        await self._caught_up()
        sent = asyncio.Event()
        self._behind = asyncio.create_task(work(sent))
        await sent.wait()

    async def _executed(
        self, statement: str, parameters: Sequence[object], sent: asyncio.Event
    ) -> None:
        # psycopg sends before it waits, and nobody hears of this before it waits.
        asyncio.get_running_loop().call_soon(sent.set)
        async with self._talking():
            await self._connection.execute(statement, parameters)

    async def _copied(
        self,
        statement: str,
        rows: Iterable[Row],
        types: Sequence[str] | None,
        sent: asyncio.Event,
    ) -> None:
        try:
            async with (
                self._talking(),
                self._connection.cursor() as cursor,
                cursor.copy(statement) as copy,
            ):
                if types is not None:
                    copy.set_types(types)
                for row in rows:
                    await copy.write_row(row)
                # The end of the rows is sent before anybody hears of this, as in `_executed`.
                asyncio.get_running_loop().call_soon(sent.set)
        finally:
            sent.set()

    async def _caught_up(self) -> None:
        """Wait for what was left behind; raise what it failed with."""
        behind, self._behind = self._behind, None
        if behind is not None:
            await behind

    async def _give_up_behind(self) -> None:
        behind, self._behind = self._behind, None
        if behind is None:
            return
        try:
            # Mostly done in a moment: then the connection is as good as new.
            await asyncio.wait([behind], timeout=_PATIENCE_SECONDS)
            behind.cancel()
            await asyncio.wait([behind])
        except asyncio.CancelledError:
            behind.cancel()
            await self._connection.close()
            raise
        if not behind.cancelled():
            # It is given up either way; asyncio complains of failures that nobody looked at.
            behind.exception()

    async def _end(self, statement: str) -> None:
        async with self._patience(self._silence_seconds):
            await self._connection.execute(statement)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """Talk when everything is written that the answer may depend on."""
        await self._caught_up()
        counters = self.counters.taken()
        async with self._talking():
            if counters is not None:
                await self._connection.execute(*counters)
            yield

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
