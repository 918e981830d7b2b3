"""Run one command: parse, dispatch, and turn every refusal into one line and an exit code."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from domain.errors import SomaError
from entrypoints.cli.arguments import build_parser
from entrypoints.cli.failure import Failure, OutputLost
from entrypoints.cli.printing import one_line, written
from entrypoints.errors import REFUSED, outcome_of

if TYPE_CHECKING:
    from adapters.environment import Settings

INTERRUPTED = 130
PIPE_CLOSED = 141

#: Commands that go on until they are told to stop.
SERVING = frozenset({"operations:serve", "operations:worker"})

#: Options that are settings, by the name of the option.
SETTINGS = {
    **{"data": "data_dir", "url": "url", "key": "key", "namespace": "namespace"},
    **{"host": "host", "port": "port", "grpc_host": "grpc_host", "grpc_port": "grpc_port"},
    **{"worker_host": "worker_host", "worker_port": "worker_port"},
}

Command = Callable[[argparse.Namespace], Coroutine[None, None, int]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code (usage errors leave through `SystemExit(2)`)."""
    options = build_parser().parse_args(arguments)
    if sys.stdout is None:  # it was closed by whoever started us
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
    _never_fail_to_print(sys.stdout)
    _never_fail_to_print(sys.stderr)
    try:
        options.settings = _settings(options)
        code = _code_of(options)
        with written():
            sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough.
        _let_go_of_stdout()
        return PIPE_CLOSED
    except OutputLost as error:
        _let_go_of_stdout()
        return _refuse(error, REFUSED)
    except SomaError as error:
        return _refuse(error, outcome_of(error).exit_code)
    except Failure as error:
        return _refuse(error, REFUSED)
    return code


def _code_of(options: argparse.Namespace) -> int:
    """Run the command in a loop of its own; what ends one of several servers ends them all."""
    try:
        with asyncio.Runner(loop_factory=_loop_factory(options.command)) as runner:
            return runner.run(_command(options.command)(options))
    except ExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        raise group.exceptions[0] from group


def _settings(options: argparse.Namespace) -> Settings:
    """Read the settings, with what was given on the command line over everything."""
    from adapters.environment import load_settings

    given = {field: getattr(options, name, None) for name, field in SETTINGS.items()}
    written = {field: f"--{name.replace('_', '-')}" for name, field in SETTINGS.items()}
    return load_settings(os.environ, given, options=written)


def _command(path: str) -> Command:
    """Import what this one command needs, and no more: `--help` must not wait for any of it."""
    module, _, function = path.partition(":")
    command: Command = getattr(import_module(f"entrypoints.cli.{module}"), function)
    return command


def _loop_factory(path: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the event loop: a faster one for what stays, none to load for the rest."""
    if path not in SERVING:
        return None
    import uvloop

    return uvloop.new_event_loop


def _refuse(error: Exception, code: int) -> int:
    print(f"soma: {one_line(str(error))}", file=sys.stderr)
    return code


def _let_go_of_stdout() -> None:
    """Python flushes stdout once more at exit: let it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _never_fail_to_print(stream: object) -> None:
    """Escape what the terminal's encoding cannot express instead of failing halfway."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
