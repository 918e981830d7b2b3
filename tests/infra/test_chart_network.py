"""The network policies let through what Soma needs, and nothing else.

A small model of how Kubernetes reads them: a pod that some policy selects may do what one of those
policies allows.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from adapters.environment import Settings
from tests.infra.manifests import Manifests, Object, Pod, is_selected, rendered_with
from tests.infra.test_chart_wiring import settings_of

Place = Pod | str
"""Where a packet comes from or goes to: a pod of the chart, or an address outside of it."""

OUTSIDE = "203.0.113.7"
CALLERS = ("api", "worker", "migrate")
STORE_PORTS = {"postgres": 5432, "redis": 6379, "qdrant": 6333, "kafka": 9092}


def allows(manifests: Manifests, source: Place, target: Place, port: int) -> bool:
    """Tell whether a TCP connection comes about: both ends have to agree."""
    return _agrees(manifests, source, target, port, "Egress") and _agrees(
        manifests, target, source, port, "Ingress"
    )


def _agrees(manifests: Manifests, here: Place, there: Place, port: int, way: str) -> bool:
    if isinstance(here, str):
        return True
    policies = [
        policy["spec"]
        for policy in manifests.of("NetworkPolicy").values()
        if way in policy["spec"]["policyTypes"]
        and is_selected(here.labels, policy["spec"]["podSelector"])
    ]
    rules = [rule for policy in policies for rule in policy.get(way.lower(), [])]
    assert policies, f"nothing is denied to {here.name}"
    return any(_matches(rule, there, port, "from" if way == "Ingress" else "to") for rule in rules)


def _matches(rule: Object, there: Place, port: int, side: str) -> bool:
    ports = [p["port"] for p in rule["ports"] if p["protocol"] == "TCP"]
    peers = rule.get(side)
    return port in ports and (peers is None or any(_is_peer(peer, there) for peer in peers))


def _is_peer(peer: Object, there: Place) -> bool:
    if isinstance(there, str):
        address = ipaddress.ip_address(there)
        return "ipBlock" in peer and address in ipaddress.ip_network(peer["ipBlock"]["cidr"])
    return "namespaceSelector" not in peer and is_selected(there.labels, peer["podSelector"])


def asked_ports(settings: Settings) -> set[int]:
    """Return the ports of every server that the settings name."""
    urls = [settings.postgres_url, settings.redis_url, settings.qdrant_url, settings.embedder_url]
    found = {urlsplit(url).port or 0 for url in urls if url}
    found |= {
        int(server.rpartition(":")[2]) for server in (settings.kafka_servers or "").split(",")
    }
    return found | ({settings.qdrant_grpc_port} if settings.qdrant_grpc_port else set())


def test_every_pod_is_denied_everything_at_first(manifests: Manifests) -> None:
    [policy] = [p["spec"] for n, p in manifests.of("NetworkPolicy").items() if "nothing" in n]

    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & policy.keys()
    assert all(is_selected(pod.labels, policy["podSelector"]) for pod in manifests.pods)


def test_every_policy_selects_pods_that_exist(manifests: Manifests) -> None:
    for name, policy in manifests.of("NetworkPolicy").items():
        selector = policy["spec"]["podSelector"]
        assert any(is_selected(pod.labels, selector) for pod in manifests.pods), name


def test_production_reaches_every_server_it_is_told_of(
    production: Manifests, tmp_path: Path
) -> None:
    for component in ("api", "worker", "backup"):
        pod = production.pod(component)
        ports = asked_ports(settings_of(production, pod, tmp_path))
        assert len(ports) >= 4
        for port in ports:
            assert allows(production, pod, OUTSIDE, port), (component, port)
        for port in (22, 80, 8420):
            assert not allows(production, pod, OUTSIDE, port), (component, port)


def test_the_migration_reaches_the_database_alone(production: Manifests) -> None:
    pod = production.pod("migrate")

    assert allows(production, pod, OUTSIDE, 5432)
    for port in (6379, 6333, 9093, 443):
        assert not allows(production, pod, OUTSIDE, port)


def test_addresses_narrow_where_production_goes(chart: None) -> None:
    manifests = rendered_with("prod-ha", "--set=postgres.cidrs={10.1.0.0/16}")

    for component in ("api", "migrate"):
        pod = manifests.pod(component)
        assert allows(manifests, pod, "10.1.2.3", 5432)
        assert not allows(manifests, pod, OUTSIDE, 5432)


def test_development_reaches_its_own_servers_and_nothing_outside(development: Manifests) -> None:
    for component in CALLERS:
        pod = development.pod(component)
        assert allows(development, pod, development.pod("postgres"), 5432)
        for port in (443, 5432, 9092):
            assert not allows(development, pod, OUTSIDE, port)
    for component in ("api", "worker"):
        for server, port in STORE_PORTS.items():
            assert allows(development, development.pod(component), development.pod(server), port)


def test_servers_answer_soma_and_speak_to_nobody(development: Manifests) -> None:
    for server, port in STORE_PORTS.items():
        pod = development.pod(server)
        assert not allows(development, OUTSIDE, pod, port)
        for other in STORE_PORTS.keys() - {server}:
            assert not allows(development, pod, development.pod(other), STORE_PORTS[other])
        assert not allows(development, pod, development.pod("api"), 8420)
    kafka = development.pod("kafka")
    assert allows(development, kafka, kafka, 9092), "a broker finds itself by its advertised name"


@pytest.mark.parametrize("component", ["api", "worker", "grpc"])
def test_only_whom_you_name_comes_in(chart: None, component: str) -> None:
    manifests = rendered_with("prod-ha", "--set=grpc.enabled=true")
    policy = manifests.of("NetworkPolicy")[f"soma-{component}"]["spec"]
    spaces = {"api": {"ingress", "monitoring"}, "worker": {"monitoring"}, "grpc": {"ingress"}}

    [rule] = policy["ingress"]

    found = {
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for peer in rule["from"]
    }
    assert found == spaces[component]
    [port] = rule["ports"]
    [own] = manifests.pod(component).containers[0]["ports"]
    assert port["port"] == own["containerPort"]


def test_names_are_looked_up_where_the_cluster_does(manifests: Manifests) -> None:
    for component in CALLERS:
        labels = manifests.pod(component).labels
        rules = [
            rule
            for policy in manifests.of("NetworkPolicy").values()
            if is_selected(labels, policy["spec"]["podSelector"])
            for rule in policy["spec"].get("egress", [])
        ]
        [dns] = [rule for rule in rules if {"protocol": "UDP", "port": 53} in rule["ports"]]
        assert {"protocol": "TCP", "port": 53} in dns["ports"]
        assert dns["to"]
