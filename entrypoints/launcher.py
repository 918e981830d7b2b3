"""What the installed `soma` runs: becomes `somafractalmemory/__init__.py` in the wheel."""

from __future__ import annotations

import sys
from pathlib import Path

_APP = Path(__file__).resolve().with_name("_app")


def expose() -> None:
    """Make `domain`, `container`, `contracts` and so on importable, for adapters elsewhere."""
    if (_APP / "domain").is_dir() and str(_APP) not in sys.path:
        sys.path.insert(0, str(_APP))


def main() -> None:
    """Make the private folder importable, then run the command line."""
    expose()
    from entrypoints.cli import main as run

    run()
