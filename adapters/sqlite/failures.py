"""What SQLite's errors mean to the core: the only place where they are translated."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domain.errors import DataDirectoryCorrupt, SomaError, StoreUnavailable

_PRIMARY_CODE = 0xFF
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNAVAILABLE = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the database cannot be written: it is read-only",
    sqlite3.SQLITE_PERM: "the database cannot be used: permission denied",
    sqlite3.SQLITE_BUSY: "the database is locked by another process",
    sqlite3.SQLITE_LOCKED: "the database is locked",
    sqlite3.SQLITE_IOERR: "the disk does not answer (input/output error)",
    sqlite3.SQLITE_CANTOPEN: "the database file cannot be opened",
    sqlite3.SQLITE_NOMEM: "there is not enough memory for the database",
    sqlite3.SQLITE_INTERRUPT: "the database operation was interrupted",
    sqlite3.SQLITE_NOLFS: "the disk cannot hold a file this large",
}


def soma_error(error: sqlite3.Error, path: Path) -> SomaError | None:
    """Return what happened in the core's words; None for a mistake in this program."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    primary = code & _PRIMARY_CODE
    if primary in _DAMAGED:
        return DataDirectoryCorrupt(f"{path} is damaged or not a database ({error})")
    if primary in _UNAVAILABLE:
        return StoreUnavailable(f"{_UNAVAILABLE[primary]} ({path})")
    return None


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise SQLite's errors as the core's; a violated constraint or bad SQL stays what it is."""
    try:
        yield
    except sqlite3.Error as error:
        translation = soma_error(error, path)
        if translation is None:
            raise
        raise translation from error
