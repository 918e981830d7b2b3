"""What every test runs under: nobody's own settings, and the same examples each time."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

pytest_plugins = [
    "tests.servers.session",
    "tests.postgres_server",
    "tests.qdrant_server",
    "tests.servers.kafka",
    "tests.servers.redis",
]

settings.register_profile("soma", deadline=None, derandomize=True)
settings.load_profile("soma")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SOMA_")]:
        monkeypatch.delenv(name)
