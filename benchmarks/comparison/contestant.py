"""One system in a process of its own, seen from the outside."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.comparison.shapes import Shape
from benchmarks.comparison.systems import ROOT, SYSTEMS

_END_SECONDS = 30.0


class Failed(Exception):
    """A system did not do what it was told, and why; it takes no further part."""


class Contestant:
    """Starts the process, tells it what to do, and ends it when it takes too long."""

    def __init__(
        self, name: str, shape: Shape, folder: Path, workload: Path, postgres_url: str | None
    ) -> None:
        self.name = name
        self.ways: tuple[str, ...] = ()
        self.durable = False
        self.has_loader = False
        self._known = SYSTEMS[name]
        self._data = folder / name
        self._log = folder / f"{name}.log"
        self._command = [
            *(str(self._known.python), "-m", "benchmarks.comparison.worker", name),
            *("--shape", str(shape), "--workload", str(workload), "--data", str(self._data)),
        ]
        if self._known.on_postgres:
            if postgres_url is None:
                raise Failed("there is no PostgreSQL server")
            self._command += ["--postgres", postgres_url]
        if not self._known.python.exists():
            raise Failed("its environment is missing: `just bench-setup`")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float) -> dict[str, Any]:
        """Start the process and open the system; return what it says of itself."""
        self._data.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                self._command,
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        opened = self.ask("open", seconds)
        self.ways = tuple(opened["ways"])
        self.durable = opened["durable"]
        self.has_loader = opened["has_loader"]
        return opened

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SOMA_")}
        return {**kept, "HOME": str(self._data), "PYTHONWARNINGS": "ignore"}

    def ask(self, do: str, seconds: float, /, **arguments: object) -> dict[str, Any]:
        """Have a command carried out within so many seconds; raise `Failed` otherwise."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps({"do": do, "with": arguments}).encode() + b"\n")
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._line(process, seconds))
        except (BrokenPipeError, json.JSONDecodeError) as error:
            self.kill()
            raise Failed(f"its process ended during `{do}`: see {self._log.name}") from error
        if "error" in answer:
            raise Failed(f"`{do}` failed: {answer['error']}")
        return answer

    def _line(self, process: subprocess.Popen[bytes], seconds: float) -> bytes:
        """Read one line, however many pieces it comes in."""
        assert process.stdout is not None
        until = time.monotonic() + seconds
        pieces = []
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                if not selector.select(max(0.0, until - time.monotonic())):
                    self.kill()
                    raise Failed(f"not done within {seconds:.0f} s")
                piece = os.read(process.stdout.fileno(), 1 << 20)
                pieces.append(piece)
                if not piece or piece.endswith(b"\n"):
                    return b"".join(pieces)

    def stop(self) -> None:
        """Close the system and end its process."""
        process = self._process
        if process is None:
            return
        with suppress(Failed, subprocess.TimeoutExpired):
            self.ask("close", _END_SECONDS)
            assert process.stdin is not None
            process.stdin.close()
            process.wait(_END_SECONDS)
        self.kill()  # what did not end by itself, and whatever it started

    def kill(self) -> None:
        """End the process and all that it started, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()

    def discard(self) -> None:
        """Remove its data."""
        shutil.rmtree(self._data, ignore_errors=True)
