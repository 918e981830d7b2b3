"""Run one command: parse, dispatch, and turn every refusal into one line and an exit code."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from domain.errors import ConfigurationError, SomaError
from entrypoints.cli.arguments import build_parser
from entrypoints.cli.failure import Failure
from entrypoints.errors import REFUSED, outcome_of

if TYPE_CHECKING:
    from adapters.environment import Settings

INTERRUPTED = 130
PIPE_CLOSED = 141

#: Commands that go on until they are told to stop.
SERVING = frozenset({"operations:serve", "operations:worker"})

Command = Callable[[argparse.Namespace], Coroutine[None, None, int]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code (usage errors leave through `SystemExit(2)`)."""
    options = build_parser().parse_args(arguments)
    _never_fail_to_print(sys.stdout)
    _never_fail_to_print(sys.stderr)
    try:
        options.settings = _settings(options)
        with asyncio.Runner(loop_factory=_loop_factory(options.command)) as runner:
            code = runner.run(_command(options.command)(options))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough. Python flushes stdout once more at exit: let it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except SomaError as error:
        return _refuse(error, outcome_of(error).exit_code)
    except Failure as error:
        return _refuse(error, REFUSED)
    return code


def _settings(options: argparse.Namespace) -> Settings:
    """Read the settings, with what was given on the command line over everything."""
    from adapters.environment import load_settings

    names = {"data": "data_dir", "url": "url", "key": "key", "namespace": "namespace"}
    names |= {"host": "host", "port": "port"}
    names |= {"grpc_host": "grpc_host", "grpc_port": "grpc_port"}
    names |= {"worker_host": "worker_host", "worker_port": "worker_port"}
    given = {field: getattr(options, name, None) for name, field in names.items()}
    settings = load_settings(os.environ, given)
    if given.get("data_dir") is not None and settings.postgres_url is not None:
        raise ConfigurationError("--data names an embedded store, but postgres_url is set as well")
    return settings


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
    from entrypoints.cli.printing import one_line

    print(f"soma: {one_line(str(error))}", file=sys.stderr)
    return code


def _never_fail_to_print(stream: object) -> None:
    """Escape what the terminal's encoding cannot express instead of failing halfway."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
