"""The gRPC door: the same store, rules and refusals as the REST API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from entrypoints.grpc.service import OPERATIONS
from entrypoints.grpc.wire import memory_pb2 as wire
from tests.end_to_end.grpc_client import Doors, both_doors, refusal_of

SPACE = "acme/alice"


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[Doors]:
    """Both doors of an embedded installation."""
    async with both_doors(tmp_path) as opened:
        yield opened


def draft(content: str, **fields: object) -> wire.Draft:
    return wire.Draft(content=content, namespace=SPACE, **fields)  # type: ignore[arg-type]


async def stored(doors: Doors, content: str, **fields: object) -> wire.Memory:
    answer = await doors.stub.Store(wire.StoreRequest(memory=draft(content, **fields)))
    assert isinstance(answer, wire.StoreResponse)
    return answer.memory


def contents(answer: wire.RecallResponse) -> list[str]:
    return [hit.memory.content for hit in answer.hits]


async def test_what_is_stored_over_grpc_is_recalled_over_http_and_the_other_way_round(
    doors: Doors,
) -> None:
    await stored(doors, "The kettle stands on the stove.")
    await doors.http.post("/v1/memories", json={"namespace": SPACE, "content": "Tea is green."})

    over_http = await doors.http.post(
        "/v1/recall", json={"namespace": SPACE, "query": "where is the kettle"}
    )
    over_grpc = await doors.stub.Recall(wire.RecallRequest(namespace=SPACE, query="green tea"))

    assert over_http.json()["hits"][0]["memory"]["content"] == "The kettle stands on the stove."
    assert contents(over_grpc)[0] == "Tea is green."
    assert over_grpc.exact


async def test_a_memory_keeps_every_field(doors: Doors) -> None:
    moment = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    payload = {"big": 2**62 + 1, "deep": [1.5, None, {"a": True}]}

    kept = await stored(
        doors,
        "Alice prefers e-mail.",
        kind=wire.KIND_SEMANTIC,
        payload_json=json.dumps(payload),
        tags=["contact", "preference"],
        coordinate=[1.0, -2.5],
        importance=2.0,
        pinned=True,
        occurred_at=stamp,
        source=wire.Source(actor="alice", session="s1"),
    )

    got = (await doors.stub.Get(wire.GetRequest(id=kept.id))).memory
    over_http = (await doors.http.get(f"/v1/memories/{kept.id}")).json()
    assert got == kept
    assert (got.kind, got.pinned, got.importance) == (wire.KIND_SEMANTIC, True, 2.0)
    assert json.loads(got.payload_json) == payload == over_http["payload"]
    assert list(got.tags) == over_http["tags"]
    assert list(got.coordinate) == [1.0, -2.5]
    assert got.occurred_at.ToDatetime(UTC) == moment
    assert (got.source.actor, got.source.session) == ("alice", "s1")
    assert got.version == 1
    assert not got.HasField("valid_to")


async def test_the_parts_of_a_hit_sum_to_its_score(doors: Doors) -> None:
    await stored(doors, "The kettle stands on the stove.")

    answer = await doors.stub.Recall(
        wire.RecallRequest(namespace=SPACE, query="kettle", budget_tokens=50)
    )

    [hit] = answer.hits
    assert sum(hit.parts.values()) == pytest.approx(hit.score, abs=1e-6)
    assert "kettle" in answer.context


async def test_a_batch_is_stored_as_a_whole(doors: Doors) -> None:
    requests = [wire.StoreBatchRequest(memory=draft(f"note {number}")) for number in range(50)]

    answer = await doors.stub.StoreBatch(iter(requests))

    assert [result.memory.content for result in answer.results] == [
        f"note {number}" for number in range(50)
    ]


async def test_one_bad_memory_refuses_its_batch_and_is_named(doors: Doors) -> None:
    requests = [wire.StoreBatchRequest(memory=draft(text)) for text in ("good", "   ")]

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await doors.stub.StoreBatch(iter(requests))

    refusal = refusal_of(raised.value)
    assert (refusal.code, list(refusal.fields)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        ["memories[1].content"],
    )
    listed = await doors.http.get("/v1/memories", params={"namespace": SPACE})
    assert listed.json()["items"] == []


async def test_a_stream_longer_than_a_batch_may_be_is_refused(tmp_path: Path) -> None:
    async with both_doors(tmp_path, batch_max=3) as doors:
        requests = [wire.StoreBatchRequest(memory=draft(f"note {n}")) for n in range(4)]

        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await doors.stub.StoreBatch(iter(requests))

        assert list(refusal_of(raised.value).fields) == ["memories"]


async def test_revising_changes_clears_and_guards_against_lost_races(doors: Doors) -> None:
    memory = await stored(doors, "Bob lives in Bonn.", tags=["home"])

    revised = await doors.stub.Revise(
        wire.ReviseRequest(
            id=memory.id, content="Bob lives in Oslo.", clear=["tags"], expected_version=1
        )
    )
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await doors.stub.Revise(
            wire.ReviseRequest(id=memory.id, content="Bob lives in Rome.", expected_version=1)
        )

    assert (revised.memory.content, list(revised.memory.tags)) == ("Bob lives in Oslo.", [])
    assert revised.memory.version == 2
    refusal = refusal_of(raised.value)
    assert refusal.slug == "version-conflict"
    assert refusal.code is not grpc.StatusCode.INTERNAL


async def test_forgetting_hides_and_erasing_removes(doors: Doors) -> None:
    memory = await stored(doors, "The code is 4711.")

    await doors.stub.Forget(wire.ForgetRequest(id=memory.id))

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await doors.stub.Get(wire.GetRequest(id=memory.id))
    assert refusal_of(raised.value).code is grpc.StatusCode.NOT_FOUND
    assert (
        contents(await doors.stub.Recall(wire.RecallRequest(namespace=SPACE, query="code"))) == []
    )
    await doors.stub.Forget(wire.ForgetRequest(id=memory.id, erase=True))
    history = await doors.http.get(f"/v1/memories/{memory.id}/history")
    assert history.json()["items"] == []


async def test_links_are_walked(doors: Doors) -> None:
    one, two, three = [await stored(doors, text) for text in ("one", "two", "three")]
    for source, target in ((one, two), (two, three)):
        linked = await doors.stub.Link(
            wire.LinkRequest(
                source=source.id, target=target.id, type="next", properties_json='{"n": 1}'
            )
        )
        assert linked.link.weight == 1.0

    near = await doors.stub.Neighbors(
        wire.NeighborsRequest(id=one.id, direction=wire.DIRECTION_OUT, depth=2)
    )
    path = await doors.stub.Path(wire.PathRequest(source=one.id, target=three.id))

    assert [(n.memory.content, n.depth) for n in near.items] == [("two", 1), ("three", 2)]
    assert [memory.content for memory in path.memories] == ["one", "two", "three"]
    assert [json.loads(link.properties_json) for link in path.links] == [{"n": 1}, {"n": 1}]


async def test_watching_sees_what_other_doors_write_and_resumes(doors: Doors) -> None:
    await stored(doors, "first")
    call = doors.stub.Watch(wire.WatchRequest(namespace=SPACE))
    seen = [await call.read()]

    await doors.http.post("/v1/memories", json={"namespace": SPACE, "content": "second"})
    while sum(item.event.type == "memory.remembered" for item in seen) < 2:
        seen.append(await call.read())
    call.cancel()
    again = doors.stub.Watch(wire.WatchRequest(namespace=SPACE, after=seen[0].position))
    resumed = await again.read()
    again.cancel()

    assert [item.event.seq for item in seen] == list(range(1, len(seen) + 1))
    assert resumed.event.seq == 2


async def test_a_stopping_server_ends_its_streams(doors: Doors) -> None:
    await stored(doors, "first")
    call = doors.stub.Watch(wire.WatchRequest(namespace=SPACE))
    await call.read()

    doors.stopping.set()

    while await call.read() is not grpc.aio.EOF:
        pass
    assert await call.code() is grpc.StatusCode.OK


async def test_idempotency_keys_are_shared_with_rest(doors: Doors) -> None:
    key = (("idempotency-key", "order-1"),)
    first = await doors.stub.Store(wire.StoreRequest(memory=draft("paid")), metadata=key)

    again = await doors.http.post(
        "/v1/memories",
        json={"namespace": SPACE, "content": "paid"},
        headers={"Idempotency-Key": "order-1"},
    )
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await doors.stub.Store(wire.StoreRequest(memory=draft("not paid")), metadata=key)

    assert again.json()["memory"]["id"] == first.memory.id
    assert refusal_of(raised.value).slug == "idempotency-conflict"


async def test_a_passed_deadline_ends_the_call(doors: Doors) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await doors.stub.Recall(wire.RecallRequest(namespace=SPACE, query="x"), timeout=0.000001)

    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_health_and_reflection_tell_what_is_served(doors: Doors) -> None:
    health = health_pb2_grpc.HealthStub(doors.channel)
    watched = health.Watch(health_pb2.HealthCheckRequest(service="soma.v1.MemoryService"))
    async for answer in watched:
        if answer.status == health_pb2.HealthCheckResponse.SERVING:
            break
    reflection = reflection_pb2_grpc.ServerReflectionStub(doors.channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    call = reflection.ServerReflectionInfo(iter([asked]))
    services = [service.name for service in (await call.read()).list_services_response.service]

    assert "soma.v1.MemoryService" in services


async def test_every_call_of_the_service_asks_leave_for_an_operation(tmp_path: Path) -> None:
    service = wire.DESCRIPTOR.services_by_name["MemoryService"]
    requests = {method.name: getattr(wire, method.input_type.name) for method in service.methods}
    assert set(OPERATIONS) == set(requests)

    async with both_doors(tmp_path, bootstrap_key="a long admin key") as doors:
        for name, request in requests.items():
            call = getattr(doors.stub, name)
            sent = iter([request()]) if name == "StoreBatch" else request()
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await (call(sent).read() if name == "Watch" else call(sent))
            assert refusal_of(raised.value).code is grpc.StatusCode.UNAUTHENTICATED, name


async def test_without_a_key_nothing_but_health_answers(tmp_path: Path) -> None:
    async with both_doors(tmp_path, bootstrap_key="a long admin key") as doors:
        health = health_pb2_grpc.HealthStub(doors.channel)
        await health.Check(health_pb2.HealthCheckRequest())
        for metadata in ((), (("x-api-key", "wrong"),)):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await doors.stub.Recall(wire.RecallRequest(query="x"), metadata=metadata)
            assert refusal_of(raised.value).code is grpc.StatusCode.UNAUTHENTICATED

        let_in = (("authorization", "Bearer a long admin key"),)
        answer = await doors.stub.Recall(wire.RecallRequest(query="x"), metadata=let_in)

        assert list(answer.hits) == []
        reflection = reflection_pb2_grpc.ServerReflectionStub(doors.channel)
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await reflection.ServerReflectionInfo(iter([asked])).read()
        assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
