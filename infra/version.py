"""Say whether a release's tag names the version of everything: `python -m infra.version v0.1.0`.

Standard library only: it runs before there is an environment.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_CHART = re.compile(r"^(version|appVersion): *\"?([^\s\"#]+)", re.MULTILINE)


def main() -> int:
    """Compare; return the exit code."""
    tag = sys.argv[1] if len(sys.argv) > 1 else ""
    found = versions()
    wrong = {name: version for name, version in found.items() if f"v{version}" != tag}
    for name, version in wrong.items():
        print(f"version: the tag is {tag or 'missing'}, but {name} says {version}", file=sys.stderr)
    return 1 if wrong else 0


def versions() -> dict[str, str]:
    """Return what calls itself by a version of Soma's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    chart = dict(_CHART.findall((ROOT / "infra/helm/soma/Chart.yaml").read_text("utf-8")))
    return {
        "pyproject.toml": project["version"],
        "the chart's version": chart["version"],
        "the chart's appVersion": chart["appVersion"],
    }


if __name__ == "__main__":
    sys.exit(main())
