"""Bring a database file to the schema of this program, or say why that cannot be."""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path

from adapters.sqlite.connection import connect, set_up_writer
from domain.errors import DataDirectoryError, DataDirectoryNewer, StoreUnavailable

APPLICATION_ID = 0x536F6D61
"""ASCII "Soma" in the file header: tells Soma's databases from others."""

_SQLITE_OLDEST = (3, 37, 0)
_MIGRATIONS = Path(__file__).with_name("migrations")
_FILE_NAME = re.compile(r"(\d{4})_\w+\.sql")


def open_writer(path: Path) -> sqlite3.Connection:
    """Open or create the database and migrate it.

    Raises `DataDirectoryNewer` or `DataDirectoryError` before anything in the file is changed.
    """
    if sqlite3.sqlite_version_info < _SQLITE_OLDEST:
        wanted = ".".join(map(str, _SQLITE_OLDEST))
        raise StoreUnavailable(f"SQLite {sqlite3.sqlite_version} is too old, {wanted} is needed")
    _create_file(path)
    connection = connect(path)
    try:
        version = _recognised_version(connection, path)
        set_up_writer(connection)
        for number, script in _pending(version):
            _apply(connection, number, script)
    except BaseException:
        connection.close()
        raise
    return connection


def schema_version(connection: sqlite3.Connection) -> int:
    """Return the number of the last migration that was applied, 0 for an empty file."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    assert isinstance(version, int)
    return version


def _create_file(path: Path) -> None:
    """Create an absent file readable by its owner only, in a directory that can be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataDirectoryError(f"{path} cannot be created or written: {reason}") from error
    # SQLite keeps its log beside the database, so the directory has to be writable as well.
    if not os.access(path.parent, os.W_OK | os.X_OK, effective_ids=_EFFECTIVE_IDS):
        raise DataDirectoryError(f"the directory {path.parent} is read-only")


_EFFECTIVE_IDS = os.access in os.supports_effective_ids


def _recognised_version(connection: sqlite3.Connection, path: Path) -> int:
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    version = schema_version(connection)
    if application != APPLICATION_ID and (objects or application or version):
        raise DataDirectoryError(f"{path} is a database of another program")
    newest = _migrations()[-1][0]
    if version > newest:
        raise DataDirectoryNewer(
            f"{path} has schema version {version}, this program knows up to {newest}: "
            "use a newer version of Soma"
        )
    return version


def _pending(version: int) -> list[tuple[int, str]]:
    return [(number, file.read_text("utf-8")) for number, file in _migrations() if number > version]


def _migrations() -> list[tuple[int, Path]]:
    numbered = [
        (int(match[1]), file)
        for file in _MIGRATIONS.iterdir()
        if (match := _FILE_NAME.fullmatch(file.name))
    ]
    return sorted(numbered)


def _apply(connection: sqlite3.Connection, number: int, script: str) -> None:
    """Run one migration and its version number in one transaction."""
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{script}\n"
            f"PRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {number};\nCOMMIT;"
        )
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
