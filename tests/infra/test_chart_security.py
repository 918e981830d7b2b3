"""What no installation may lack, whatever the profile."""

from __future__ import annotations

import base64
import re

import yaml

from adapters.environment.settings import SECRETS
from tests.infra.manifests import ROOT, Manifests, rendered, rendered_with


def test_no_process_is_root_or_can_become_it(manifests: Manifests) -> None:
    for pod in manifests.pods:
        security = pod.spec["securityContext"]
        assert security["runAsNonRoot"] is True, pod.name
        assert min(security[n] for n in ("runAsUser", "runAsGroup", "fsGroup")) > 0, pod.name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, pod.name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.spec.keys(), pod.name
        for container in pod.containers:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, pod.name


def test_what_can_be_written_has_a_limit_or_is_a_claim(manifests: Manifests) -> None:
    for pod in manifests.pods:
        claimed = {c["metadata"]["name"] for c in pod.owner["spec"].get("volumeClaimTemplates", [])}
        volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
        for container in pod.containers:
            for mount in container["volumeMounts"]:
                volume = volumes.get(mount["name"], {})
                assert (
                    mount["name"] in claimed
                    or mount.get("readOnly")
                    or "persistentVolumeClaim" in volume
                    or volume["emptyDir"]["sizeLimit"]
                ), (pod.name, mount)
            assert volumes.keys() | claimed == {m["name"] for m in container["volumeMounts"]}


def test_every_container_asks_for_resources_and_is_limited(manifests: Manifests) -> None:
    for pod in manifests.pods:
        for container in pod.containers:
            for kind in ("requests", "limits"):
                assert {"cpu", "memory"} <= container["resources"][kind].keys(), pod.name


def test_nobody_is_told_of_services_or_given_a_token(manifests: Manifests) -> None:
    accounts = manifests.of("ServiceAccount")
    for pod in manifests.pods:
        assert pod.spec["enableServiceLinks"] is False, pod.name
        assert pod.spec["automountServiceAccountToken"] is False, pod.name
        account = accounts[pod.spec["serviceAccountName"]]
        assert account["automountServiceAccountToken"] is False, pod.name
    assert not {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"} & {
        item["kind"] for item in manifests.all
    }


def test_every_image_has_a_version(manifests: Manifests) -> None:
    for pod in manifests.pods:
        for container in pod.containers:
            tag = container["image"].rpartition("/")[2].partition(":")[2]
            assert tag, container["image"]
            assert tag != "latest", container["image"]


def test_a_digest_wins_over_a_tag(chart: None) -> None:
    digest = f"sha256:{'a' * 64}"
    found = rendered_with("prod-ha", f"--set=image.digest={digest}")

    image = found.pod("api").containers[0]["image"]

    assert image == f"registry.example.com/somafractalmemory@{digest}"


def test_the_servers_are_those_of_compose(development: Manifests) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name in ("postgres", "redis", "qdrant", "kafka"):
        default = re.fullmatch(r"\$\{[A-Z_]+:-(.+)\}", services[name]["image"])
        assert default is not None
        assert development.pod(name).containers[0]["image"] == default[1]


def test_production_brings_no_secret_of_its_own(production: Manifests) -> None:
    assert production.of("Secret") == {}
    names = {volume["secret"]["secretName"] for volume in _secret_volumes(production)}
    assert "soma-secrets" in names


def test_development_makes_secrets_nobody_could_know(development: Manifests) -> None:
    again = rendered_with("local-dev").of("Secret")["soma"]["data"]
    [secret] = development.of("Secret").values()

    values = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}

    assert secret["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    for key in ("bootstrap-key", "postgres-password", "redis-password", "qdrant-api-key"):
        assert re.fullmatch("[A-Za-z0-9]{40}", values[key]), key
        assert again[key] != secret["data"][key]
    assert values["postgres-password"] in values["postgres-url"]
    assert values["redis-password"] in values["redis-url"]


def test_no_secret_stands_where_it_can_be_read(manifests: Manifests) -> None:
    """Not among the settings, not in the environment: Soma's come as files for it alone."""
    variables = {f"SOMA_{name.upper()}" for name in SECRETS}
    for config in manifests.of("ConfigMap").values():
        assert not variables & config["data"].keys()
    for pod in manifests.pods:
        for container in pod.containers:
            for variable in container.get("env", []):
                assert variable["name"] not in variables, pod.name
                if re.search("(PASSWORD|API_KEY|_AUTH)$", variable["name"]):
                    assert "secretKeyRef" in variable["valueFrom"], (pod.name, variable)
    for volume in _secret_volumes(manifests):
        assert volume["secret"]["defaultMode"] == 0o440


def test_a_rendered_secret_is_in_no_other_object(development: Manifests) -> None:
    [secret] = development.of("Secret").values()
    values = [base64.b64decode(value).decode() for value in secret["data"].values()]
    others = yaml.safe_dump([item for item in development.all if item["kind"] != "Secret"])

    assert not [value for value in values if value in others]


def test_clients_speak_tls(production: Manifests) -> None:
    assert production.of("Ingress")
    for ingress in production.of("Ingress").values():
        [tls] = ingress["spec"]["tls"]
        assert tls["secretName"]
        assert tls["hosts"] == [rule["host"] for rule in ingress["spec"]["rules"]]


def test_what_a_laptop_runs_is_not_reachable_from_outside(development: Manifests) -> None:
    assert development.of("Ingress") == {}
    assert {s["spec"].get("type", "ClusterIP") for s in development.of("Service").values()} == {
        "ClusterIP"
    }


def test_the_variants_differ_by_what_they_should(chart: None) -> None:
    """A guard for the tests above: they look at stores, doors and jobs, not at nothing."""
    components = {pod.component for pod in rendered("local-dev").pods}
    assert components == {"api", "worker", "migrate", "postgres", "redis", "qdrant", "kafka"}
    components = {pod.component for pod in rendered("prod-ha with everything").pods}
    assert components == {"api", "worker", "grpc", "migrate", "backup"}


def _secret_volumes(manifests: Manifests) -> list[dict[str, dict[str, object]]]:
    return [
        volume
        for pod in manifests.pods
        for volume in pod.spec.get("volumes", [])
        if "secret" in volume
    ]
