"""Runs the real server in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-c", "from entrypoints.cli import main; main()", "serve", "--port", "0")
TIMEOUT_SECONDS = 30
DIMENSION = 4
BODY_BYTES_MAX = 1_000_000
LINE_BYTES_MAX = 200_000
LONG_AGO = "01999999-0000-7000-8000-000000000000"

_URL = re.compile(r"http://\S+:\d+")


@dataclass(frozen=True)
class Served:
    """A running server."""

    url: str
    data: Path
    process: subprocess.Popen[str]

    def client(self, **headers: str) -> httpx.Client:
        """Return a client over TCP; headers are written with `_` for `-`."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.Client(base_url=self.url, headers=given, timeout=TIMEOUT_SECONDS)

    def local_client(self) -> httpx.Client:
        """Return a client over the socket of the data directory."""
        transport = httpx.HTTPTransport(uds=str(self.data / "soma.sock"))
        return httpx.Client(
            base_url="http://localhost", transport=transport, timeout=TIMEOUT_SECONDS
        )

    def stop(self) -> int:
        """Ask the server to stop and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(TIMEOUT_SECONDS)


@contextmanager
def served(folder: Path, variables: Mapping[str, str]) -> Iterator[Served]:
    """Start a server with these settings; stop it when the block ends."""
    data = folder / "data"
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error",
        "SOMA_DATA_DIR": str(data),
        "SOMA_EMBEDDER": "none",
        **variables,
    }
    with (
        (folder / "stderr").open("w") as stderr,
        subprocess.Popen(
            COMMAND, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            announced = _URL.search(process.stdout.readline())
            assert announced is not None, (folder / "stderr").read_text()
            yield Served(announced[0], data, process)
        finally:
            if process.poll() is None:
                process.terminate()


def remember(http: httpx.Client, space: str, content: str, **fields: Any) -> dict[str, Any]:
    """Store one memory and return it."""
    answer = http.post("/v1/memories", json={"namespace": space, "content": content, **fields})
    assert answer.status_code == 201, answer.text
    memory: dict[str, Any] = answer.json()["memory"]
    return memory


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Return the problem an answer holds, after checking its form."""
    assert (status, "application/problem+json") == (
        answer.status_code,
        answer.headers.get("content-type"),
    ), answer.text
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert {"type", "title", "detail"} <= body.keys()
    return body


def fields_named(answer: httpx.Response, status: int = 400) -> list[str]:
    """Return the fields a problem names."""
    return [error["field"] for error in problem(answer, status).get("errors", [])]
