"""CI, pre-commit and you run the same recipes."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from infra import version

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())
RECIPE = re.compile(r"\.venv/bin/just (\w[\w-]*)")


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> dict[str, Any]:
    """One workflow file."""
    return read(request.param)


def read(path: Path) -> dict[str, Any]:
    """Read a workflow file."""
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def steps_of(workflow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give every step of every job."""
    for job in workflow["jobs"].values():
        yield from job.get("steps", [])


def recipes() -> dict[str, list[str]]:
    """Return the names of all recipes, with those they depend on."""
    lines = re.findall(r"^([a-z][\w-]*)[^:=\n]*:([^=\n]*)$", (ROOT / "justfile").read_text(), re.M)
    return {name: needs.split() for name, needs in lines}


def test_a_workflow_is_one_that_github_knows(workflow: dict[str, Any]) -> None:
    schemas = files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((schemas / "github-workflows.json").read_text())

    jsonschema.Draft7Validator(schema).validate(workflow)


def test_a_workflow_may_read_and_no_more_and_ends(workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert "uses" in job or job["timeout-minutes"] <= 60, name
        assert job.get("permissions", {"contents": "read"}) == {"contents": "read"}


def test_actions_have_a_version_and_keep_no_credentials(workflow: dict[str, Any]) -> None:
    for step in steps_of(workflow):
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|[0-9a-f]{40})", step["uses"])
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_nothing_from_outside_becomes_a_command(workflow: dict[str, Any]) -> None:
    """An expression inside of a script is pasted into it; a variable is not."""
    for step in steps_of(workflow):
        assert "${{" not in step.get("run", "")


def test_workflows_call_recipes_that_exist() -> None:
    called = {
        name
        for path in WORKFLOWS
        for step in steps_of(read(path))
        for name in RECIPE.findall(step.get("run", ""))
    }

    assert called == {"check", "test"}
    assert called <= recipes().keys()


def test_every_python_that_is_supported_is_checked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    matrix = read(ROOT / ".github/workflows/check.yml")["jobs"]["check"]["strategy"]["matrix"]

    assert matrix["python"] == named


def test_a_release_needs_the_check() -> None:
    jobs = read(ROOT / ".github/workflows/release.yml")["jobs"]

    assert jobs["image"]["needs"] == "check"
    assert jobs["check"]["uses"] == "./.github/workflows/check.yml"


def test_the_cache_is_named_by_what_fills_it() -> None:
    for step in steps_of(read(ROOT / ".github/workflows/check.yml")):
        if step.get("uses", "").startswith("actions/cache@"):
            for name in re.findall(r"'([^']+)'", step["with"]["key"]):
                assert (ROOT / name).is_file()
            assert "requirements-dev.lock" in step["with"]["key"]
            assert "restore-keys" not in step["with"]


def test_pre_commit_calls_the_recipes_of_the_check() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    entries = [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]]

    assert [RECIPE.sub(r"\1", entry) for entry in entries] == recipes()["check"]


def test_everything_names_one_version() -> None:
    assert len(set(version.versions().values())) == 1


@pytest.mark.parametrize(("tag", "code"), [("v{}", 0), ("{}", 1), ("v{}.1", 1), ("", 1)], ids=repr)
def test_a_tag_of_another_version_is_refused(
    monkeypatch: pytest.MonkeyPatch, tag: str, code: int
) -> None:
    [own] = set(version.versions().values())
    monkeypatch.setattr(sys, "argv", ["version", tag.format(own)])

    assert version.main() == code
