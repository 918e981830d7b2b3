"""A process takes in so many requests at a time, and tells the rest to come again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from application.access.seats import Kind, Seats
from container import Container
from entrypoints.http.admission import Bounded, kind_of
from entrypoints.http.app import create_app
from tests.end_to_end.embedded import installation

LIMIT = 4
CALLERS = 40


@asynccontextmanager
async def served(path: Path) -> AsyncIterator[tuple[Container, httpx.AsyncClient]]:
    """Give an installation with narrow limits, and a client of it."""
    limits = {"requests_reading_max": LIMIT, "requests_writing_max": LIMIT}
    async with installation(path, **limits) as soma:  # type: ignore[arg-type]
        transport = httpx.ASGITransport(app=create_app(soma))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield soma, client


def storing(client: httpx.AsyncClient, number: int) -> asyncio.Task[httpx.Response]:
    """Begin to store a memory."""
    body = {"content": f"memory {number}", "wait": "stored"}
    return asyncio.create_task(client.post("/v1/memories", json=body))


async def answered(tasks: list[asyncio.Task[httpx.Response]], count: int) -> None:
    """Wait until so many have an answer."""
    while sum(task.done() for task in tasks) < count:
        await asyncio.wait(
            [task for task in tasks if not task.done()], return_when=asyncio.FIRST_COMPLETED
        )


async def test_what_would_only_queue_is_refused_at_once(tmp_path: Path) -> None:
    async with served(tmp_path) as (soma, client):
        async with soma.store().writing():
            tasks = [storing(client, number) for number in range(CALLERS)]
            await answered(tasks, CALLERS - LIMIT)
            refused = [task.result() for task in tasks if task.done()]
            health = await client.get("/healthz")
            listed = await client.get("/v1/memories")
        answers = await asyncio.gather(*tasks)

    assert len(refused) == CALLERS - LIMIT
    assert {one.status_code for one in refused} == {503}
    assert {one.headers["Retry-After"] for one in refused} == {"1"}
    assert {one.json()["type"] for one in refused} == {"urn:somafractalmemory:problem:overloaded"}
    assert sorted(one.status_code for one in answers) == [201] * LIMIT + [503] * len(refused)
    assert health.status_code == listed.status_code == 200


async def test_room_comes_back_whatever_a_request_ended_with(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client):
        for _ in range(3 * LIMIT):
            assert (await client.post("/v1/memories", json={"content": ""})).status_code == 400
            assert (await client.post("/v1/recall", content=b"{")).status_code == 400
            assert (await client.get("/v1/memories/unknown")).status_code == 404

        assert (await client.post("/v1/memories", json={"content": "kept"})).status_code == 201


async def test_counts_those_inside_and_no_others() -> None:
    seats = Seats(reading_max=1, writing_max=1)
    bounded = Bounded(seats, body_seconds=1.0)
    leave = asyncio.Event()

    async def app(*_: object) -> None:
        await leave.wait()

    scope = {"method": "GET", "path_template": "/v1/memories"}
    inside = asyncio.create_task(bounded.handle(scope, None, None, app))  # type: ignore[arg-type]
    gone = asyncio.create_task(
        bounded.handle({**scope, "method": "POST"}, None, None, app)  # type: ignore[arg-type]
    )
    await asyncio.sleep(0)
    assert seats.inside == {Kind.READING: 1, Kind.WRITING: 1}

    gone.cancel()
    leave.set()
    await asyncio.wait([inside, gone])
    assert seats.inside == {Kind.READING: 0, Kind.WRITING: 0}


@pytest.mark.parametrize(
    ("method", "route", "kind"),
    [
        ("POST", "/v1/recall", Kind.READING),
        ("POST", "/v1/recall/batch", Kind.READING),
        ("GET", "/v1/export", Kind.READING),
        ("POST", "/v1/memories", Kind.WRITING),
        ("DELETE", "/v1/memories/{memory_id:str}", Kind.WRITING),
        ("POST", "/v1/import", Kind.WRITING),
        ("GET", "/v1/events", None),
        ("GET", "/readyz", None),
        ("POST", "/mcp", None),
    ],
)
def test_knows_what_each_request_does(method: str, route: str, kind: Kind | None) -> None:
    assert kind_of(method, route) == kind
