"""The README's examples do what they say."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.cli_process import ROOT, Soma

README = (ROOT / "README.md").read_text()
SERVER = "http://127.0.0.1:8420"


def block(heading: str, language: str = "") -> str:
    """Return the first code block in this language below a heading."""
    section = README.partition(f"### {heading}\n")[2]
    found = re.search(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def soma(tmp_path: Path) -> Soma:
    """A command line as the README's reader has it, with the real embedding model."""
    return Soma(tmp_path, embedder="bge-small")


def test_the_command_line_example_finds_what_it_stored(soma: Soma) -> None:
    store, find = block("Command line").splitlines()

    memory_id = soma.out(*shlex.split(store)[1:]).strip()

    assert memory_id in soma.out(*shlex.split(find)[1:])


def test_the_http_and_curl_examples_find_what_they_stored(soma: Soma) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    with soma.started(["serve", "--port", "0"]) as server:
        assert server.stdout is not None
        url = re.findall(r"http://[\d.:]+", server.stdout.readline().decode())[0]
        python = block("HTTP", "python").replace(SERVER, url)
        curl = block("curl").replace(SERVER, url)

        printed = [
            subprocess.run(command, check=True, capture_output=True, text=True).stdout
            for command in ([sys.executable, "-c", python], ["sh", "-ec", curl])
        ]

    assert "Alice moved to Oslo" in printed[0]
    assert printed[1].count("The build breaks on Fridays") == 2
