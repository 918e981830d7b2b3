"""Write the table of settings in docs/configuration.md: `just settings`.

Names, variables and defaults come from the code, in its order; the meanings are what the page has
said of them so far. A new setting gets a row that asks for its meaning, and a test that fails.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from adapters.environment import Settings, masked, variable

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
NO_MEANING = "(say what it means)"
_ROW = re.compile(r"^\| `(\w+)` \| `SOMA_\w+` \| .+? \| (.+) \|$", re.MULTILINE)
_TABLE = re.compile(r"(?<=^\|---\|---\|---\|---\|\n)(?:\| `\w+` \| `SOMA_\w+` .*\n)+", re.MULTILINE)


def main() -> int:
    """Rewrite the table, or only compare it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only compare")
    options = parser.parse_args()
    page = PAGE.read_text()
    written = rewritten(page)
    if written == page:
        return 0
    if options.check:
        print(f"{PAGE.name} is not current: just settings", file=sys.stderr)
        return 1
    PAGE.write_text(written)
    return 0


def rewritten(page: str) -> str:
    """Return the page with the table as the code has it."""
    meanings = dict(_ROW.findall(page))
    rows = [
        f"| `{name}` | `{variable(name)}` | {default} | {meanings.get(name, NO_MEANING)} |\n"
        for name, default in defaults().items()
    ]
    return _TABLE.sub(lambda _: "".join(rows), page, count=1)


def defaults() -> dict[str, str]:
    """Return each setting with its default as the page writes it."""
    found = {
        name: "none" if value is None else f"`{_written(value)}`"
        for name, value in masked(Settings(data_dir=Path("unused"))).items()
    }
    return found | {"data_dir": "the platform's data directory"}


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    sys.exit(main())
