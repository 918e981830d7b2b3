"""Pass a command on to Docker Compose, whichever way this machine has it: `-m infra.compose ps`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from infra import engine

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run it; return its exit code."""
    try:
        command = [*engine.compose(), *sys.argv[1:]]
    except engine.EngineMissing as error:
        print(f"compose: {error}", file=sys.stderr)
        return 1
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
