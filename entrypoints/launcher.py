"""What the installed `soma` runs: becomes `somafractalmemory/__init__.py` in the wheel."""

from __future__ import annotations

import sys
from pathlib import Path

_APP = Path(__file__).resolve().with_name("_app")


def main() -> None:
    """Make the private folder importable, then run the command line."""
    if (_APP / "domain").is_dir():
        sys.path.insert(0, str(_APP))
    from entrypoints.cli import main as run

    run()
