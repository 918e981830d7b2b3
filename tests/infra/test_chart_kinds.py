"""Every object is one that Kubernetes accepts, checked against its schemas, strictly."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
import yaml

from infra import chart as chart_commands
from infra.chart import CHART, FOREIGN, KUBERNETES_MIN, PROFILES, ChartRefused, check, validate
from tests.infra.manifests import ROOT, Manifests, rendered, rendered_with

LABELS = {"type": "object", "additionalProperties": {"type": "string"}}


def only(required: str, **properties: Any) -> dict[str, Any]:
    """Return the schema of an object with these fields and no others."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required.split(),
        "properties": properties,
    }


TEXT = {"type": "string", "minLength": 1}
METADATA = only("name namespace labels", name=TEXT, namespace=TEXT, labels=LABELS)
#: As the Prometheus operator documents its kinds, as far as the chart uses them.
OPERATOR = {
    "ServiceMonitor": only(
        "apiVersion kind metadata spec",
        apiVersion={"const": "monitoring.coreos.com/v1"},
        kind={"const": "ServiceMonitor"},
        metadata=METADATA,
        spec=only(
            "selector endpoints",
            selector=only(
                "matchLabels", matchLabels=LABELS, matchExpressions={"type": "array", "minItems": 1}
            ),
            targetLabels={"type": "array", "items": TEXT},
            endpoints={
                "type": "array",
                "minItems": 1,
                "items": only(
                    "port path interval authorization",
                    port=TEXT,
                    path=TEXT,
                    interval={"type": "string", "pattern": "^[0-9]+(ms|s|m)$"},
                    authorization=only(
                        "type credentials",
                        type={"const": "Bearer"},
                        credentials=only("name key", name=TEXT, key=TEXT),
                    ),
                ),
            },
        ),
    ),
    "PrometheusRule": only(
        "apiVersion kind metadata spec",
        apiVersion={"const": "monitoring.coreos.com/v1"},
        kind={"const": "PrometheusRule"},
        metadata=METADATA,
        spec=only(
            "groups",
            groups={
                "type": "array",
                "minItems": 1,
                "items": only(
                    "name rules",
                    name=TEXT,
                    rules={
                        "type": "array",
                        "minItems": 1,
                        "items": only(
                            "alert expr for labels annotations",
                            alert=TEXT,
                            expr=TEXT,
                            labels=LABELS,
                            annotations=LABELS,
                            **{"for": TEXT},
                        ),
                    },
                ),
            },
        ),
    ),
}


@pytest.mark.usefixtures("chart")
def test_every_object_of_everything_is_valid() -> None:
    for item in rendered("prod-ha with everything").all:
        validate(item)


def test_the_operators_objects_are_valid(production: Manifests) -> None:
    found = [item for item in production.all if item["kind"] in FOREIGN]

    assert {item["kind"] for item in found} == FOREIGN == OPERATOR.keys()
    for item in found:
        jsonschema.validate(item, OPERATOR[item["kind"]])


@pytest.mark.usefixtures("chart")
@pytest.mark.parametrize("profile", PROFILES)
def test_the_check_of_the_recipe_passes(profile: str) -> None:
    assert check(profile) > 20


def test_a_misspelt_field_is_found(production: Manifests) -> None:
    deployment = dict(production.of("Deployment")["soma-api"])
    deployment["spec"] = {**deployment["spec"], "replicsa": 3}

    with pytest.raises(ChartRefused, match=r"Deployment soma-api: spec: .*replicsa"):
        validate(deployment)


def test_the_chart_asks_for_the_version_it_is_checked_against() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert chart["kubeVersion"] == f">={KUBERNETES_MIN}.0-0"


def test_a_kind_nobody_knows_is_found() -> None:
    with pytest.raises(ChartRefused, match="Deploymint"):
        validate({"apiVersion": "apps/v1", "kind": "Deploymint", "metadata": {"name": "x"}})


def test_metrics_are_read_with_a_key_from_ports_that_exist(production: Manifests) -> None:
    [monitor] = production.of("ServiceMonitor").values()
    [endpoint] = monitor["spec"]["endpoints"]
    selector = monitor["spec"]["selector"]

    assert endpoint["authorization"]["credentials"] == {
        "name": "soma-secrets",
        "key": "bootstrap-key",
    }
    for component in selector["matchExpressions"][0]["values"]:
        service = production.of("Service")[f"soma-{component}"]
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}


@pytest.mark.usefixtures("chart")
def test_another_key_may_read_the_metrics() -> None:
    manifests = rendered_with(
        "prod-ha",
        "--set=monitoring.serviceMonitor.tokenSecret.name=scraper"
        ",monitoring.serviceMonitor.tokenSecret.key=token",
    )
    [monitor] = manifests.of("ServiceMonitor").values()

    credentials = monitor["spec"]["endpoints"][0]["authorization"]["credentials"]

    assert credentials == {"name": "scraper", "key": "token"}


def test_alerts_name_metrics_and_services_that_exist(production: Manifests) -> None:
    known = metrics_of_the_program()
    [rules] = production.of("PrometheusRule").values()
    services = production.of("Service")

    for rule in rules["spec"]["groups"][0]["rules"]:
        asked = re.findall(r"\b(soma_\w+?)(?:_total|_bucket)?\b", rule["expr"])
        assert set(asked) <= known, rule["alert"]
        assert set(re.findall(r'service="([^"]+)"', rule["expr"])) <= services.keys()
        assert re.findall(r'namespace="([^"]+)"', rule["expr"])


def metrics_of_the_program() -> set[str]:
    """Return the names that the sources give to metrics; Prometheus appends `_total` and such."""
    sources = (ROOT / "entrypoints").rglob("*.py")
    return {name for path in sources for name in re.findall(r'"(soma_\w+)"', path.read_text())}


def test_an_install_is_an_upgrade_that_waits(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(chart_commands, "helm", lambda: "echo")

    assert chart_commands.install("local-dev", ["--namespace", "soma"]) == 0
    said = capfd.readouterr().out

    assert said.startswith("upgrade --install soma ")
    assert "values-local-dev.yaml --wait --timeout 15m --namespace soma" in said


def test_how_long_to_wait_is_yours_to_say(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(chart_commands, "helm", lambda: "echo")

    chart_commands.install("prod-ha", ["--wait=false", "--timeout=5m"])
    said = capfd.readouterr().out

    assert said.count("--wait") == 1
    assert said.count("--timeout") == 1
