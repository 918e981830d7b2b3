"""Opening one SQLite connection, set up for its purpose."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

from adapters.sqlite.filters import register_functions

BUSY_TIMEOUT_SECONDS = 5.0
_STATEMENTS_CACHED = 256
_WRITER_CACHE_KIB = 32 * 1024
_READER_CACHE_KIB = 16 * 1024
_MMAP_BYTES = 256 * 1024 * 1024
_CHECKPOINT_PAGES = 4000
_WAL_BYTES_KEPT = 64 * 1024 * 1024


def connect(path: Path) -> sqlite3.Connection:
    """Open an existing database file without touching it."""
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode=rw",
        uri=True,
        timeout=BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_STATEMENTS_CACHED,
    )
    register_functions(connection)
    return connection


def set_up_writer(connection: sqlite3.Connection) -> None:
    """Make a connection durable (every commit reaches the disk) and let it really delete."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
    connection.execute(f"PRAGMA mmap_size = {_MMAP_BYTES}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_KEPT}")


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a connection that cannot write."""
    connection = connect(path)
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
    connection.execute(f"PRAGMA mmap_size = {_MMAP_BYTES}")
    return connection


def open_glancer(path: Path) -> sqlite3.Connection:
    """Open a connection that cannot write and never waits for a lock."""
    connection = open_reader(path)
    connection.execute("PRAGMA busy_timeout = 0")
    return connection
