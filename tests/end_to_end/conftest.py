"""A real server in a process of its own, shared by the tests that speak HTTP to it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.http_server import BODY_BYTES_MAX, DIMENSION, LINE_BYTES_MAX, Served, served

StartServer = Callable[..., AbstractContextManager[Served]]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The shared server: no embedder, vectors of 4 numbers, small limits."""
    limits = {
        "SOMA_VECTOR_DIMENSION": str(DIMENSION),
        "SOMA_BODY_BYTES_MAX": str(BODY_BYTES_MAX),
        "SOMA_IMPORT_LINE_BYTES_MAX": str(LINE_BYTES_MAX),
    }
    with served(tmp_path_factory.mktemp("served"), limits) as running:
        yield running


@pytest.fixture
def start_server(tmp_path: Path) -> StartServer:
    """Start a server of the test's own; keyword arguments are settings."""

    def start(**variables: str) -> AbstractContextManager[Served]:
        return served(tmp_path, variables)

    return start


@pytest.fixture
def http(server: Served) -> Iterator[httpx.Client]:
    """A client of the shared server."""
    with server.client() as client:
        yield client


@pytest.fixture
def space() -> str:
    """A namespace that no other test uses."""
    return f"test-{uuid.uuid4().hex}"
