"""Dashboard, rules and overlay name what there is, and are what their programs take."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from domain.job import JobKind
from entrypoints.errors import OUTCOMES
from entrypoints.metrics.catalogue import METRICS
from infra import engine
from infra.up import SECRETS
from tests.observability.overlay import (
    CONFIGURATION,
    DASHBOARD,
    FOLDER,
    PROVISIONING,
    ROOT,
    RULES,
    expressions,
    panels,
    program,
    read,
    rules,
)

DOCUMENT = ROOT / "docs/observability.md"
#: Prometheus' own, and those of its library (on Linux).
SCRAPED = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}
#: Put there by Prometheus itself.
TARGET_LABELS = {"job", "instance", "le"}

_STRING = r'"(?:[^"\\]|\\.)*"'
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_WORDS = {"and", "or", "unless", "offset", "bool", "by", "without", "on", "ignoring"}
_PROMTOOL = program("promtool")


def selectors(expression: str) -> list[tuple[str, dict[str, str]]]:
    """Return the metrics that a PromQL expression selects, each with its label matchers."""
    plain = _GROUPING.sub(" ", expression)
    token = re.compile(
        rf"(?P<name>[a-zA-Z_:][\w:]*)\s*(?P<matchers>\{{(?:[^}}\"]|{_STRING})*\}})?"
        rf"(?P<call>\s*\()?|\[[^\]]*\]|{_STRING}|[\d.]+\w*"
    )
    found = []
    for match in token.finditer(plain):
        name = match["name"]
        if name is None or match["call"] or name in _WORDS:
            continue
        matchers = re.findall(rf"(\w+)\s*(?:=~|!~|!=|=)\s*({_STRING})", match["matchers"] or "")
        found.append((name, dict(matchers)))
    return found


def known_metrics() -> dict[str, set[str]]:
    """Return the labels of every sample that a process can show, by the sample's name."""
    known: dict[str, set[str]] = {name: set() for name in SCRAPED}
    endings = {
        "histogram": ("_bucket", "_count", "_sum"),
        "counter": ("_total",),
        "gauge": ("",),
    }
    for metric in METRICS:
        labels = {*metric.labels, *(["outcome"] if metric.with_outcome else [])}
        known |= {metric.name + ending: labels for ending in endings[metric.kind]}
    return known


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_and_label_that_is_asked_for_exists(expression: str) -> None:
    known = known_metrics()
    asked = selectors(expression)

    assert asked
    assert {name for name, _ in asked} <= known.keys()
    for name, matchers in asked:
        assert matchers.keys() <= known[name] | TARGET_LABELS
    grouped = {label.strip() for text in _GROUPING.findall(expression) for label in text.split(",")}
    everywhere = set().union(*(known[name] for name, _ in asked))
    assert grouped - {""} <= everywhere | TARGET_LABELS


def test_the_parser_sees_through_functions_strings_and_ranges() -> None:
    expression = (
        'sum by (le, port) (rate(a_bucket{x="}b{",y=~"c|d"}[5m])) > 2.5 and on () (e offset 1h)'
    )

    assert selectors(expression) == [("a_bucket", {"x": '"}b{"', "y": '"c|d"'}), ("e", {})]


def test_values_that_are_matched_exist() -> None:
    wired = (ROOT / "container.py").read_text()
    loops = (ROOT / "entrypoints/worker/loops.py").read_text()
    names = {
        "port": {*re.findall(r'_watched\(\s*meter,\s*"(\w+)"', wired), "store"},
        "use_case": set(re.findall(r'_observed\(meter, "(\w+)"', wired)),
        "loop": set(re.findall(r'observe\("(\w+)"\)', loops)),
        "dependency": {"store", "redis", "qdrant", "kafka"},
        "outcome": {"ok", "lost", "sent", "cancelled", *(one.slug for one in OUTCOMES.values())},
        "name": {kind.value for kind in JobKind},
    }
    for expression in expressions():
        for _, matchers in selectors(expression):
            for label, value in matchers.items():
                if label in names:
                    assert {*value.strip('"').split("|")} <= names[label], expression


def test_the_dashboard_is_whole() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    places = [tuple(panel["gridPos"].items()) for panel in dashboard["panels"]]

    assert len(ids) == len(set(ids))
    assert len(places) == len(set(places))
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels())
    source = read(PROVISIONING / "datasources/prometheus.yml")
    uids = {target["datasource"]["uid"] for p in panels() for target in p.get("targets", [])}
    assert uids == {source["datasources"][0]["uid"]}


def test_every_rule_says_what_it_means() -> None:
    document = DOCUMENT.read_text()
    for rule in rules():
        assert rule["labels"]["severity"] in {"page", "warn"}
        assert rule["annotations"]["summary"]
        assert f"`{rule['alert']}`" in document


def test_every_metric_is_documented_as_it_is() -> None:
    rows = re.findall(
        r"^\| `(soma_\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", DOCUMENT.read_text(), re.M
    )
    shown = {"histogram": "", "counter": "_total", "gauge": ""}

    expected = {
        (
            metric.name + shown[metric.kind],
            metric.kind,
            ", ".join(
                f"`{label}`"
                for label in (*metric.labels, *(["outcome"] if metric.with_outcome else []))
            )
            or "none",
            metric.help,
        )
        for metric in METRICS
    }

    assert expected == set(rows)


@pytest.mark.skipif(_PROMTOOL is None, reason="promtool is not here: `.ci/prometheus` fetches it")
def test_promtool_accepts_rules_configuration_and_queries(tmp_path: Path) -> None:
    queries = [
        {"record": f"panel:{number}", "expr": text.replace("$__rate_interval", "5m")}
        for number, text in enumerate(expressions())
    ]
    asked = tmp_path / "queries.yml"
    asked.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": queries}]}))

    for arguments in (
        ["check", "rules", str(RULES), str(asked)],
        ["check", "config", "--syntax-only", str(CONFIGURATION)],
        ["test", "rules", str(FOLDER / "rules_test.yml")],
    ):
        done = subprocess.run(
            [str(_PROMTOOL), *arguments], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_compose_accepts_the_overlay(tmp_path: Path) -> None:
    program = ROOT / ".venv/bin/docker-compose"
    command = [str(program)] if program.exists() else None
    if command is None:
        try:
            command = engine.compose()
        except engine.EngineMissing as error:
            pytest.skip(f"the overlay was not read by Compose: {error}")
    given = dict.fromkeys(SECRETS, "secret")

    done = subprocess.run(
        [*command, "-f", "docker-compose.yml", "-f", str(FOLDER / "compose.yml"), "config"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **given},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    assert services["worker"]["environment"]["SOMA_OTLP_ENDPOINT"] == "http://collector:4318"
    assert services["api"]["environment"]["SOMA_POSTGRES_URL"].startswith("postgresql://")
    for name in ("prometheus", "grafana", "collector"):
        mounted = [Path(v["source"]) for v in services[name]["volumes"] if v["type"] == "bind"]
        assert mounted
        assert all(path.exists() for path in mounted)
        published = services[name].get("ports", [])
        assert all(port["host_ip"] == "127.0.0.1" for port in published)
