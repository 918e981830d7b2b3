"""What a test may do to a server: the failure table is made of these verbs."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

START_SECONDS = 30.0


class Server(Protocol):
    """A server that keeps its address and its data when it is stopped and started again."""

    @property
    def url(self) -> str:
        """Where clients find it."""

    def start(self) -> None:
        """Start it again, and return when it answers."""

    def stop(self) -> None:
        """Let it end in order."""

    def kill(self) -> None:
        """End it at once (SIGKILL)."""

    def pause(self) -> None:
        """Let it go silent: connections stay open, nothing is answered (SIGSTOP)."""

    def resume(self) -> None:
        """Let it go on."""


class ServerProcess:
    """A server run as a process of this machine; what is done to it is done to its children too."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        port: int,
        url: str,
        log: Path,
        environ: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        self._command = [str(part) for part in command]
        self.port = port
        self._url = url
        self._log = log
        # Settings from outside are for whoever runs the tests, not for what they start.
        outside = {k: v for k, v in os.environ.items() if not k.startswith("SOMA_")}
        self._environ = {**outside, **(environ or {})}
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients find it."""
        return self._url

    def start(self) -> None:
        """Start it, and return when its port takes connections; OSError when it ends instead."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self._environ,
                start_new_session=True,
                user=self._user,
            )
        deadline = time.monotonic() + START_SECONDS
        while not is_open(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise OSError(f"{self._command[0]} does not start: {self.log_tail()}")
            time.sleep(0.02)  # polls a condition

    def stop(self) -> None:
        """Let it end in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it go silent."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def log_tail(self) -> str:
        """Return the end of what it wrote."""
        return self._log.read_text(errors="replace")[-2000:] if self._log.exists() else ""

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._signal(number)
            self._signal(signal.SIGCONT)
            try:
                self._process.wait(timeout=START_SECONDS)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
                self._process.wait()
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            # Parents first, so that none of them starts a child in place of one that ended.
            for pid in family_of(self._process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)


def family_of(pid: int) -> list[int]:
    """Return a process and its descendants, parents first (children may have left its group)."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    family = [pid]
    for member in family:
        family += parents.get(member, [])
    return family


def is_open(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether something takes connections on a port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, port)) == 0


def free_port() -> int:
    """Return a port that nobody listens on; it is the caller's as long as it hurries."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
