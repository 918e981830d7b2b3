"""Every command of the manual is run, or says what it needs that a test does not have."""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest
import yaml

from entrypoints.cli.arguments import build_parser
from tests.docs.blocks import PAGES, REASONS, ROOT, Block, blocks
from tests.end_to_end.cli_process import Soma

ALL = [block for page in PAGES for block in blocks(page)]
SHELL = [block for block in ALL if block.language == "sh"]
BLOCK_SECONDS = 60
SERVER = re.compile(r"(?:http://)?(?:127\.0\.0\.1|localhost):8420")
#: Mermaid takes these for words of its own, and shows an error in place of the diagram.
RESERVED = re.compile(r"(?:^|[\s&>])(?:graph|end|style|class|click|default)[\[({]", re.MULTILINE)
#: `soma recall --explain` or `just check` within a sentence: program, command, the rest.
NAMED = re.compile(r"`(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(soma|just) ([\w-]+)([^`]*)`")
DIAGRAMS = ("flowchart ", "sequenceDiagram", "stateDiagram-v2")


def is_run(block: Block) -> bool:
    """Tell whether a block is code that has to be run."""
    return block.language in ("sh", "python") and not block.needs and not block.source


RUN_PAGES = [page for page in PAGES if any(is_run(block) for block in blocks(page))]


def place(block: Block) -> str:
    """Name a block in the list of tests."""
    return block.place


@pytest.mark.parametrize("page", RUN_PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_do_what_they_say(page: Path, tmp_path: Path) -> None:
    soma = Soma(tmp_path, embedder="bge-small", more=_with_programs(tmp_path))
    work = tmp_path / "work"
    work.mkdir()
    with soma.started(["serve", "--port", "0"]) as server:
        assert server.stdout is not None
        url = re.findall(r"http://[\d.:]+", server.stdout.readline().decode())[0]
        for block in filter(is_run, blocks(page)):
            code = SERVER.sub(url, block.text).replace(".venv/bin/", "")
            shell = ["bash", "-eu", "-o", "pipefail", "-c", code]
            done = subprocess.run(
                shell if block.language == "sh" else [sys.executable, "-c", code],
                cwd=work,
                env=soma.environment,
                check=False,
                capture_output=True,
                text=True,
                timeout=BLOCK_SECONDS,
            )
            told = f"{block.place} ended with {done.returncode}\n{done.stdout}{done.stderr}"
            assert done.returncode == 0, told
            assert "urn:somafractalmemory:problem" not in done.stdout, told


def test_there_are_commands_that_run() -> None:
    assert sum(map(is_run, ALL)) >= 15


@pytest.mark.parametrize("block", [b for b in ALL if b.needs], ids=place)
def test_what_is_not_run_says_why_in_words_that_are_known(block: Block) -> None:
    assert block.needs in REASONS, f"{block.place} needs {block.needs!r}"


@pytest.mark.parametrize("block", [b for b in ALL if b.source], ids=place)
def test_lines_of_a_file_are_its_lines(block: Block) -> None:
    assert block.text in (ROOT / str(block.source)).read_text(), block.place


@pytest.mark.parametrize("block", SHELL, ids=place)
def test_commands_can_be_read_by_a_shell_and_by_what_they_name(block: Block) -> None:
    checked = subprocess.run(
        ["bash", "-n", "-c", block.text], check=False, capture_output=True, text=True
    )
    assert checked.returncode == 0, f"{block.place}: {checked.stderr}"
    for program, *arguments in block.commands():
        name = Path(program).name
        if name == "soma" and "--help" not in arguments:
            _parsed_by_soma(block, arguments)
        elif name == "just" and arguments:
            assert arguments[0] in _recipes() | {"--list"}, f"{block.place}: just {arguments[0]}"
        elif name.startswith("python"):
            for script in arguments:
                if script.endswith(".py") and "/" in script:
                    assert (ROOT / script).exists(), f"{block.place}: {script}"


@pytest.mark.parametrize("block", [b for b in ALL if b.language != "sh"], ids=place)
def test_what_is_no_command_is_well_formed(block: Block) -> None:
    match block.language:
        case "json":
            json.loads(block.text)
        case "toml":
            tomllib.loads(block.text)
        case "yaml":
            yaml.safe_load(block.text)
        case "python":
            ast.parse(textwrap.dedent(block.text))
        case "mermaid":
            assert block.text.startswith(DIAGRAMS), block.place
            assert not RESERVED.search(block.text), block.place
        case other:
            assert other == "text", f"{block.place}: {other!r} is no language of the manual"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_named_in_a_sentence_exist(page: Path) -> None:
    known = _options_of_soma()
    for program, name, rest in NAMED.findall(page.read_text()):
        said = f"{page.name}: `{program} {name}{rest}`"
        if program == "just":
            meant = [r for r in _recipes() if r == name or (rest == "*" and r.startswith(name))]
            assert meant or name == "--list", said
            continue
        assert name in known, said
        unknown = set(re.findall(r"(?<!\S)--[a-z-]+", rest)) - known[name]
        assert not unknown, said


def _options_of_soma() -> dict[str, set[str]]:
    """Return the options of each command of `soma`, those of its own commands included."""
    known = {"--help": set[str]()}
    for name, parser in _commands_of(build_parser()).items():
        within = [parser, *_commands_of(parser).values()]
        known[name] = {option for each in within for option in each._option_string_actions}
    return known


def _commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _parsed_by_soma(block: Block, arguments: list[str]) -> None:
    try:
        build_parser().parse_args(arguments)
    except SystemExit:
        pytest.fail(f"{block.place}: soma does not know {' '.join(arguments)!r}")


def _recipes() -> set[str]:
    return set(re.findall(r"^([a-z][\w-]*)[^:=\n]*:(?!=)", (ROOT / "justfile").read_text(), re.M))


def _with_programs(folder: Path) -> dict[str, str]:
    """Make `soma` and this Python the first that a shell finds."""
    programs = folder / "bin"
    programs.mkdir()
    starter = programs / "soma"
    starter.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "from entrypoints.cli import main; main()" "$@"\n'
    )
    starter.chmod(0o700)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {"PATH": path, "HOME": str(folder)}
