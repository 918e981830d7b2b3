"""The canonical store: one writer, a few readers, one file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from adapters.sqlite.checks import find_damage_in_index, find_inconsistencies
from adapters.sqlite.connection import open_glancer, open_reader
from adapters.sqlite.erasure import wipe
from adapters.sqlite.lexicon import forget_deleted_terms
from adapters.sqlite.migrate import open_writer, schema_version
from adapters.sqlite.session import Channel, Glance, Session
from adapters.sqlite.transaction import SqliteTransaction
from domain.errors import DataDirectoryError, StoreUnavailable
from domain.ports import Answer, Finding, Transaction

READERS = 3
_CLOSING_TIMEOUT_SECONDS = 10.0


class SqliteStore:
    """Implements `domain.ports.CanonicalStore`; construct, `open`, use, `close`.

    Writers queue for one connection; readers share a few, each with a snapshot of its own that
    begins with its first read. One process at a time may own the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Channel | None = None
        self._readers: list[Channel] = []
        self._idle: asyncio.LifoQueue[Channel] = asyncio.LifoQueue()
        #: For what takes less time than a hop to a thread; used by the event loop's thread alone.
        self._here: sqlite3.Connection | None = None
        self._one_writer = asyncio.Lock()
        self._residue = False

    async def open(self) -> None:
        """Open or create the file and migrate it.

        Raises `DataDirectoryNewer`, `DataDirectoryCorrupt` or `DataDirectoryError`; then nothing
        in the file was changed.
        """
        channels = [Channel(self._path, open_writer)]
        channels += [Channel(self._path, open_reader) for _ in range(READERS)]
        try:
            for channel in channels:
                await channel.open()
            self._here = await asyncio.to_thread(open_glancer, self._path)
        except StoreUnavailable as error:
            await _close(channels)
            raise DataDirectoryError(str(error)) from error
        except BaseException:
            await _close(channels)
            raise
        self._writer, *self._readers = channels
        self._idle = asyncio.LifoQueue()
        for channel in self._readers:
            self._idle.put_nowait(channel)

    async def close(self) -> None:
        """Wait for the writer and the readers, fold the log into the file, and let go of it."""
        async with self._one_writer:
            writer, self._writer = self._writer, None
            readers, self._readers = self._readers, []
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSING_TIMEOUT_SECONDS):
                    for _ in readers:
                        await self._idle.get()
            await _close(readers)
            if self._here is not None:
                self._here.close()
                self._here = None
            if writer is not None:
                await writer.close(last_words=_wipe_for_good)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """Open a snapshot."""
        self._opened()
        channel = await self._idle.get()
        session = Session(channel, "BEGIN")
        try:
            yield SqliteTransaction(session)
        finally:
            try:
                await session.roll_back()
            finally:
                self._idle.put_nowait(channel)

    async def glance(self, ask: Callable[[Transaction], Awaitable[Answer]], /) -> Answer:
        """Ask one thing, in one hop to a reader's thread or in none."""
        self._opened()
        assert self._here is not None
        return await ask(SqliteTransaction(Glance(self._idle, self._here)))

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        """Open a change: committed and on the disk when the block ends, absent when it raises."""
        async with self._one_writer:
            session = Session(self._opened(), "BEGIN IMMEDIATE")
            try:
                yield SqliteTransaction(session)
                if session.erased:
                    await session.run(forget_deleted_terms)
                await session.commit(_commit)
            except BaseException:
                await session.roll_back()
                raise
            if session.erased or self._residue:
                await self._wipe()

    async def schema_version(self) -> int:
        """Return the number of the last migration that was applied."""
        return await self._opened().run(schema_version)

    async def ping(self) -> None:
        """Raise `StoreUnavailable` when the database cannot be read."""
        await self.glance(lambda tx: tx.settings.get("epoch"))

    async def check(self) -> list[Finding]:
        """Compare everything derived with the canonical rows, and the file with itself."""
        self._opened()
        channel = await self._idle.get()
        session = Session(channel, "BEGIN")
        try:
            findings = await session.run(find_inconsistencies)
        finally:
            try:
                await session.roll_back()
            finally:
                self._idle.put_nowait(channel)
        async with self._one_writer:
            return findings + await self._opened().run(find_damage_in_index)

    def _opened(self) -> Channel:
        if self._writer is None:
            raise StoreUnavailable(f"the store {self._path} is not open")
        return self._writer

    async def _wipe(self) -> None:
        """Overwrite what the files still hold of erased content.

        A reader with an older snapshot keeps the log alive: then the next change tries again.
        """
        self._residue = True
        with suppress(StoreUnavailable):
            self._residue = not await self._opened().run(wipe, closing=False)


async def _close(channels: list[Channel]) -> None:
    for channel in channels:
        await channel.close()


def _commit(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("COMMIT")


def _wipe_for_good(connection: sqlite3.Connection) -> None:
    wipe(connection, closing=True)
