"""Copies of the whole file, and a copy put in its place.

`VACUUM INTO` copies one moment of the database while others write. Unlike a copy of its pages it
leaves behind what SQLite keeps of deleted rows in unused parts of pages.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

from adapters.sqlite.connection import connect
from adapters.sqlite.failures import translated, writing
from adapters.sqlite.migrate import APPLICATION_ID, open_writer
from adapters.sqlite.rows import micros
from domain.backup import StoreFacts
from domain.errors import BackupDamaged, DataDirectoryCorrupt, DataDirectoryError, StoreUnavailable
from domain.memory import MemoryId

ENGINE = "sqlite"
FILE = "soma.db"
COUNTED = (
    "namespaces", "memories", "memory_versions", "links", "events", "embeddings",
    "idempotency_keys", "audit_log",
)  # fmt: skip
_LOOK_SECONDS = 0.2
_PAGE = 1000


class SqliteSnapshots:
    """Implements `domain.ports.Snapshots` for one database file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def write(
        self, folder: Path, /, *, report: Callable[[int, int | None], Awaitable[None]]
    ) -> StoreFacts:
        """Write one moment of the database as a file of its own."""
        with translated(self._path):
            connection = await asyncio.to_thread(connect, self._path)
            with closing(connection):
                await self._copy(connection, folder / FILE, report)
        with translated(folder / FILE), writing(folder / FILE):
            return await asyncio.to_thread(_facts, folder / FILE)

    async def holds_anything(self) -> bool:
        """Tell whether there are namespaces; a file that cannot be read counts as full."""
        return await asyncio.to_thread(_holds_anything, self._path)

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
        """Prepare a copy beside the database, and let it take its place in one step."""
        if facts.engine != ENGINE:
            raise BackupDamaged(f"{folder} was made of {facts.engine}, this store is {ENGINE}")
        copy = self._path.with_name(f"{self._path.name}.restoring")
        try:
            await asyncio.to_thread(_prepare, folder / FILE, copy, epoch, at)
            await asyncio.to_thread(_owe_erasures_of, self._path, copy)
            async for ids in erased:
                await asyncio.to_thread(_owe, copy, ids)
            await asyncio.to_thread(_take_place, copy, self._path)
        except DataDirectoryCorrupt as error:
            raise BackupDamaged(f"{folder / FILE} cannot be read ({error})") from error
        except OSError as error:
            raise DataDirectoryError(
                f"cannot write {self._path.parent}: {error.strerror}"
            ) from error
        finally:
            await asyncio.to_thread(_remove, copy)

    async def _copy(
        self,
        connection: sqlite3.Connection,
        target: Path,
        report: Callable[[int, int | None], Awaitable[None]],
    ) -> None:
        # SQLite fills an empty file that is there: with the rights that it has.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        total = await asyncio.to_thread(_bytes_in_use, connection)
        work = asyncio.create_task(
            asyncio.to_thread(connection.execute, "VACUUM INTO ?", [str(target)])
        )
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=_LOOK_SECONDS)
                await report(min(await asyncio.to_thread(_bytes_of, target), total), total)
            with writing(target):
                await work
        finally:
            # The thread uses the connection until it ends: a cancelled copy is stopped first.
            while not work.done():
                connection.interrupt()
                await asyncio.wait({work}, timeout=_LOOK_SECONDS)
            # Why it ended is known: else it would be told as an error that nobody heard.
            if not work.cancelled():
                work.exception()


def _bytes_of(file: Path) -> int:
    return file.stat().st_size


def _bytes_in_use(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return (int(pages) - int(free)) * int(size)


def _facts(file: Path) -> StoreFacts:
    with closing(connect(file)) as connection:
        counts = {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
            for table in COUNTED
        }
        (epoch,) = connection.execute("SELECT value FROM settings WHERE name = 'epoch'").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        heads = hashlib.sha256()
        for path, head in connection.execute("SELECT path, head FROM namespaces ORDER BY path"):
            heads.update(f"{path} {head}\n".encode())
    return StoreFacts(
        engine=ENGINE,
        schema_version=version,
        epoch=epoch,
        counts=counts,
        heads=heads.hexdigest(),
        columns={},
    )


def _holds_anything(path: Path) -> bool:
    if not path.exists() or not path.stat().st_size:
        return False
    try:
        with closing(connect(path)) as connection:
            (objects,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if not objects:
                return False
            found = connection.execute("SELECT EXISTS (SELECT 1 FROM namespaces)").fetchone()
            return bool(found[0])
    except sqlite3.Error:
        return True


def _prepare(source: Path, copy: Path, epoch: str, at: datetime) -> None:
    """Copy a snapshot, bring it up to date, and give it an epoch of its own."""
    _remove(copy)
    shutil.copyfile(source, copy)
    copy.chmod(0o600)
    with translated(source):
        with closing(connect(copy)) as connection:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            if application != APPLICATION_ID:
                raise BackupDamaged(f"{source} is not a database of Soma")
        with closing(open_writer(copy)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE settings SET value = ? WHERE name = 'epoch'", [epoch])
            connection.execute("DELETE FROM settings WHERE name LIKE 'lock:%'")
            connection.execute("UPDATE embedding_tasks SET lease_until = NULL")
            connection.execute(
                "UPDATE jobs SET state = 'failed', finished_at = ?,"
                " error = 'it ran when the backup was made' WHERE finished_at IS NULL",
                [micros(at)],
            )
            connection.execute("COMMIT")


def _owe_erasures_of(replaced: Path, copy: Path) -> None:
    """Let the copy owe what was erased in the database that it replaces.

    Where that cannot be read the ledger has to do: it may be damaged, and that the reason.
    """
    if not replaced.exists():
        return
    try:
        with closing(connect(replaced)) as old:
            rows = old.execute("SELECT id FROM memories WHERE erased_at IS NOT NULL")
            while page := rows.fetchmany(_PAGE):
                _owe(copy, [MemoryId(id) for (id,) in page])
    except sqlite3.Error:
        return


def _owe(copy: Path, ids: Sequence[MemoryId]) -> None:
    with translated(copy), closing(open_writer(copy)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT OR IGNORE INTO erasures_due"
            " SELECT id FROM memories WHERE id = ? AND erased_at IS NULL",
            [(id,) for id in ids],
        )
        connection.execute("COMMIT")


def _take_place(copy: Path, path: Path) -> None:
    """Replace the database. What is killed in between leaves the old one or the new one, whole."""
    with translated(copy), closing(connect(copy)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
    with suppress(sqlite3.Error):
        # Its log would be taken for that of the new one: fold it in, and let it go.
        with closing(connect(path)) as old:
            (busy, _, _) = old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreUnavailable(f"{path} is in use")
    for log in _logs(path):
        log.unlink(missing_ok=True)
    _flush(copy)
    copy.replace(path)
    _flush(path.parent)


def _remove(copy: Path) -> None:
    for file in (copy, *_logs(copy), copy.with_name(f"{copy.name}-journal")):
        file.unlink(missing_ok=True)


def _logs(path: Path) -> tuple[Path, Path]:
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
