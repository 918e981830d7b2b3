"""The command line starts fast: `--help` loads nothing but the standard library and itself."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    "remember",
    "recall",
    "get",
    "list",
    "forget",
    "history",
    "link",
    "unlink",
    "neighbors",
    "path",
    "import",
    "export",
    "keys",
    "stats",
    "reindex",
    "reconcile",
    "doctor",
    "migrate",
    "serve",
    "jobs",
    "backup",
    "restore",
    "demo",
)
HEAVY = ("litestar", "uvicorn", "httpx", "rich", "numpy", "onnxruntime", "tokenizers", "networkx")


def python(code: str) -> str:
    """Run a piece of code in a fresh interpreter and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return done.stdout


def test_help_lists_every_command() -> None:
    shown = python(
        "from entrypoints.cli.arguments import build_parser\nprint(build_parser().format_help())"
    )

    listed = set(re.findall(r"^ {4}([a-z]+)", shown, re.MULTILINE))

    assert set(COMMANDS) <= listed


def test_help_imports_no_heavy_library() -> None:
    loaded = python(
        "import sys\n"
        "from entrypoints.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print('LOADED', *sys.modules)\n"
    )

    modules = loaded.partition("LOADED")[2].split()

    assert "entrypoints.cli.arguments" in modules
    assert [name for name in HEAVY if name in modules] == []


def test_every_command_names_a_function_that_exists() -> None:
    checked = python(
        "import importlib\n"
        "from entrypoints.cli.arguments import build_parser\n"
        "import argparse\n"
        "parser = build_parser()\n"
        "[choices] = [action.choices for action in parser._actions\n"
        "             if isinstance(action, argparse._SubParsersAction)]\n"
        "for command in choices.values():\n"
        "    module, _, function = command.get_default('command').partition(':')\n"
        "    getattr(importlib.import_module('entrypoints.cli.' + module), function)\n"
        "    print('ok')\n"
    )

    assert checked.split().count("ok") >= len(COMMANDS)
