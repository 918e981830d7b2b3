"""The wheel: one top-level name, everything else in a private folder, the launcher in front."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRIVATE = "somafractalmemory/_app"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built without isolation and without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, text=True)
    [built] = folder.glob("*.whl")
    return built


def names_in(wheel: Path) -> list[str]:
    """Return the paths of all files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_installs_one_top_level_name(wheel: Path) -> None:
    names = names_in(wheel)

    top = {name.partition("/")[0] for name in names if ".dist-info/" not in name}

    assert top == {"somafractalmemory"}


def test_the_wheel_holds_every_file_of_the_layers(wheel: Path) -> None:
    expected = {
        f"{PRIVATE}/{path.relative_to(ROOT)}"
        for layer in ("domain", "application", "adapters", "entrypoints", "contracts")
        for path in (ROOT / layer).rglob("*")
        if path.suffix in {".py", ".sql"} and path.name != "launcher.py"
    } | {f"{PRIVATE}/container.py", "somafractalmemory/__init__.py"}

    missing = expected - set(names_in(wheel))

    assert missing == set()
    assert any(name.endswith(".sql") for name in expected)


def test_the_installed_command_works_beside_foreign_packages_of_the_same_names(
    wheel: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for foreign in ("domain", "entrypoints"):
        (tmp_path / foreign).mkdir()
        (tmp_path / foreign / "__init__.py").write_text("raise RuntimeError('not ours')")
    code = f"import sys; sys.path.insert(0, {str(site)!r}); import somafractalmemory as s; s.main()"

    done = subprocess.run(
        [sys.executable, "-c", code, "--help"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert "remember" in done.stdout


def test_an_installed_soma_lends_its_packages_to_adapters_elsewhere(
    wheel: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # Without this checkout, which the development environment has on its path.
    code = f"""
import sys
sys.path[:] = [{str(site)!r}, *(place for place in sys.path if place != {str(ROOT)!r})]
import somafractalmemory
somafractalmemory.expose()
import container, contracts.vector_index, domain.ports
print(container.__file__, contracts.vector_index.__file__, domain.ports.__file__)
"""

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.count(str(site)) == 3


def test_the_locks_pin_every_package_by_hash_and_name_no_address() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        packages = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]

        assert "://" not in text
        assert all("==" in line for line in packages)
        assert text.count("--hash=sha256:") >= len(packages) > 30
