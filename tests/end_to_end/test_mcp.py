"""The MCP door: the same memory, as tools for a model."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import msgspec
import pytest

from entrypoints.mcp.tools import TOOLS
from tests.end_to_end.http_server import served
from tests.end_to_end.mcp_client import called, over_http, over_stdio, said, stdio_parameters

KEY = "an admin key for these tests"
LET_IN = {"authorization": f"Bearer {KEY}"}
READ_ONLY = {"recall", "get", "explore", "stats"}


async def test_every_tool_says_what_it_takes_gives_and_does(tmp_path: Path) -> None:
    async with over_stdio(tmp_path) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}

    assert set(tools) == {"remember", "recall", "get", "forget", "link", "explore", "stats"}
    for name, tool in tools.items():
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is (name in READ_ONLY)
        assert tool.annotations.destructive_hint is (name == "forget")
        assert tool.annotations.open_world_hint is False
        assert tool.output_schema is not None
        for schema in (tool.input_schema, tool.output_schema):
            assert schema["type"] == "object"
            jsonschema.Draft202012Validator.check_schema(schema)
        assert tool.input_schema["additionalProperties"] is False


async def test_a_memory_is_remembered_recalled_linked_explored_and_forgotten(
    tmp_path: Path,
) -> None:
    async with over_stdio(tmp_path) as client:
        home = await called(
            client,
            "remember",
            content="Alice moved to Oslo.",
            tags=["home"],
            payload={"turn": 7},
            occurred_at="2026-01-31T12:00:00Z",
            actor="alice",
            session="s1",
        )
        work = await called(client, "remember", content="Alice works at the harbour.")
        again = await called(client, "remember", content="Alice works at the harbour.")
        one, other = home["memory"]["id"], work["memory"]["id"]

        recalled = await called(client, "recall", query="where does Alice live? Oslo")
        text = await said(client, "recall", query="Oslo", where={"turn": {"gte": 7}})
        linked = await called(client, "link", source=one, target=other, type="because_of")
        near = await called(client, "explore", id=one)
        path = await called(client, "explore", id=one, to=other)
        shown = await called(client, "get", id=one)
        stats = await called(client, "stats")
        forgotten = await called(client, "forget", id=one, erase=True)
        after = await called(client, "recall", query="Oslo")
        gone = await client.call_tool("get", {"id": one})

    assert again["deduplicated"]
    assert recalled["hits"][0]["memory"]["content"] == "Alice moved to Oslo."
    assert text.startswith("1 memories")
    assert "by alice" in text
    assert linked["type"] == "because_of"
    assert [n["memory"]["id"] for n in near["neighbors"]] == [other]
    assert [memory["id"] for memory in path["path"]] == [one, other]
    assert shown["payload"] == {"turn": 7}
    assert stats["namespaces"][0]["memories"] == 2
    assert forgotten == {"id": one, "erased": True}
    assert all(hit["memory"]["id"] != one for hit in after["hits"])
    assert gone.is_error


async def test_results_keep_to_the_schema_and_the_budget(tmp_path: Path) -> None:
    async with over_stdio(tmp_path) as client:
        schemas = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}
        for number in range(12):
            await called(client, "remember", content=f"harbour note {number} " + "word " * 60)
        recalled = await called(client, "recall", query="harbour note", k=12, budget_tokens=300)
        text = await said(client, "recall", query="harbour note", k=12, budget_tokens=300)
        stats = await called(client, "stats")

    jsonschema.validate(recalled, schemas["recall"] or {})
    jsonschema.validate(stats, schemas["stats"] or {})
    assert len(text.encode()) <= 300 * 4
    assert len(msgspec.json.encode(recalled)) <= 300 * 4
    assert recalled["hits"]
    assert recalled["omitted"] == 12 - len(recalled["hits"])
    assert f"{recalled['omitted']} more" in text


@pytest.mark.parametrize(
    ("tool", "arguments", "field"),
    [
        ("recall", {"query": "x", "k": 5000}, "k"),
        ("recall", {"query": "x", "wheer": {}}, "wheer"),
        ("recall", {"query": "x", "where": {"a": {"like": 1}}}, "where.a.like"),
        ("recall", {}, "query"),
        ("remember", {"content": "   "}, "content"),
        ("remember", {"content": "x", "namespace": "a/../b"}, "namespace"),
        ("remember", {"content": "x", "occurred_at": "yesterday"}, "occurred_at"),
        (
            "remember",
            {
                "content": "x",
                "valid_from": "2026-02-01T00:00:00Z",
                "valid_to": "2026-01-01T00:00:00Z",
            },
            "valid_to",
        ),
        ("link", {"source": "a", "target": "a"}, "target"),
        ("link", {"source": "a", "target": "b", "weight": 0}, "weight"),
        ("explore", {"id": "a", "depth": 99}, "depth"),
    ],
)
async def test_bad_arguments_are_refused_by_name(
    mcp_url: str, tool: str, arguments: dict[str, object], field: str
) -> None:
    async with over_http(mcp_url, LET_IN) as client:
        result = await client.call_tool(tool, arguments)

    assert result.is_error
    [block] = result.content
    assert block.type == "text"
    assert block.text.startswith("refused: ")
    assert field in block.text
    assert "Traceback" not in block.text


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ('{"content": "x", "importance": NaN}', "importance"),
        ('{"content": "x", "payload": {"a": [1, 1e999]}}', "payload.a[1]"),
        ('{"content": "x", "payload": {"a": -Infinity}}', "payload.a"),
    ],
)
def test_a_number_that_is_none_is_refused_and_not_taken_for_absent(
    mcp_url: str, arguments: str, field: str
) -> None:
    # The official client does not send these; others do.
    headers = {**LET_IN, "accept": "application/json, text/event-stream"}
    call = f'{{"name": "remember", "arguments": {arguments}}}'
    body = f'{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {call}}}'

    answer = httpx.post(
        f"{mcp_url}/mcp",
        content=body,
        headers={**headers, "content-type": "application/json"},
        timeout=60,
    )

    result = answer.json()["result"]
    assert result["isError"]
    assert result["content"][0]["text"].startswith(f"refused: {field}: ")


@pytest.fixture(scope="module")
def mcp_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that demands keys."""
    with served(tmp_path_factory.mktemp("mcp"), {"SOMA_BOOTSTRAP_KEY": KEY}) as server:
        yield server.url


async def test_what_a_tool_stores_rest_recalls_and_the_other_way_round(mcp_url: str) -> None:
    space = "acme/shared"
    async with (
        httpx.AsyncClient(base_url=mcp_url, headers=LET_IN) as http,
        over_http(mcp_url, LET_IN) as client,
    ):
        await called(client, "remember", content="The kettle is blue.", namespace=space)
        await http.post("/v1/memories", json={"content": "The cup is red.", "namespace": space})

        over_mcp = await called(client, "recall", query="cup red", namespace=space)
        over_rest = await http.post("/v1/recall", json={"query": "kettle blue", "namespace": space})

    assert over_mcp["hits"][0]["memory"]["content"] == "The cup is red."
    assert over_rest.json()["hits"][0]["memory"]["content"] == "The kettle is blue."


async def test_a_tool_needs_room_for_no_more_than_what_it_calls(tmp_path: Path) -> None:
    narrow = {"SOMA_REQUESTS_READING_MAX": "1", "SOMA_REQUESTS_WRITING_MAX": "1"}
    with served(tmp_path, narrow) as server:
        async with over_http(server.url, {}) as client:
            await called(client, "remember", content="The kettle is blue.")
            recalled = await called(client, "recall", query="kettle")

    assert recalled["hits"][0]["memory"]["content"] == "The kettle is blue."


def test_without_a_key_not_even_the_tools_are_listed(mcp_url: str) -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    headers = {"accept": "application/json, text/event-stream"}

    for given in ({}, {"x-api-key": "wrong"}):
        answer = httpx.post(f"{mcp_url}/mcp", json=asked, headers={**headers, **given})
        assert answer.status_code == 401, answer.text


async def test_a_bound_key_sees_its_own_subtree_and_nothing_else(mcp_url: str) -> None:
    async with httpx.AsyncClient(base_url=mcp_url, headers=LET_IN) as http:
        made = await http.post(
            "/v1/keys", json={"name": "bob", "permission": "write", "namespace": "acme/bob"}
        )
        assert made.status_code == 201, made.text
        secret = await http.post(
            "/v1/memories", json={"content": "secret", "namespace": "acme/eve"}
        )
    key = {"authorization": f"Bearer {made.json()['token']}"}

    async with over_http(mcp_url, key) as client:
        stored = await called(client, "remember", content="Bob's own")
        foreign = await client.call_tool("recall", {"query": "secret", "namespace": "acme/eve"})
        unknown = await client.call_tool("get", {"id": secret.json()["memory"]["id"]})
        stats = await called(client, "stats")

    assert stored["memory"]["namespace"] == "acme/bob"
    assert foreign.is_error
    assert unknown.is_error
    assert [counts["path"] for counts in stats["namespaces"]] == ["acme/bob"]


async def test_without_a_namespace_a_bound_key_recalls_and_counts_all_of_its_subtree(
    mcp_url: str,
) -> None:
    async with httpx.AsyncClient(base_url=mcp_url, headers=LET_IN) as http:
        made = await http.post(
            "/v1/keys", json={"name": "team", "permission": "write", "namespace": "acme/team"}
        )
        for place in ("acme/team/alice", "acme/team/bob/phone", "acme/teams"):
            memory = {"content": f"The anchor of {place}.", "namespace": place}
            assert (await http.post("/v1/memories", json=memory)).is_success
    key = {"authorization": f"Bearer {made.json()['token']}"}

    async with over_http(mcp_url, key) as client:
        everywhere = await called(client, "recall", query="anchor")
        exact = await called(client, "recall", query="anchor", scope="exact")
        named = await called(client, "recall", query="anchor", namespace="acme/team")
        stats = await called(client, "stats")

    assert _places(everywhere) == ["acme/team/alice", "acme/team/bob/phone"]
    assert _places(exact) == _places(named) == []
    assert [counts["path"] for counts in stats["namespaces"]] == _places(everywhere)


async def test_without_a_namespace_a_free_key_recalls_the_default_one_alone(mcp_url: str) -> None:
    async with over_http(mcp_url, LET_IN) as client:
        for place in ("default", "default/below"):
            await called(client, "remember", content=f"The rudder of {place}.", namespace=place)
        found = await called(client, "recall", query="rudder")

    assert _places(found) == ["default"]


def _places(recalled: dict[str, Any]) -> list[str]:
    return sorted(hit["memory"]["namespace"] for hit in recalled["hits"])


def test_a_web_page_cannot_reach_a_server_without_keys(tmp_path: Path) -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    headers = {"accept": "application/json", "origin": "https://evil.example"}
    with served(tmp_path, {}) as server:
        answer = httpx.post(f"{server.url}/mcp", json=asked, headers=headers)

    assert answer.status_code == 403


async def test_two_desktop_clients_and_a_server_share_one_data_directory(tmp_path: Path) -> None:
    with served(tmp_path, {}) as server:
        async with over_stdio(server.data) as one, over_stdio(server.data) as other:
            await called(one, "remember", content="from the first client")
            seen = await called(other, "recall", query="first client")
            with server.client() as http:
                listed = http.get("/v1/memories").json()["items"]

    assert seen["hits"][0]["memory"]["content"] == "from the first client"
    assert [memory["content"] for memory in listed] == ["from the first client"]


async def test_the_next_client_takes_a_directory_over_when_its_owner_ends(tmp_path: Path) -> None:
    async with over_stdio(tmp_path) as first:
        await called(first, "remember", content="kept by the owner")
        async with over_stdio(tmp_path) as second:
            await called(second, "recall", query="kept")
    async with over_stdio(tmp_path) as third:
        found = await called(third, "recall", query="kept by the owner")

    assert found["hits"][0]["memory"]["content"] == "kept by the owner"


async def test_the_default_namespace_of_the_settings_holds(tmp_path: Path) -> None:
    async with over_stdio(tmp_path, SOMA_NAMESPACE="acme/alice") as client:
        stored = await called(client, "remember", content="mine")

    assert stored["memory"]["namespace"] == "acme/alice"


async def test_a_remote_server_is_reached_by_its_url(mcp_url: str, tmp_path: Path) -> None:
    async with over_stdio(None, SOMA_URL=mcp_url, SOMA_KEY=KEY, HOME=str(tmp_path)) as client:
        stored = await called(client, "remember", content="far away", namespace="acme/far")

    assert stored["memory"]["namespace"] == "acme/far"


def test_stdout_carries_nothing_but_the_protocol_and_the_process_ends_with_stdin(
    tmp_path: Path,
) -> None:
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

    done = subprocess.run(
        [parameters.command, *parameters.args],
        env=parameters.env,
        input=json.dumps(hello) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    [line] = done.stdout.splitlines()
    assert json.loads(line)["result"]["serverInfo"]["name"] == "soma"
    assert done.returncode == 0, done.stderr


def test_every_tool_names_the_operations_it_needs() -> None:
    assert all(tool.operations for tool in TOOLS)
    assert len({tool.name for tool in TOOLS}) == len(TOOLS)
