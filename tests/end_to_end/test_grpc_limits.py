"""What the gRPC door takes in at a time, and what it says to bytes that are no message."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from entrypoints.grpc.service import OPERATIONS
from entrypoints.grpc.wire import memory_pb2 as wire
from tests.end_to_end.grpc_client import Doors, Refusal, both_doors, refusal_of

SPACE = "acme"
LIMIT = 2
CALLERS = 10
KEY = "a long admin key"
NO_MESSAGE = b"\xff\xff\xff\xff"
#: The field `query` of a recall, holding bytes that are no UTF-8.
NO_TEXT = wire.RecallRequest(query="??").SerializeToString().replace(b"??", b"\xff\xfe")
SERVICE = "/soma.v1.MemoryService"


@pytest.fixture
async def narrow(tmp_path: Path) -> AsyncIterator[Doors]:
    """Both doors of an installation that does little at a time."""
    async with both_doors(tmp_path, requests_reading_max=1, requests_writing_max=LIMIT) as doors:
        yield doors


def storing(doors: Doors, number: int) -> asyncio.Task[wire.StoreResponse]:
    """Begin to store a memory."""
    draft = wire.Draft(content=f"memory {number}", namespace=SPACE)
    request = wire.StoreRequest(memory=draft, wait=wire.WAIT_STORED)

    async def stored() -> wire.StoreResponse:
        answer: wire.StoreResponse = await doors.stub.Store(request)
        return answer

    return asyncio.create_task(stored())


def refusals(tasks: list[asyncio.Task[wire.StoreResponse]]) -> list[Refusal]:
    """Return how those were refused that were."""
    errors = [task.exception() for task in tasks if task.done()]
    return [refusal_of(error) for error in errors if isinstance(error, grpc.aio.AioRpcError)]


async def test_what_would_only_queue_is_refused_whatever_door_it_comes_through(
    narrow: Doors,
) -> None:
    async with narrow.container.store().writing():
        tasks = [storing(narrow, number) for number in range(CALLERS)]
        while len(refusals(tasks)) < CALLERS - LIMIT:
            waiting = [task for task in tasks if not task.done()]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        over_rest = await narrow.http.post("/v1/memories", json={"content": "one more"})
        read = await narrow.http.get("/v1/memories")
    await asyncio.wait(tasks)

    refused = refusals(tasks)
    assert CALLERS - LIMIT == len(refused)
    assert {("overloaded", grpc.StatusCode.UNAVAILABLE, True)} == {
        (one.slug, one.code, one.retry) for one in refused
    }
    assert (503, 200) == (over_rest.status_code, read.status_code)
    assert 201 == (await narrow.http.post("/v1/memories", json={"content": "x"})).status_code


async def test_a_batch_is_one_request_and_streams_are_none(narrow: Doors) -> None:
    memories = [wire.Draft(content=f"note {n}", namespace=SPACE) for n in range(20)]
    await narrow.stub.StoreBatch(iter([wire.StoreBatchRequest(memory=m) for m in memories]))
    watches = [narrow.stub.Watch(wire.WatchRequest(namespace=SPACE)) for _ in range(5)]
    for watch in watches:
        assert 1 == (await watch.read()).event.seq

    found = await narrow.stub.Recall(wire.RecallRequest(namespace=SPACE, query="note"))

    assert found.hits
    for watch in watches:
        watch.cancel()


async def test_a_batch_that_does_not_arrive_gives_its_place_back(tmp_path: Path) -> None:
    async def unending() -> AsyncIterator[wire.StoreBatchRequest]:
        yield wire.StoreBatchRequest(memory=wire.Draft(content="first", namespace=SPACE))
        await asyncio.Event().wait()

    async with both_doors(tmp_path, requests_writing_max=1, body_timeout_seconds=0.1) as doors:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await doors.stub.StoreBatch(unending())
        refusal = refusal_of(raised.value)
        listed = await doors.http.get("/v1/memories", params={"namespace": SPACE})
        stored = await storing(doors, 1)

    assert (grpc.StatusCode.DEADLINE_EXCEEDED, "too-slow") == (refusal.code, refusal.slug)
    assert [] == listed.json()["items"]
    assert stored.memory.id


def raw(doors: Doors, method: str, kind: str = "unary_unary") -> Any:
    """Return a call that sends bytes as they are."""
    made = getattr(doors.channel, kind)
    return made(method, request_serializer=bytes, response_deserializer=bytes)


async def refused(call: Any) -> Refusal:
    """Return how a call is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await (call.read() if hasattr(call, "read") else call)
    return refusal_of(raised.value)


async def test_bytes_that_are_no_message_are_a_bad_request_of_every_call(
    narrow: Doors, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.WARNING)
    told = {}
    for name in OPERATIONS:
        method = f"{SERVICE}/{name}"
        if name == "StoreBatch":
            told[name] = await refused(raw(narrow, method, "stream_unary")(iter([NO_MESSAGE])))
        elif name == "Watch":
            told[name] = await refused(raw(narrow, method, "unary_stream")(NO_MESSAGE))
        else:
            told[name] = await refused(raw(narrow, method)(NO_MESSAGE))

    assert {(grpc.StatusCode.INVALID_ARGUMENT, "invalid-input")} == {
        (one.code, one.slug) for one in told.values()
    }
    assert ["messages[0]"] == list(told.pop("StoreBatch").fields)
    assert {("body",)} == {tuple(one.fields) for one in told.values()}
    assert not any("protobuf" in one.message for one in told.values())
    assert [] == caplog.records
    assert "" == capsys.readouterr().err


async def test_text_that_is_not_utf_8_is_a_bad_request(narrow: Doors) -> None:
    refusal = await refused(raw(narrow, f"{SERVICE}/Recall")(NO_TEXT))

    assert (grpc.StatusCode.INVALID_ARGUMENT, ["body"]) == (refusal.code, list(refusal.fields))
    assert "UTF-8" in refusal.message


async def test_a_bad_message_in_a_stream_is_named_and_nothing_is_stored(narrow: Doors) -> None:
    good = wire.StoreBatchRequest(memory=wire.Draft(content="good", namespace=SPACE))
    sent = iter([good.SerializeToString(), NO_MESSAGE])

    refusal = await refused(raw(narrow, f"{SERVICE}/StoreBatch", "stream_unary")(sent))
    listed = await narrow.http.get("/v1/memories", params={"namespace": SPACE})

    assert ["messages[1]"] == list(refusal.fields)
    assert [] == listed.json()["items"]


async def test_other_services_refuse_bad_bytes_too(
    narrow: Doors, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    reflection = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

    over_health = await refused(raw(narrow, "/grpc.health.v1.Health/Check")(NO_MESSAGE))
    watched = raw(narrow, "/grpc.health.v1.Health/Watch", "unary_stream")(NO_MESSAGE)
    reflected = raw(narrow, reflection, "stream_stream")(iter([NO_MESSAGE]))

    assert grpc.StatusCode.INVALID_ARGUMENT is over_health.code
    assert grpc.StatusCode.INVALID_ARGUMENT is (await refused(watched)).code
    assert grpc.StatusCode.INVALID_ARGUMENT is (await refused(reflected)).code
    assert [] == caplog.records
    good = raw(narrow, "/grpc.health.v1.Health/Check")
    assert await good(health_pb2.HealthCheckRequest().SerializeToString())


async def test_without_a_key_bad_bytes_are_told_nothing_else(tmp_path: Path) -> None:
    async with both_doors(tmp_path, bootstrap_key=KEY) as doors:
        refusal = await refused(raw(doors, f"{SERVICE}/Recall")(NO_MESSAGE))

    assert grpc.StatusCode.UNAUTHENTICATED is refusal.code
