"""One installation per test module, and a namespace per test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.failures.cluster import Cluster, running_cluster
from tests.failures.story import Story, client
from tests.servers.server import ServerProcess


@dataclass(frozen=True)
class Installation:
    """A cluster with two API replicas and a worker, and clients of each."""

    cluster: Cluster
    one: httpx.Client
    two: httpx.Client
    worker: httpx.Client
    processes: dict[str, ServerProcess]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Give servers that may be killed."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def installation(cluster: Cluster) -> Iterator[Installation]:
    """Give two replicas and a worker on them."""
    processes = {"one": cluster.api("one"), "two": cluster.api("two"), "worker": cluster.worker()}
    one, two, worker = (client(process.url) for process in processes.values())
    with one, two, worker:
        yield Installation(cluster, one, two, worker, processes)


@pytest.fixture
def story(request: pytest.FixtureRequest) -> Story:
    """Give a namespace that nobody else uses."""
    return Story("acme/" + re.sub(r"[^a-z0-9_-]+", "-", request.node.name.lower()))
