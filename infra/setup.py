"""Make `.venv` with Soma in it, with nothing but Python 3.11 and pip: `python3 infra/setup.py`.

Debian's Python may lack `ensurepip` and refuses packages outside a virtual environment, so the
environment is made without pip and filled by the pip that came with the interpreter. Every
package is checked against its hash. A second run with nothing changed does nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
STAMP = ENVIRONMENT / "soma-setup.sha256"
LOCKS = {"runtime": ROOT / "requirements.lock", "dev": ROOT / "requirements-dev.lock"}
PYTHON_MIN = (3, 11)


def main() -> int:
    """Bring the environment up to date; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dev", action="store_true", help="also install what the checks need")
    parser.add_argument("--force", action="store_true", help="start again from an empty .venv")
    options = parser.parse_args()
    if sys.version_info < PYTHON_MIN:
        print(f"soma needs Python 3.11 or newer, this is {sys.version.split()[0]}", file=sys.stderr)
        return 1
    wanted = "dev" if options.dev or _stamped("dev") else "runtime"
    if not options.force and _stamped(wanted):
        print(f"{ENVIRONMENT.name} is up to date ({wanted})")
        return 0
    venv.EnvBuilder(with_pip=False, symlinks=True, clear=options.force).create(ENVIRONMENT)
    STAMP.unlink(missing_ok=True)
    try:
        _pip("--no-deps", "--require-hashes", "-r", str(LOCKS[wanted]))
        _pip("--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    except subprocess.CalledProcessError as error:
        print(f"setup: pip failed with exit code {error.returncode}", file=sys.stderr)
        return 1
    STAMP.write_text(f"{wanted} {_fingerprint(wanted)}\n")
    print(f"{ENVIRONMENT.name} is ready ({wanted}): .venv/bin/soma --help")
    return 0


def _pip(*arguments: str) -> None:
    """Install into `.venv` with this interpreter's own pip (22.3 or newer knows `--python`)."""
    pip = [sys.executable, "-m", "pip", "--python", str(PYTHON), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", *arguments], check=True, cwd=ROOT)


def _stamped(wanted: str) -> bool:
    """Tell whether `.venv` already holds exactly what the lock and the project ask for."""
    return (
        PYTHON.exists()
        and STAMP.exists()
        and STAMP.read_text().strip() == f"{wanted} {_fingerprint(wanted)}"
    )


def _fingerprint(wanted: str) -> str:
    """Hash what decides an environment; an editable install holds a copy of the launcher."""
    digest = hashlib.sha256(f"{sys.version} {ROOT}".encode())
    for source in (LOCKS[wanted], ROOT / "pyproject.toml", ROOT / "entrypoints" / "launcher.py"):
        digest.update(source.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
