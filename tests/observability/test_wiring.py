"""The overlay's parts find each other: by name, port, path and secret, as Compose puts them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from tests.observability.overlay import CONFIGURATION, FOLDER, PROVISIONING, ROOT, panels, read

OVERLAY = read(FOLDER / "compose.yml")
STACK = read(ROOT / "docker-compose.yml")
SOURCE = read(PROVISIONING / "datasources/prometheus.yml")["datasources"][0]
JOBS = read(CONFIGURATION)["scrape_configs"]


def mounted(service: str) -> dict[str, str]:
    """Return what stands where in a container of the overlay."""
    parts = [volume.split(":") for volume in OVERLAY["services"][service]["volumes"]]
    return {target: source for source, target, *_ in parts}


def port_of(service: str) -> int:
    """Return the port on which a service of the stack or the overlay listens inside."""
    services = {**OVERLAY["services"], **STACK["services"]}
    return int(services[service]["ports"][0].rpartition(":")[2])


def option(service: str, name: str) -> str:
    """Return what the command of a service gives for an option."""
    return str(dict(part.split("=", 1) for part in OVERLAY["services"][service]["command"])[name])


def test_prometheus_asks_every_process_of_soma_on_the_port_where_it_listens() -> None:
    found = [(job["job_name"], job["dns_sd_configs"]) for job in JOBS]

    asked = {
        job: [(name, source["port"]) for source in sources for name in source["names"]]
        for job, sources in found
    }
    assert {f"soma-{name}": [(name, port_of(name))] for name in ("api", "worker")} == asked


def test_prometheus_finds_its_files_and_the_key() -> None:
    configuration = read(CONFIGURATION)
    secrets = OVERLAY["services"]["prometheus"]["secrets"]

    files = {*configuration["rule_files"], option("prometheus", "--config.file")}
    assert {
        target: f"./infra/observability/{name}"
        for target, name in zip(sorted(files), ("prometheus.yml", "rules.yml"), strict=True)
    }.items() <= mounted("prometheus").items()
    keys = {job["authorization"]["credentials_file"] for job in JOBS}
    assert {f"/run/secrets/{name}" for name in secrets} == keys
    given = STACK["services"]["api"]["environment"]
    for name in secrets:
        assert OVERLAY["secrets"][name]["environment"] in given


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    provider = read(PROVISIONING / "dashboards/soma.yml")["providers"][0]
    places = mounted("grafana")

    assert "./infra/observability/grafana/provisioning" == places["/etc/grafana/provisioning"]
    assert "./infra/observability/grafana/dashboards" == places[provider["options"]["path"]]
    address = urlsplit(SOURCE["url"])
    assert ("prometheus", port_of("prometheus")) == (address.hostname, address.port)
    assert "prometheus" in OVERLAY["services"]["grafana"]["depends_on"]


def test_a_panel_that_shows_a_number_asks_for_the_present() -> None:
    """Of a range it would show the last number there was, of a process that is gone, too."""
    numbers = [panel for panel in panels() if panel["type"] == "stat"]

    assert numbers
    for panel in numbers:
        assert all(target["instant"] and not target["range"] for target in panel["targets"])


def test_spans_are_sent_to_where_the_collector_takes_them() -> None:
    collector = read(FOLDER / "collector.yml")
    listens: str = collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"]
    traced: list[dict[str, Any]] = [
        OVERLAY["services"][name]["environment"] for name in ("api", "worker")
    ]

    for environment in traced:
        address = urlsplit(environment["SOMA_OTLP_ENDPOINT"])
        assert ("collector", int(listens.rpartition(":")[2])) == (address.hostname, address.port)
    assert option("collector", "--config") in mounted("collector")
    pipeline = collector["service"]["pipelines"]["traces"]
    for kind in ("receivers", "processors", "exporters"):
        assert pipeline[kind] == list(collector[kind])
