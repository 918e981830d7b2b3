"""The command line: every command is a client of the REST API."""

from entrypoints.cli.program import main

__all__ = ["main"]
