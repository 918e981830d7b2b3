"""One connection on a thread of its own, and one transaction on it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from adapters.sqlite.failures import translated
from domain.errors import StoreUnavailable

P = ParamSpec("P")
T = TypeVar("T")


class Channel:
    """A connection that only its own thread uses: calls run one after the other, in order.

    A call whose caller was cancelled still ends before the next begins, so whatever a caller asks
    for after a cancellation (a rollback, above all) finds the connection idle.
    """

    def __init__(self, path: Path, opening: Callable[[Path], sqlite3.Connection]) -> None:
        self._path = path
        self._opening = opening
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="soma-sqlite")

    async def open(self) -> None:
        """Connect."""
        await self._submit(self._open)

    async def close(
        self, *, last_words: Callable[[sqlite3.Connection], None] | None = None
    ) -> None:
        """Disconnect, after `last_words`, and end the thread."""
        try:
            await self._submit(self._close, last_words)
        finally:
            self._thread.shutdown(wait=False)

    async def run(
        self,
        work: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call `work` with the connection on its thread."""
        return await self._submit(self._call, lambda: work(self._connected(), *args, **kwargs))

    def post(self, work: Callable[[sqlite3.Connection], None]) -> asyncio.Future[None]:
        """Queue `work` whether or not anybody waits for it."""
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._thread, self._call, lambda: work(self._connected()))

    async def _submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: function(*args, **kwargs))

    def _call(self, work: Callable[[], T]) -> T:
        with translated(self._path):
            return work()

    def _open(self) -> None:
        with translated(self._path):
            self._connection = self._opening(self._path)

    def _close(self, last_words: Callable[[sqlite3.Connection], None] | None) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with translated(self._path):
            try:
                if last_words is not None:
                    last_words(connection)
            finally:
                connection.close()

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreUnavailable(f"the store {self._path} is not open")
        return self._connection


class Session:
    """A transaction on a channel. It begins with its first call and outlives its block for none."""

    def __init__(self, channel: Channel, begin: str) -> None:
        self._channel = channel
        self._begin = begin
        self._over = False
        #: Content was erased: what the full-text index keeps of deleted rows has to go as well.
        self.erased = False

    async def run(
        self,
        work: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call `work` inside the transaction, in one hop to the thread."""
        if self._over:
            raise RuntimeError("the transaction is over")
        return await self._channel.run(self._inside, lambda c: work(c, *args, **kwargs))

    def at_once(
        self,
        work: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T | None:
        """Return None: all of a transaction happens on its channel."""
        return None

    async def commit(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Finish: `work` commits. A cancellation waits for the outcome, for it cannot be undone."""
        self._over = True
        done = self._channel.post(work)
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError:
            await asyncio.wait([done])
            raise

    async def roll_back(self) -> None:
        """Undo everything; done before anything else happens on the channel, even if cancelled."""
        self._over = True
        await asyncio.shield(self._channel.post(_roll_back))

    def _inside(self, connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._over:
            raise RuntimeError("the transaction is over")
        if not connection.in_transaction:
            connection.execute(self._begin)
        return work(connection)


class Glance(Session):
    """A transaction of one call: it ends in the same hop to a reader's thread."""

    # It has no channel of its own: each call takes one that is idle.
    def __init__(self, idle: asyncio.Queue[Channel], here: sqlite3.Connection) -> None:
        self.erased = False
        self._idle = idle
        self._here = here

    async def run(
        self,
        work: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call `work` with a snapshot of its own."""
        channel = await self._idle.get()
        try:
            return await channel.run(_within_one_call, lambda c: work(c, *args, **kwargs))
        finally:
            # A call whose caller was cancelled ends before the next one on the channel begins.
            self._idle.put_nowait(channel)

    def at_once(
        self,
        work: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T | None:
        """Call `work` in this thread; None where that might have to wait.

        Only for what reads a few small rows: a hop to another thread takes several times as long.
        """
        try:
            return _within_one_call(self._here, lambda c: work(c, *args, **kwargs))
        except sqlite3.Error:
            return None


def _within_one_call(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN")
    try:
        return work(connection)
    finally:
        _roll_back(connection)


def _roll_back(connection: sqlite3.Connection) -> None:
    # Some failures, such as a full disk, have rolled back already.
    if connection.in_transaction:
        connection.execute("ROLLBACK")
