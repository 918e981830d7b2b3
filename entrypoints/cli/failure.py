"""What the command line itself can fail at, beside the refusals of the domain."""

from __future__ import annotations


class Failure(Exception):
    """The command cannot be done; the message is the one line that the user sees."""


class OutputLost(Failure):
    """Standard output cannot be written."""
