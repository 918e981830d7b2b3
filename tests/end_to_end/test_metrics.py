"""What `/metrics` shows of a process, and of one whose store is away."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from adapters.environment import load_settings
from container import Container, build, running
from domain.draft import Draft
from domain.namespace import Namespace, Scope
from domain.recall import RecallQuery
from entrypoints.http.app import create_app
from entrypoints.metrics.catalogue import METRICS
from entrypoints.worker.health import health_app


@pytest.fixture
def container(tmp_path: Path) -> Container:
    """An installation that is not open yet."""
    given = {"data_dir": tmp_path, "embedder": "none", "vector_dimension": 2}
    return build(load_settings({}, given))


async def scraped(container: Container, *, worker: bool = False) -> dict[str, float]:
    """Return every sample by its name and labels."""
    app = health_app(container) if worker else create_app(container)
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        answer = await http.get("/metrics")
    assert answer.status_code == 200, answer.text
    announced = set(re.findall(r"^# TYPE (\w+)", answer.text, re.MULTILINE))
    endings = {"counter": "_total", "histogram": "", "gauge": ""}
    assert {metric.name + endings[metric.kind] for metric in METRICS} <= announced
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def use(container: Container) -> None:
    """Store and recall once."""
    draft = Draft(content="a kettle", namespace="acme", vector=(1.0, 0.0))
    await container.remember()(draft, actor="tester")
    query = RecallQuery(text="kettle", vector=(1.0, 0.0), scope=Scope(Namespace("acme")))
    await container.recall()(query)


@pytest.mark.parametrize("worker", [False, True])
async def test_what_was_done_and_what_there_is_can_be_read(
    container: Container, worker: bool
) -> None:
    async with running(container):
        await use(container)
        samples = await scraped(container, worker=worker)

    for use_case in ("remember", "recall"):
        done = f'soma_use_case_seconds_count{{outcome="ok",use_case="{use_case}"}}'
        assert samples[done] == 1
    written = 'soma_adapter_seconds_count{operation="write",outcome="ok",port="store"}'
    assert samples[written] >= 1
    assert samples['soma_dependency_up{dependency="store"}'] == 1
    assert samples['soma_fastcore_rows{part="vectors"}'] == 1
    assert samples['soma_fastcore_bytes{part="words"}'] > 0
    assert samples["soma_pending_vectors"] == 0
    assert [value for name, value in samples.items() if name.startswith("soma_build_info")] == [1]


@pytest.mark.parametrize("worker", [False, True])
async def test_levels_of_a_store_that_went_away_are_not_shown_any_more(
    container: Container, worker: bool
) -> None:
    async with running(container):
        assert "soma_pending_vectors" in await scraped(container, worker=worker)

    samples = await scraped(container, worker=worker)

    assert samples['soma_dependency_up{dependency="store"}'] == 0
    assert "soma_pending_vectors" not in samples
    assert not [name for name in samples if name.startswith("soma_projection_lag_events")]
