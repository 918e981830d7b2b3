"""JSON nested beyond measure is refused at every door; what was stored earlier does no harm."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from mcp import Client

from container import build, running
from domain.errors import InvalidInput
from domain.memory import NESTING_MAX
from domain.namespace import Namespace
from entrypoints.cli.program import run
from entrypoints.grpc.server import grpc_served
from entrypoints.grpc.wire import memory_pb2 as wire
from entrypoints.grpc.wire.memory_pb2_grpc import MemoryServiceStub
from entrypoints.worker.drafts import read_draft
from tests.end_to_end.bad_inputs import ID, OTHER
from tests.end_to_end.embedded import settings_for
from tests.end_to_end.grpc_client import refusal_of
from tests.end_to_end.http_server import DIMENSION, Served, fields_named, remember, served
from tests.end_to_end.mcp_client import called, over_http, over_stdio, stdio_parameters

LEVELS = 100_000
OBJECTS = '{"a":' * LEVELS + "1" + "}" * LEVELS
LISTS = '{"a":' + "[" * LEVELS + "]" * LEVELS + "}"
#: Shorter than a line of an import may be.
LINE_LEVELS = 30_000
LINE_OBJECTS = '{"a":' * LINE_LEVELS + "1" + "}" * LINE_LEVELS
BEYOND = f"is nested deeper than {NESTING_MAX} levels"


@pytest.mark.parametrize("deep", [OBJECTS, LISTS], ids=["objects", "lists"])
@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/memories", '{"content": "x", "payload": %s}', "payload"),
        (
            "/v1/memories/batch",
            '{"memories": [{"content": "{"}, {"content": "x", "links": '
            '[{"target": "a", "type": "t", "properties": %s}]}]}',
            "memories[1].links[0].properties",
        ),
        ("/v1/links", f'{{"source": "{ID}", "target": "{OTHER}", "properties": %s}}', "properties"),
        ("/v1/recall", '{"query": "x", "where": %s}', "where"),
        ("/v1/recall/batch", '{"queries": [{"query": "x", "where": %s}]}', "queries[0].where"),
        ("/store", '{"coordinate": "1", "payload": %s}', "payload"),
    ],
)
def test_rest_names_the_field(
    http: httpx.Client, path: str, body: str, field: str, deep: str
) -> None:
    answer = http.post(path, content=body % deep)

    assert fields_named(answer) == [field]
    assert answer.json()["errors"][0]["message"] == BEYOND


@pytest.mark.parametrize("levels", [NESTING_MAX + 1, 400, 900, 950, 980])
def test_rest_refuses_every_depth_alike_also_when_it_is_asked_again(
    http: httpx.Client, space: str, levels: int
) -> None:
    first = {"namespace": space, "content": "x"}
    deep = '{"content": "x", "payload": ' + '{"a":' * levels + "1" + "}" * levels + "}"
    key = {"Idempotency-Key": f"{space}-{levels}"}
    assert http.post("/v1/memories", json=first, headers=key).is_success

    for headers in ({}, key):
        answer = http.post("/v1/memories", content=deep, headers=headers)
        assert fields_named(answer) == ["payload"]
        assert answer.json()["errors"][0]["message"] == BEYOND
    answer = http.post(
        "/store", content=f'{{"coordinate": "1", {deep[deep.index(chr(34) + "p") :]}'
    )
    assert fields_named(answer) == ["payload"]


def test_as_many_levels_as_are_allowed_come_back_as_they_were(
    http: httpx.Client, space: str
) -> None:
    payload: Any = {"a": 1}
    for _ in range(NESTING_MAX - 1):
        payload = {"a": payload}

    assert remember(http, space, "deep", payload=payload)["payload"] == payload


def test_a_deep_line_of_an_import_is_reported_and_the_others_are_stored(
    http: httpx.Client, space: str
) -> None:
    lines = [
        f'{{"content": "one", "namespace": "{space}"}}',
        f'{{"content": "x", "namespace": "{space}", "payload": {LINE_OBJECTS}}}',
        f'{{"type": "link", "link": {{"source": "a", "properties": {LINE_OBJECTS}}}}}',
        f'{{"content": "two", "namespace": "{space}"}}',
    ]

    report = http.post("/v1/import", content="\n".join(lines)).json()

    assert report["imported"] == 2
    assert report["errors"] == [
        {"line": 2, "detail": f"payload: {BEYOND}"},
        {"line": 3, "detail": f"link.properties: {BEYOND}"},
    ]


def test_a_deep_message_of_the_ingest_topic_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match=f"^payload: {BEYOND}$"):
        read_draft(f'{{"content": "x", "payload": {OBJECTS}}}'.encode(), Namespace("a"))


async def test_grpc_names_the_field(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, embedder="none", vector_dimension=DIMENSION, grpc_port=0)
    request = wire.StoreRequest()
    request.memory.content = "x"
    request.memory.payload_json = OBJECTS
    async with (
        running(build(settings)) as container,
        grpc_served(container, asyncio.Event()) as address,
        grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await MemoryServiceStub(channel).Store(request)

    refusal = refusal_of(raised.value)
    assert (refusal.code, list(refusal.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, ["payload"])


def test_the_command_line_names_the_option(
    server: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(["remember", f"--data={server.data}", f"--payload={OBJECTS}", "--", "x"])

    said = capsys.readouterr().err.splitlines()[-1]
    assert "--payload" in said
    assert said.endswith(BEYOND)


def _call(number: int, payload: str) -> str:
    arguments = f'{{"content": "x", "payload": {payload}}}'
    params = f'{{"name": "remember", "arguments": {arguments}}}'
    return f'{{"jsonrpc": "2.0", "method": "tools/call", "params": {params}, "id": {number}}}'


@pytest.mark.parametrize("version", [None, "2026-07-28"])
def test_mcp_over_http_answers_that_it_cannot_read_that(
    server: Served, version: str | None
) -> None:
    headers = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
    if version:
        headers |= {"mcp-protocol-version": version, "mcp-method": "tools/call"}

    answer = httpx.post(f"{server.url}/mcp", content=_call(1, OBJECTS), headers=headers, timeout=60)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == -32700


def test_mcp_over_stdio_answers_that_it_cannot_read_that_and_goes_on(tmp_path: Path) -> None:
    parameters = stdio_parameters(tmp_path)
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    said = [
        json.dumps(hello),
        '{"jsonrpc": "2.0", "method": "notifications/initialized"}',
        _call(2, OBJECTS),
        _call(3, LISTS),
        "{",
        _call(4, '{"a": 1}'),
    ]

    with subprocess.Popen(
        [parameters.command, *parameters.args],
        env=parameters.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n".join(said) + "\n")
        process.stdin.flush()
        answers = {}
        for line in process.stdout:
            answer = json.loads(line)
            answers[answer["id"]] = answer
            if answer["id"] == 4:
                break
        process.stdin.close()

    assert [answers[id]["error"]["code"] for id in (2, 3, None)] == [-32700] * 3
    assert answers[4]["result"]["isError"] is False
    assert process.returncode == 0


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A data directory with a memory and a link from before there was a limit, and the ids."""
    folder = tmp_path_factory.mktemp("old")
    with served(folder, {}) as server, server.client() as http:
        deep = remember(http, "default", "harbour, deep")["id"]
        flat = remember(http, "default", "harbour, flat")["id"]
        link = {"source": flat, "target": deep, "type": "t"}
        assert http.post("/v1/links", json=link).is_success
        server.stop()
    nested = '{"a":' * 900 + "1" + "}" * 900
    with closing(sqlite3.connect(folder / "data" / "soma.db")) as database, database:
        for table, column in (("memories", "payload"), ("links", "properties")):
            where = "where id = ?" if table == "memories" else "where target = ?"
            changed = database.execute(f"update {table} set {column} = ? {where}", (nested, deep))
            assert changed.rowcount == 1
    return folder, [deep, flat]


@asynccontextmanager
async def _through(door: str, folder: Path) -> AsyncIterator[Client]:
    if door == "stdio":
        async with over_stdio(folder / "data") as client:
            yield client
        return
    with served(folder, {}) as server:
        async with over_http(server.url, {}) as client:
            yield client


@pytest.mark.parametrize("door", ["stdio", "http"])
async def test_a_memory_that_is_deeper_already_is_shown_without_its_payload(
    old: tuple[Path, list[str]], door: str
) -> None:
    folder, (deep, flat) = old
    async with _through(door, folder) as client:
        recalled = await called(client, "recall", query="harbour")
        shown = await called(client, "get", id=deep)
        near = await called(client, "explore", id=flat)
        path = await called(client, "explore", id=flat, to=deep)

    hits = {hit["memory"]["id"]: hit["memory"] for hit in recalled["hits"]}
    assert set(hits) == {deep, flat}
    assert "left_out" not in hits[flat]
    [neighbor] = near["neighbors"]
    for memory in (hits[deep], shown, neighbor["memory"], path["path"][1]):
        assert memory["left_out"] == ["payload"]
        assert "payload" not in memory
    for link in (neighbor["links"][0], path["links"][0]):
        assert link["left_out"] == ["properties"]
