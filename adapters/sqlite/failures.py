"""What SQLite's errors mean to the core: the only place where they are translated."""

from __future__ import annotations

import errno
import os
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

#: What SQLite says of a file that it cannot write, as the system would say it.
_WRITING = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    sqlite3.SQLITE_NOLFS: errno.EFBIG,
    sqlite3.SQLITE_IOERR: errno.EIO,
}
#: What goes wrong with reading; every other error of input and output is one of writing.
_READING = {
    sqlite3.SQLITE_IOERR_READ,
    sqlite3.SQLITE_IOERR_SHORT_READ,
    sqlite3.SQLITE_IOERR_RDLOCK,
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMMAP,
    sqlite3.SQLITE_IOERR_SHMLOCK,
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


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Raise what SQLite says of a file that it writes beside the store as an `OSError`.

    The store is only read meanwhile, so whatever cannot be written is that file. What went wrong
    with reading stays what it is.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0)
        reason = _WRITING.get(code & _PRIMARY_CODE)
        if reason is None or code in _READING:
            raise
        raise OSError(reason, os.strerror(reason), str(target)) from error
