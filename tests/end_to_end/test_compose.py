"""The whole server profile in containers: built, started, used, repaired and removed again.

Needs a container engine with Compose and the images of the servers; nothing is pulled for it. Where
there is no image of Qdrant, a stand-in takes its place (tests/servers/qdrant_stand_in.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from infra import engine
from infra.up import PORTS, parse_env
from tests.servers.containers import unusable
from tests.servers.images import IMAGES
from tests.servers.server import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
BUILD_SECONDS = 800
CONVERGE_SECONDS = 60
STAND_IN = "infra/airgap/compose.yml"
# Read at import: later every test hides the settings from outside.
_PYTHON_IMAGE = os.environ.get("SOMA_TEST_PYTHON_IMAGE") or "python:3.13-slim"


@dataclass(frozen=True)
class Stack:
    """A running installation."""

    environ: Mapping[str, str]
    env_file: Path
    said: str

    def compose(self, *arguments: str) -> str:
        """Run one command of Compose on it and return what it prints."""
        command = [sys.executable, "-m", "infra.compose", "--env-file", str(self.env_file)]
        return _run([*command, *arguments], self.environ, 120)

    def api(self, port: str = "API_HOST_PORT") -> httpx.Client:
        """Return a client with the admin key."""
        key = parse_env(self.env_file.read_text())["SOMA_BOOTSTRAP_KEY"]
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.environ[port]}",
            headers={"authorization": f"Bearer {key}"},
            timeout=30,
        )


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start everything as `just up` does; remove it with its volumes afterwards."""
    wanted = [name for name in IMAGES if name != "qdrant"]
    reasons = [reason for name in wanted if (reason := unusable(name))]
    if reasons:
        pytest.skip(f"the compose test did not run: {'; '.join(reasons)}")
    try:
        engine.compose()
        if not engine.has_image(_PYTHON_IMAGE):
            pytest.skip(f"the compose test did not run: the image {_PYTHON_IMAGE} is not here")
    except engine.EngineMissing as error:
        pytest.skip(f"the compose test did not run: {error}")
    env_file = tmp_path_factory.mktemp("compose") / "env"
    environ = _environ()
    try:
        up = [sys.executable, "-m", "infra.up", "--env-file", str(env_file)]
        said = _run(up, environ, BUILD_SECONDS)
        yield Stack(environ, env_file, said)
    finally:
        if env_file.exists():
            down = [sys.executable, "-m", "infra.compose", "--env-file", str(env_file)]
            _run([*down, "down", "--volumes", "--remove-orphans"], environ, 120)


def test_makes_secrets_for_the_owner_alone_and_shows_the_key_once(stack: Stack) -> None:
    key = parse_env(stack.env_file.read_text())["SOMA_BOOTSTRAP_KEY"]

    again = _run(
        [sys.executable, "-m", "infra.up", "--no-build", "--env-file", str(stack.env_file)],
        stack.environ,
        BUILD_SECONDS,
    )

    assert stack.env_file.stat().st_mode & 0o777 == 0o600
    assert key in stack.said
    assert key not in again
    assert f"http://127.0.0.1:{stack.environ['API_HOST_PORT']}" in again


def test_keeps_strangers_out(stack: Stack) -> None:
    with stack.api() as http:
        refused = http.get("/v1/namespaces", headers={"authorization": "Bearer wrong"})

    assert refused.status_code == 401


def test_stores_recalls_and_converges(stack: Stack) -> None:
    with stack.api() as http, stack.api("WORKER_HOST_PORT") as worker:
        content = "The kettle whistles in the kitchen."
        stored = http.post("/v1/memories", json={"content": content})
        assert stored.status_code == 201, stored.text
        answer = http.post("/v1/recall", json={"query": "what whistles?"})

        _wait_until_no_lag(worker)

        assert answer.status_code == 200, answer.text
        assert [hit["memory"]["content"] for hit in answer.json()["hits"]] == [content]
        assert "degraded" not in answer.json() or answer.json()["degraded"] == []
        assert _findings(http) == []


def test_goes_on_without_redis_and_kafka(stack: Stack) -> None:
    stack.compose("stop", "redis", "kafka")
    try:
        with stack.api() as http:
            stored = http.post("/v1/memories", json={"content": "The cellar door is green."})
            answer = http.post("/v1/recall", json={"query": "colour of the cellar door"})
    finally:
        stack.compose("up", "--detach", "--no-build", "--wait")

    assert stored.status_code == 201, stored.text
    assert "The cellar door is green." in {
        hit["memory"]["content"] for hit in answer.json()["hits"]
    }
    with stack.api("WORKER_HOST_PORT") as worker:
        _wait_until_no_lag(worker)


def test_runs_without_root_on_a_file_system_that_cannot_be_written(stack: Stack) -> None:
    for service in ("api", "worker"):
        tried = stack.compose(
            *("exec", "-T", service, "sh", "-c"),
            "id -u; touch /opt/soma/x 2>/dev/null || echo refused; grep CapEff /proc/self/status",
        )

        assert tried.split() == ["10001", "refused", "CapEff:", "0" * 16]


def _environ() -> dict[str, str]:
    """Choose a project, free ports and the images of the tests."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SOMA_")}
    environ |= {name: str(free_port()) for name in PORTS}
    environ |= {f"{name.upper()}_IMAGE": kind.image for name, kind in IMAGES.items()}
    environ["COMPOSE_PROJECT_NAME"] = f"soma-test-{os.getpid()}"
    environ["API_IMAGE"] = "somafractalmemory:test"
    environ["PYTHON_IMAGE"] = _PYTHON_IMAGE
    if unusable("qdrant"):
        environ["COMPOSE_FILE"] = os.pathsep.join(["docker-compose.yml", STAND_IN])
    return environ


def _run(command: list[str], environ: Mapping[str, str], seconds: float) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=dict(environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def _wait_until_no_lag(worker: httpx.Client) -> None:
    """Return when every projection has applied every event."""
    deadline = time.monotonic() + CONVERGE_SECONDS
    while True:
        metrics = worker.get("/metrics").text.splitlines()
        lags = {line for line in metrics if line.startswith("soma_projection_lag_events{")}
        behind = {line for line in lags if not line.endswith(" 0.0")}
        if lags and not behind:
            return
        assert time.monotonic() < deadline, behind or metrics
        time.sleep(0.2)  # polls a condition


def _findings(http: httpx.Client) -> list[object]:
    answer = http.post("/v1/maintenance/reconcile", params={"check": True})
    assert answer.status_code == 200, answer.text
    findings: list[object] = answer.json()["findings"]
    return findings
