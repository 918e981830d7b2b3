"""What stands in the overlay's files: where they are, and what they ask of Prometheus."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "infra/observability"
RULES = FOLDER / "rules.yml"
CONFIGURATION = FOLDER / "prometheus.yml"
DASHBOARD = FOLDER / "grafana/dashboards/soma.json"
PROVISIONING = FOLDER / "grafana/provisioning"
# Read at import: later every test hides the settings from outside.
_PROGRAMS = os.environ.get("SOMA_TEST_PROMETHEUS")


def program(name: str) -> str | None:
    """Return the path of prometheus or promtool; None where it is not."""
    return shutil.which(name, path=_PROGRAMS) if _PROGRAMS else shutil.which(name)


def read(path: Path) -> Any:
    """Return what stands in a file of YAML."""
    return yaml.safe_load(path.read_text())


def panels() -> list[dict[str, Any]]:
    """Return the panels of the dashboard, the headings of its rows among them."""
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def rules() -> list[dict[str, Any]]:
    """Return every rule."""
    return [rule for group in read(RULES)["groups"] for rule in group["rules"]]


def expressions() -> list[str]:
    """Return every query of the dashboard and every condition of the rules."""
    asked = [target["expr"] for panel in panels() for target in panel.get("targets", [])]
    return asked + [rule["expr"] for rule in rules()]
