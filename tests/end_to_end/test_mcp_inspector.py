"""A client that shares no code with the server: MCP's inspector, from the npm registry.

`SOMA_TEST_MCP_INSPECTOR` names a folder of executables that holds `mcp-inspector` and the `node`
it needs; `.ci/inspector` makes one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.http_server import ROOT, served

FOLDER = os.environ.get("SOMA_TEST_MCP_INSPECTOR")
KEY = "an admin key for these tests"
TIMEOUT_SECONDS = 100

pytestmark = pytest.mark.skipif(
    FOLDER is None, reason="SOMA_TEST_MCP_INSPECTOR names no mcp-inspector (`.ci/inspector`)"
)


def inspected(*arguments: str, **variables: str) -> dict[str, Any]:
    """Run the inspector without its page and return the result it prints."""
    environment = {"PATH": f"{FOLDER}:{os.environ['PATH']}", "HOME": os.environ.get("HOME", "")}
    done = subprocess.run(
        [f"{FOLDER}/mcp-inspector", "--cli", *arguments],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_the_inspector_works_with_the_tools_over_stdio(tmp_path: Path) -> None:
    script = tmp_path / "soma"
    script.write_text(
        f"#!/bin/sh\nexec {sys.executable} -c 'from entrypoints.cli import main; main()' \"$@\"\n"
    )
    script.chmod(0o755)
    command = [str(script), "mcp", "--data", str(tmp_path / "data")]
    own = {"PYTHONPATH": str(ROOT), "SOMA_EMBEDDER": "none"}
    passed = [part for name, value in own.items() for part in ("-e", f"{name}={value}")]

    listed = inspected(*command, *passed, "--method", "tools/list", **own)
    stored = inspected(
        *(*command, *passed, "--method", "tools/call", "--tool-name", "remember"),
        *("--tool-arg", "content=Tea is green"),
        **own,
    )
    found = inspected(
        *(*command, *passed, "--method", "tools/call", "--tool-name", "recall"),
        *("--tool-arg", "query=green tea"),
        **own,
    )

    assert "remember" in [tool["name"] for tool in listed["tools"]]
    assert stored["structuredContent"]["deduplicated"] is False
    assert found["structuredContent"]["hits"][0]["memory"]["content"] == "Tea is green"


def test_the_inspector_works_with_the_tools_over_http(tmp_path: Path) -> None:
    with served(tmp_path, {"SOMA_BOOTSTRAP_KEY": KEY}) as server:
        where = [f"{server.url}/mcp", "--transport", "http"]
        let_in = ["--header", f"Authorization: Bearer {KEY}"]

        listed = inspected(*where, *let_in, "--method", "tools/list")

    assert len(listed["tools"]) == 7
