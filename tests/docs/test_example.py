"""The example of the chapter on extending works outside the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_vector_store_of_the_example_keeps_the_contract(tmp_path: Path) -> None:
    copy = tmp_path / "vector_store"
    unwanted = shutil.ignore_patterns("__pycache__", ".pytest_cache", ".hypothesis")
    shutil.copytree(ROOT / "examples" / "vector_store", copy, ignore=unwanted)
    # It stands alone: this folder, and what is installed.
    environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(copy)],
        cwd=copy,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
    assert "failed" not in done.stdout
