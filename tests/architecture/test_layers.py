"""The hexagon: what may import what, and how large anything may become."""

from __future__ import annotations

import ast
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ("domain", "application")
LAYERS = (*CORE, "adapters", "entrypoints")
NAMES = {*LAYERS, "container", "contracts"}
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 300
#: Declarations only, one file each on purpose: what the core is given, and what it lets doors do.
LONG_LISTS = {ROOT / "container.py", ROOT / "application/access/guarded.py"}
README_LINES_MAX = 120


def sources(*folders: str) -> list[Path]:
    """Return the Python files below these folders of the repository."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def product() -> list[Path]:
    """Return every Python file that is not a test, and not generated."""
    written = [path for path in sources(*LAYERS, "infra", "benchmarks") if "_pb2" not in path.name]
    return [*written, ROOT / "container.py"]


def imported(path: Path) -> set[str]:
    """Return the top-level names that a file imports anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names.add(str(node.module).partition(".")[0])
    return names


@pytest.mark.parametrize("path", sources(*CORE), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_imports_only_the_standard_library_and_itself(path: Path) -> None:
    foreign = imported(path) - set(sys.stdlib_module_names) - set(CORE)

    assert foreign == set()


def test_there_is_a_core_to_look_at() -> None:
    assert len(sources(*CORE)) > 10


def test_no_function_is_longer_than_a_screen() -> None:
    too_long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in product()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]

    assert too_long == []


def test_no_module_is_longer_than_one_can_hold_in_mind() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in product()}

    too_long = {
        str(path.relative_to(ROOT)): lines
        for path, lines in lengths.items()
        if lines > MODULE_LINES_MAX and path not in LONG_LISTS
    }

    assert too_long == {}


def test_no_installed_distribution_owns_our_names() -> None:
    """Else our packages would be replaced by theirs, silently, in a development environment."""
    owners = {
        name: distributions
        for name, distributions in packages_distributions().items()
        if name in NAMES
    }

    # The editable install itself brings `container.py`, which nothing imports from there.
    foreign = {name: set(found) - {"somafractalmemory"} for name, found in owners.items()}
    assert {name: found for name, found in foreign.items() if found} == {}


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES_MAX
