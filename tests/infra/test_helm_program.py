"""Where the helm program comes from."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import helm_program
from infra.helm_program import HelmMissing, helm


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    helm.cache_clear()
    yield
    helm.cache_clear()


def test_the_one_you_name_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM", "/opt/mine/helm")

    assert helm() == "/opt/mine/helm"


def test_the_one_on_the_path_is_taken_where_no_package_brings_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "helm"
    program.touch(mode=0o755)
    monkeypatch.delenv("HELM", raising=False)
    monkeypatch.setattr(helm_program, "PACKAGE", "no-such-package")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert helm() == str(program)


def test_where_there_is_none_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HELM", raising=False)
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(HelmMissing, match="install Helm, or set HELM"):
        helm()


@pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"),
    reason="the package that carries helm is for Linux on x86_64",
)
def test_the_package_brings_one_that_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HELM", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))

    program = Path(helm())

    assert program.is_relative_to(tmp_path)
    assert os.access(program, os.X_OK)
    assert [path.name for path in program.parent.iterdir()] == [program.name]
    done = subprocess.run([program, "version"], capture_output=True, text=True, check=True)
    assert "Version" in done.stdout
