"""Getting erased bytes out of the files, after they are gone from every table.

`secure_delete` overwrites deleted rows, but SQLite leaves copies of rows in the unused part of
pages that it has split, and every page's past in the write-ahead log. Rewriting the file removes
the former, emptying the log the latter.
"""

from __future__ import annotations

import sqlite3

from adapters.sqlite.connection import BUSY_TIMEOUT_SECONDS

REWRITTEN_AT_ONCE_BYTES_MAX = 32 * 1024 * 1024
"""A larger file is rewritten when the store closes: it takes seconds and blocks writers."""

_READERS_TIMEOUT_SECONDS = 0.25


def note_residue(connection: sqlite3.Connection) -> None:
    """Remember, also over a crash, that the file has to be rewritten."""
    connection.execute("INSERT OR REPLACE INTO settings (name, value) VALUES ('residue', 'yes')")


def wipe(connection: sqlite3.Connection, *, closing: bool) -> bool:
    """Remove what is left of erased content; False while a reader still needs the log."""
    (residue,) = connection.execute(
        "SELECT count(*) FROM settings WHERE name = 'residue'"
    ).fetchone()
    if residue and (closing or _bytes_of(connection) <= REWRITTEN_AT_ONCE_BYTES_MAX):
        _rewrite(connection)
    return _empty_log(connection)


def _rewrite(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("VACUUM")
        connection.execute("DELETE FROM settings WHERE name = 'residue'")
    except sqlite3.OperationalError:
        # No room for a second copy, for example. The note stays, so that it is tried again.
        return


def _empty_log(connection: sqlite3.Connection) -> bool:
    _set_timeout(connection, _READERS_TIMEOUT_SECONDS)
    try:
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        _set_timeout(connection, BUSY_TIMEOUT_SECONDS)
    return not busy


def _bytes_of(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(size)


def _set_timeout(connection: sqlite3.Connection, seconds: float) -> None:
    connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}").fetchone()
