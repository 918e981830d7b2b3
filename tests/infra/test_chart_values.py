"""What is missing or misspelt is refused, with a sentence that says what to do."""

from __future__ import annotations

import json

import pytest

from adapters.environment.settings import SECRETS
from infra.chart import CHART, ChartRefused, render
from tests.infra.manifests import rendered_with

pytestmark = pytest.mark.usefixtures("chart")


def test_production_without_what_only_you_know_names_all_of_it() -> None:
    with pytest.raises(ChartRefused) as refusal:
        render("prod-ha")

    for missing in (
        *("secrets.existingSecret", "there is no default key and no default password"),
        *("qdrant.url", "kafka.servers", "ingress.host", "ingress.tlsSecretName"),
        *("networkPolicy.clients", "networkPolicy.scrapers"),
    ):
        assert missing in str(refusal.value)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ("secrets.existingSecret=", "secrets.existingSecret: name a Secret"),
        ("secrets.generate=true", "secrets.generate: there is an existingSecret already"),
        ("secrets.existingSecret=,secrets.generate=true", "cannot be made up"),
        ("secrets.keys.bootstrap_key=null", "needs an admin key"),
        ("secrets.keys.postgres_url=null", "share a PostgreSQL database"),
        ("secrets.keys.redis_url=null", "without Redis set redis.source to none"),
        ("grpc.enabled=false,ingress.grpc.enabled=true", "needs grpc.enabled"),
        ("api.autoscaling.maxReplicas=2", "minReplicas is above maxReplicas"),
        ("api.disruptionBudget.maxUnavailable=3", "below the number of replicas"),
        ("worker.replicas=1", "worker.disruptionBudget: maxUnavailable must be below"),
        ("api.preStopSeconds=20", "api.terminationGracePeriodSeconds: must be at least"),
        ("image.tag=latest", "/image/tag"),
        ("image.repository=soma:1", "/image/repository"),
        ("image.digest=sha256:1", "/image/digest"),
        ("postgres.image=postgres", "/postgres/image"),
        ("postgres.image=postgres:latest", "/postgres/image"),
        ("postgres.source=none", "/postgres/source"),
        ("qdrant.url=http://name:secret@host", "/qdrant/url"),
        ("kafka.servers=kafka", "/kafka/servers"),
        ("api.replicas=0", "/api/replicas"),
        ("api.replica=2", "additional properties 'replica' not allowed"),
        ("apis.replicas=2", "additional properties 'apis' not allowed"),
        ("api.resources.limits=null", "limits"),
        ("settings.port=80", "'port'"),
        ("api.settings.host=::", "'host'"),
        ("settings.embedder_url=http://name:secret@host/v1", "/settings/embedder_url"),
        ("networkPolicy.clients[0].cidr=10.0.0.0/8", "additional properties 'cidr' not allowed"),
        ("backup.schedule=daily", "/backup/schedule"),
    ],
)
def test_values_that_cannot_be_right_are_refused(values: str, reason: str) -> None:
    with pytest.raises(ChartRefused) as refusal:
        rendered_with("prod-ha", f"--set={values}")

    assert reason in str(refusal.value)


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_secret_among_the_settings_is_refused_and_as_a_secret_accepted(name: str) -> None:
    with pytest.raises(ChartRefused, match=f"'{name}'"):
        rendered_with("prod-ha", f"--set-string=settings.{name}=a-secret")

    manifests = rendered_with("prod-ha", f"--set=secrets.keys.{name}=some-key")

    path = manifests.environment(manifests.pod("api"))[f"SOMA_{name.upper()}_FILE"]
    assert path == f"/etc/soma/secrets/{name}"


@pytest.mark.parametrize("server", ["redis", "qdrant", "kafka"])
def test_a_server_may_be_left_out(server: str) -> None:
    manifests = rendered_with("local-dev", f"--set={server}.source=none")

    names = " ".join(manifests.environment(manifests.pod("api")))

    assert server.upper() not in names
    assert server not in {pod.component for pod in manifests.pods}
    assert f"soma-{server}" not in manifests.of("NetworkPolicy")


def test_network_policies_may_be_left_to_others() -> None:
    manifests = rendered_with("prod-ha", "--set=networkPolicy.enabled=false")

    assert manifests.of("NetworkPolicy") == {}


def test_two_releases_do_not_meet() -> None:
    first = rendered_with("prod-ha", "--set=fullnameOverride=one")
    second = rendered_with("prod-ha", "--set=fullnameOverride=two")

    assert not {(item["kind"], item["metadata"]["name"]) for item in first.all} & {
        (item["kind"], item["metadata"]["name"]) for item in second.all
    }


def test_the_schema_is_strict_about_every_object_it_knows() -> None:
    """Objects of Kubernetes' own form, checked after rendering, and maps of names are not."""

    def loose(node: object, path: str = "") -> list[str]:
        if isinstance(node, list):
            return [found for item in node for found in loose(item, path)]
        if not isinstance(node, dict):
            return []
        own = (
            [path] if "properties" in node and node.get("additionalProperties") is not False else []
        )
        return own + [
            found for key, child in node.items() for found in loose(child, f"{path}/{key}")
        ]

    schema = json.loads((CHART / "values.schema.json").read_text())

    assert loose({key: value for key, value in schema.items() if key != "properties"}) == []
    assert loose(schema["properties"]) == []
    assert schema["additionalProperties"] is False
