"""Schemathesis attacks the API by its own document: nothing fails, nothing is undocumented.

The part that runs here is bounded and seeded; `just fuzz` runs it for as long as one likes.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.conftest import StartServer
from tests.end_to_end.http_server import DIMENSION, ROOT, Served

CONFIG = Path(__file__).with_name("openapi_fuzz.toml")
KEY = "soma_a_key_that_only_this_test_knows"
SETTINGS = {
    "SOMA_VECTOR_DIMENSION": str(DIMENSION),
    "SOMA_RATE_LIMIT_READ": "0",
    "SOMA_RATE_LIMIT_WRITE": "0",
    "SOMA_RATE_LIMIT_FAILURES": "0",
}
#: Without a key the first key that is made would end the run; there is no access to be ignored.
WITHOUT_KEY = (
    *("--exclude-path", "/v1/keys"),
    *("--exclude-checks", "ignored_auth"),
    *("--generation-with-security-parameters", "false"),
)


def attacked(server: Served, *arguments: str) -> None:
    """Run Schemathesis against a server, the same way every time, and show what it found."""
    program = Path(sys.executable).with_name("schemathesis")
    found = subprocess.run(
        [
            *(str(program), "--config-file", str(CONFIG), "run"),
            *("--seed", "1", "--generation-deterministic", "--no-shrink", "--no-color"),
            *("--suppress-health-check", "all", "--max-examples", "4", *arguments),
            f"{server.url}/schema/openapi.json",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert found.returncode == 0, found.stdout[-20_000:] + found.stderr
    assert "Test cases" in found.stdout


@pytest.mark.slow
@pytest.mark.timeout(330)
def test_what_fits_and_what_does_not_is_answered_as_documented_without_a_key(
    start_server: StartServer,
) -> None:
    with start_server(**SETTINGS) as server:
        attacked(server, "--phases", "examples,coverage", *WITHOUT_KEY)


@pytest.mark.slow
@pytest.mark.timeout(330)
def test_calls_that_follow_from_one_another_are_answered_as_documented_with_a_key(
    start_server: StartServer,
) -> None:
    with start_server(SOMA_BOOTSTRAP_KEY=KEY, **SETTINGS) as server:
        attacked(server, "--phases", "fuzzing,stateful", "--header", f"Authorization: Bearer {KEY}")
