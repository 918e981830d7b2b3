"""Rendered charts, and the few questions that tests ask about them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from infra.chart import EXAMPLES, objects, render

ROOT = Path(__file__).resolve().parents[2]
Object = dict[str, Any]

_PROD = f"--values={EXAMPLES['prod-ha']}"
_EVERYTHING = (
    "--set=ingress.grpc.enabled=true,ingress.grpc.host=grpc.example.com"
    ",ingress.grpc.tlsSecretName=grpc-tls,certificates.secretName=authorities"
    ",secrets.keys.kafka_password=kafka-password,settings.kafka_security=sasl_ssl"
    ",settings.kafka_user=soma,settings.embedder_url=https://embed.example.com:8443/v1"
    ",settings.qdrant_grpc_port=6334,erasureLedger.existingClaim=erasures"
)
#: Name: profile, and options of helm's.
VARIANTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "local-dev": ("local-dev", ()),
    "prod-ha": ("prod-ha", (_PROD,)),
    "prod-ha with everything": ("prod-ha", (_PROD, _EVERYTHING)),
}


@dataclass(frozen=True)
class Pod:
    """The pods that one object makes."""

    owner: Object
    labels: dict[str, str]
    spec: Object

    @property
    def name(self) -> str:
        """Kind and name of the owner."""
        return f"{self.owner['kind']} {self.owner['metadata']['name']}"

    @property
    def component(self) -> str:
        """What the pods are."""
        return self.labels["app.kubernetes.io/component"]

    @property
    def containers(self) -> list[Object]:
        """Every container."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def is_ours(self) -> bool:
        """Tell Soma's own processes from the servers."""
        return bool(self.owner["kind"] != "StatefulSet")


class Manifests:
    """Everything that a chart makes."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.all: list[Object] = objects(text)

    def of(self, kind: str) -> dict[str, Object]:
        """Return the objects of a kind by name."""
        return {o["metadata"]["name"]: o for o in self.all if o["kind"] == kind}

    @cached_property
    def pods(self) -> list[Pod]:
        """Every template of pods."""
        return list(self._pods())

    def pod(self, component: str) -> Pod:
        """Return the pods of one component."""
        [found] = [pod for pod in self.pods if pod.component == component]
        return found

    def environment(self, pod: Pod) -> dict[str, str]:
        """Return the variables of a pod's one container, as far as they are in the manifests."""
        [container] = pod.containers
        values: dict[str, str] = {}
        for source in container.get("envFrom", []):
            values |= self.of("ConfigMap")[source["configMapRef"]["name"]]["data"]
        values |= {v["name"]: v["value"] for v in container.get("env", []) if "value" in v}
        return values

    def _pods(self) -> Iterator[Pod]:
        for owner in self.all:
            match owner["kind"]:
                case "Deployment" | "StatefulSet" | "Job":
                    template = owner["spec"]["template"]
                case "CronJob":
                    template = owner["spec"]["jobTemplate"]["spec"]["template"]
                case _:
                    continue
            yield Pod(owner, template["metadata"]["labels"], template["spec"])


@cache
def rendered(variant: str) -> Manifests:
    """Render a variant, once."""
    profile, options = VARIANTS[variant]
    return Manifests(render(profile, options))


def rendered_with(variant: str, *more: str) -> Manifests:
    """Render a variant with more options."""
    profile, options = VARIANTS[variant]
    return Manifests(render(profile, (*options, *more)))


def is_selected(labels: Mapping[str, str], selector: Object) -> bool:
    """Tell whether a label selector selects these labels; an empty one selects everything."""
    exact = selector.get("matchLabels", {})
    chosen = selector.get("matchExpressions", [])
    assert {term["operator"] for term in chosen} <= {"In"}
    return all(labels.get(k) == v for k, v in exact.items()) and all(
        labels.get(term["key"]) in term["values"] for term in chosen
    )


def host_environment() -> dict[str, str]:
    """Return what programs started by tests need of the environment."""
    return {"PATH": os.environ["PATH"]}
