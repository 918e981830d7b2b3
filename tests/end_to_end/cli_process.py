"""Runs the real `soma` in a process of its own."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-c", "from entrypoints.cli import main; main()")
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Soma:
    """A command line with a data directory of its own; `embedder` as in the settings."""

    folder: Path
    embedder: str = "none"
    more: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the process: nothing of the outside but what Python needs."""
        inherited = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {
            **inherited,
            "PYTHONPATH": str(ROOT),
            "SOMA_DATA_DIR": str(self.data),
            "SOMA_EMBEDDER": self.embedder,
            **self.more,
        }

    def run(self, *arguments: str, input: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run one command to its end, whatever its exit code."""
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            input=input,
            capture_output=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )

    def out(self, *arguments: str, input: bytes = b"") -> str:
        """Run one command that must succeed and return what it printed."""
        done = self.run(*arguments, input=input)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def json(self, *arguments: str, input: bytes = b"") -> Any:
        """Run one command with `--json` and return the answer."""
        return json.loads(self.out(*arguments, "--json", input=input))

    def refusal(self, *arguments: str, code: int = 1) -> str:
        """Run one command that must be refused, in one line, and return that line."""
        done = self.run(*arguments)
        assert done.returncode == code, (done.returncode, done.stderr.decode())
        message = done.stderr.decode()
        assert message.count("\n") == 1, message
        assert message.startswith("soma: "), message
        return message.removeprefix("soma: ").rstrip("\n")

    def on_terminal(self, *arguments: str) -> str:
        """Run one command that believes to be on a terminal and return what that would receive."""
        ours, theirs = pty.openpty()
        with self.started(arguments, stdout=theirs) as process:
            os.close(theirs)
            received = b"".join(_until_closed(ours))
            process.wait(TIMEOUT_SECONDS)
        os.close(ours)
        return received.decode()

    @contextmanager
    def started(
        self, arguments: Sequence[str], stdout: int = subprocess.PIPE
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start a command and end it when the block ends."""
        with subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                    process.communicate(timeout=TIMEOUT_SECONDS)

    @contextmanager
    def serving(self) -> Iterator[subprocess.Popen[bytes]]:
        """Serve the data directory, on a free port and on its socket, until the block ends."""
        with self.started(["serve", "--port", "0"]) as process:
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], TIMEOUT_SECONDS)
            first = process.stdout.readline() if ready else b""
            assert b"http://" in first, (first, process.poll())
            yield process


def _until_closed(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            received = os.read(descriptor, 65536)
        except OSError:  # what Linux says when the other end of a terminal is closed
            return
        if not received:
            return
        yield received
