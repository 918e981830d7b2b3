"""The parts of the chart fit each other, and fit the program that they run."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from adapters.environment import Settings, load_settings
from container import build
from entrypoints.cli.arguments import build_parser
from entrypoints.http import server
from entrypoints.http.app import create_app
from entrypoints.worker import health, program
from tests.infra.manifests import (
    Manifests,
    Pod,
    is_selected,
    rendered_with,
)

SECRETS = {
    "bootstrap_key": "an admin key of the tests",
    "postgres_url": "postgresql://soma:secret@db.example.internal:5432/soma",
    "redis_url": "redis://:secret@redis.example.internal:6379/0",
    "qdrant_api_key": "a key of Qdrant's",
    "kafka_password": "a password of Kafka's",
}
#: What closing takes beyond the grace that requests are given.
CLOSING_SECONDS = 5


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The routes of the API and of the worker."""
    folder = tmp_path_factory.mktemp("routes")
    container = build(load_settings({"SOMA_DATA_DIR": str(folder), "SOMA_EMBEDDER": "none"}))
    apps = {"api": create_app(container), "worker": health.health_app(container)}
    return {name: {route.path for route in app.routes} for name, app in apps.items()}


def settings_of(manifests: Manifests, pod: Pod, folder: Path) -> Settings:
    """Read a pod's environment as the process in it will, secrets from files."""
    environ = {k: v for k, v in manifests.environment(pod).items() if k.startswith("SOMA_")}
    for name, path in environ.items():
        if name.endswith("_FILE") and path.startswith("/etc/soma/secrets/"):
            secret = folder / Path(path).name
            secret.write_text(SECRETS[secret.name])
            environ[name] = str(secret)
    return load_settings(environ)


def test_soma_accepts_every_setting(manifests: Manifests, tmp_path: Path) -> None:
    for pod in manifests.pods:
        if pod.is_ours:
            settings = settings_of(manifests, pod, tmp_path)
            assert settings.profile == "server", pod.name


def test_what_serves_knows_its_servers_and_a_key(manifests: Manifests, tmp_path: Path) -> None:
    for component in ("api", "worker"):
        settings = settings_of(manifests, manifests.pod(component), tmp_path)
        assert settings.bootstrap_key
        assert settings.redis_url
        assert settings.qdrant_url
        assert settings.kafka_servers
    assert settings_of(manifests, manifests.pod("api"), tmp_path).host == "0.0.0.0"
    assert settings_of(manifests, manifests.pod("worker"), tmp_path).worker_host == "0.0.0.0"


def test_pods_with_ipv6_addresses_are_listened_on(chart: None, tmp_path: Path) -> None:
    manifests = rendered_with("prod-ha", "--set=listen=::")

    assert settings_of(manifests, manifests.pod("api"), tmp_path).host == "::"
    assert settings_of(manifests, manifests.pod("worker"), tmp_path).worker_host == "::"


def test_every_secret_file_is_mounted(manifests: Manifests) -> None:
    for pod in manifests.pods:
        items = {
            item["path"]
            for volume in pod.spec.get("volumes", [])
            for item in volume.get("secret", {}).get("items", [])
            if volume["name"] == "secrets"
        }
        named = {
            Path(value).name
            for name, value in manifests.environment(pod).items()
            if name.endswith("_FILE") and "/secrets/" in value
        }
        assert named == items, pod.name


def test_every_command_is_one_of_soma(manifests: Manifests) -> None:
    [choices] = [
        action.choices
        for action in build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    ]
    for pod in manifests.pods:
        if pod.is_ours:
            [container] = pod.containers
            said = re.findall(r"^soma (\w+)", container["args"][0], re.MULTILINE)
            for command in said or container["args"][:1]:
                assert command in choices, pod.name


def test_probes_ask_routes_that_exist(manifests: Manifests, routes: dict[str, set[str]]) -> None:
    for component in ("api", "worker"):
        [container] = manifests.pod(component).containers
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["path"] in routes[component]
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_every_server_is_probed_at_a_port_it_has(manifests: Manifests) -> None:
    for pod in manifests.pods:
        if pod.owner["kind"] not in {"Deployment", "StatefulSet"}:
            continue
        [container] = pod.containers
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        for name in ("startupProbe", "livenessProbe", "readinessProbe"):
            probe = container[name]
            assert probe["timeoutSeconds"] >= 2, (pod.name, name)
            for kind in ("httpGet", "tcpSocket", "grpc"):
                if kind in probe:
                    assert probe[kind]["port"] in {*ports, *ports.values()}, (pod.name, name)


def test_ports_are_those_that_soma_listens_on(manifests: Manifests, tmp_path: Path) -> None:
    for component, setting in (("api", "port"), ("worker", "worker_port")):
        pod = manifests.pod(component)
        [port] = pod.containers[0]["ports"]
        assert port["containerPort"] == getattr(settings_of(manifests, pod, tmp_path), setting)


def test_the_door_of_grpc_listens_where_it_is_asked(chart: None) -> None:
    manifests = rendered_with("prod-ha", "--set=grpc.enabled=true")
    pod = manifests.pod("grpc")
    [port] = pod.containers[0]["ports"]

    assert str(port["containerPort"]) == manifests.environment(pod)["SOMA_GRPC_PORT"]
    assert pod.containers[0]["readinessProbe"]["grpc"]["port"] == port["containerPort"]
    assert manifests.of("Service")["soma-grpc"]["spec"]["ports"][0]["targetPort"] == port["name"]


def test_whoever_stops_is_given_the_time_that_soma_takes(manifests: Manifests) -> None:
    for component, grace in (("api", server.GRACE_SECONDS), ("worker", program.GRACE_SECONDS)):
        pod = manifests.pod(component)
        hook = pod.containers[0].get("lifecycle", {}).get("preStop", {"sleep": {"seconds": 0}})
        wanted = hook["sleep"]["seconds"] + grace + CLOSING_SECONDS
        assert pod.spec["terminationGracePeriodSeconds"] >= wanted, component
        if component == "api":
            assert hook["sleep"]["seconds"] > 0


def test_an_update_never_takes_a_replica_before_the_next_one_serves(manifests: Manifests) -> None:
    for deployment in manifests.of("Deployment").values():
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {
            "maxSurge": 1,
            "maxUnavailable": 0,
        }


def test_owners_select_their_own_pods_and_no_others(manifests: Manifests) -> None:
    for pod in manifests.pods:
        if "selector" in pod.owner["spec"]:
            selector = pod.owner["spec"]["selector"]
            assert [p.name for p in manifests.pods if is_selected(p.labels, selector)] == [pod.name]


def test_every_service_finds_pods_with_the_port_it_names(manifests: Manifests) -> None:
    for name, service in manifests.of("Service").items():
        selector = {"matchLabels": service["spec"]["selector"]}
        [pod] = [p for p in manifests.pods if is_selected(p.labels, selector)]
        ports = {p["name"] for c in pod.containers for p in c["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports, name
    for name, owner in manifests.of("StatefulSet").items():
        assert owner["spec"]["serviceName"] in manifests.of("Service"), name


def test_the_ingress_shows_routes_that_exist_and_no_others(
    production: Manifests, routes: dict[str, set[str]]
) -> None:
    services = production.of("Service")
    for ingress in production.of("Ingress").values():
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                ports = services[backend["name"]]["spec"]["ports"]
                assert backend["port"]["name"] in {port["name"] for port in ports}
                if backend["name"].endswith("-api"):
                    known = routes["api"]
                    assert any(r == path["path"] or r.startswith(f"{path['path']}/") for r in known)
                    assert not any(
                        hidden.startswith(path["path"]) for hidden in ("/metrics", "/readyz")
                    )


def test_what_is_named_exists_or_is_yours(manifests: Manifests) -> None:
    yours = {"soma-secrets", "authorities", "erasures"}
    for pod in manifests.pods:
        assert pod.spec["serviceAccountName"] in manifests.of("ServiceAccount")
        for container in pod.containers:
            for source in container.get("envFrom", []):
                assert source["configMapRef"]["name"] in manifests.of("ConfigMap")
            for variable in container.get("env", []):
                if "valueFrom" in variable:
                    reference = variable["valueFrom"]["secretKeyRef"]
                    assert reference["key"] in manifests.of("Secret")[reference["name"]]["data"]
        for volume in pod.spec.get("volumes", []):
            if "persistentVolumeClaim" in volume:
                claim = volume["persistentVolumeClaim"]["claimName"]
                assert claim in manifests.of("PersistentVolumeClaim").keys() | yours
            if "secret" in volume:
                name = volume["secret"]["secretName"]
                made = manifests.of("Secret").get(name)
                assert made or name in yours
                if made:
                    assert {i["key"] for i in volume["secret"]["items"]} <= made["data"].keys()


def test_every_object_is_labelled_as_others_label_theirs(manifests: Manifests) -> None:
    wanted = {
        *("app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/version"),
        *("app.kubernetes.io/managed-by", "app.kubernetes.io/part-of", "helm.sh/chart"),
    }
    for item in manifests.all:
        assert wanted <= item["metadata"]["labels"].keys(), item["metadata"]["name"]
        assert item["metadata"]["namespace"] == "default"
    names = [(item["kind"], item["metadata"]["name"]) for item in manifests.all]
    assert len(names) == len(set(names))


def test_changed_settings_start_new_pods(chart: None) -> None:
    def checksum(manifests: Manifests, component: str) -> str:
        annotations = manifests.pod(component).owner["spec"]["template"]["metadata"]["annotations"]
        found: str = annotations["checksum/config"]
        return found

    before = rendered_with("prod-ha")
    after = rendered_with("prod-ha", "--set=settings.k_max=50")

    for component in ("api", "worker"):
        assert checksum(before, component) == checksum(rendered_with("prod-ha"), component)
        assert checksum(before, component) != checksum(after, component)


def test_a_large_number_stays_a_number(chart: None, tmp_path: Path) -> None:
    """Helm reads the numbers of a file as floats, and would write 5.36870912e+08."""
    values = tmp_path / "values.yaml"
    values.write_text(
        "settings: {fastcore_bytes: 536870912}\napi: {settings: {redis_timeout_seconds: 0.25}}\n"
    )
    manifests = rendered_with("prod-ha", f"--values={values}")

    pod = manifests.pod("api")
    settings = settings_of(manifests, pod, tmp_path)

    assert manifests.environment(pod)["SOMA_FASTCORE_BYTES"] == "536870912"
    assert settings.fastcore_bytes == 536870912
    assert settings.redis_timeout_seconds == 0.25
    assert settings.background_embedding is False


def test_a_role_may_differ_from_the_rest(chart: None, tmp_path: Path) -> None:
    manifests = rendered_with(
        "prod-ha", "--set=settings.k_max=50,api.settings.k_max=60,api.settings.log_level=debug"
    )

    api = settings_of(manifests, manifests.pod("api"), tmp_path)
    worker = settings_of(manifests, manifests.pod("worker"), tmp_path)

    assert (api.k_max, api.log_level) == (60, "debug")
    assert (worker.k_max, worker.log_level) == (50, "info")
