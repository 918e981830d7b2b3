"""Both forms of a tool's result keep to the budget, and say what they leave out."""

from __future__ import annotations

import json
from typing import Any

import httpx
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.memory import NESTING_MAX
from entrypoints.mcp.rest import Rest
from entrypoints.mcp.server import result_of, schema_of
from entrypoints.mcp.tools import TOOLS

TOOL = {tool.name: tool for tool in TOOLS}
ID = "01999999-0000-7000-8000-000000000000"
BUDGET_MIN = 50
PATIENT = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60)
contents = st.builds(
    lambda text, times: text * times, texts.filter(str.strip), st.sampled_from([1, 2, 40, 1000])
)
ids = st.integers(0, 10**6).map(lambda n: f"{ID[:-7]}{n:07}") | st.just("i" * 64)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(texts, inside, max_size=3),
    max_leaves=6,
)
payloads = st.dictionaries(texts, values, max_size=3) | st.sampled_from(
    [{"a": "x" * 200_000}, {"\x01" * 500: "é" * 3000}]
)
times = st.none() | st.just("2026-01-31T12:00:00.123456Z")
namespaces = st.sampled_from(["a", "acme/support/alice", "/".join(["n" * 128] * 16)])
memories = st.fixed_dictionaries(
    {
        "id": ids,
        "namespace": namespaces,
        "content": contents,
        "kind": st.sampled_from(["episodic", "procedural"]),
        "version": st.integers(1, 2**53),
        "tags": st.lists(texts, max_size=3) | st.just(["t" * 128] * 64),
        "payload": payloads,
        "occurred_at": times,
        "valid_from": times,
        "valid_to": times,
        "expires_at": times,
        "source": st.fixed_dictionaries({"actor": st.none() | texts, "session": st.none() | texts}),
    }
)
scores = st.floats(0, 1)
hits = st.fixed_dictionaries(
    {
        "memory": memories,
        "score": scores,
        "relevance": scores,
        "parts": st.dictionaries(st.sampled_from(["lexical", "semantic", "recency"]), scores),
    }
)
links = st.fixed_dictionaries(
    {
        "source": ids,
        "target": ids,
        "type": st.sampled_from(["t", "T" * 64]),
        # Large and small numbers are spelt differently by msgspec and by the protocol's library.
        "weight": st.floats(1e-300, 1e300) | st.sampled_from([1e300, 1e-7]),
        "properties": payloads,
    }
)
neighbors = st.fixed_dictionaries(
    {
        "memory": memories,
        "depth": st.integers(1, 8),
        "links": st.lists(links, min_size=1, max_size=3),
    }
)
counts = st.fixed_dictionaries(
    {
        "path": namespaces,
        "memories": st.integers(0, 10**9),
        "links": st.integers(0, 10**9),
        "pending_vectors": st.integers(0, 10**9),
    }
)
budgets = st.integers(BUDGET_MIN, 400) | st.sampled_from([1500, 100_000])


class Sent:
    """What a client of the protocol is sent by one call."""

    def __init__(self, wire: str) -> None:
        self.result = json.loads(wire)
        self.structured = self.result["structuredContent"]
        self.text = self.result["content"][0]["text"]
        # As it is on the wire, to the byte: the values in the order and form they were sent in.
        begin = wire.index('"structuredContent":') + len('"structuredContent":')
        _, end = json.JSONDecoder().raw_decode(wire, begin)
        self.size = len(wire[begin:end].encode())


async def sent(tool: str, answer: dict[str, Any], **arguments: Any) -> Sent:
    """Call a tool on a memory that gives this answer."""
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, content=json.dumps(answer, ensure_ascii=False).encode())
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://soma") as http:
        result = await result_of(TOOL[tool], Rest(http), arguments)
    sent = Sent(result.model_dump_json(by_alias=True, exclude_unset=True))
    jsonschema.validate(sent.structured, schema_of(TOOL[tool].result))
    return sent


def assert_within(sent: Sent, budget_tokens: int) -> None:
    assert sent.size <= 4 * budget_tokens, sent.structured
    assert len(sent.text.encode()) <= 4 * budget_tokens, sent.text


@PATIENT
@given(
    found=st.lists(hits, max_size=6),
    degraded=st.sampled_from([[], ["embedder", "vector_index"]]),
    budget=budgets,
)
async def test_a_recall_keeps_to_its_budget_and_shows_the_best(
    found: list[Any], degraded: list[str], budget: int
) -> None:
    answer = {"hits": found, "degraded": degraded}

    said = await sent("recall", answer, query="x", budget_tokens=budget)

    assert_within(said, budget)
    shown = said.structured["hits"]
    assert [hit["memory"]["id"] for hit in shown] == [hit["memory"]["id"] for hit in found][
        : len(shown)
    ]
    assert said.structured.get("omitted", 0) == len(found) - len(shown)
    assert all(hit["memory"]["id"] in said.text for hit in shown)
    if found and (len(found[0]["memory"]["id"]) < 64 and not degraded):
        assert shown[0]["memory"]["content"]


@PATIENT
@given(near=st.lists(neighbors, max_size=4), budget=budgets)
async def test_neighbours_keep_to_their_budget(near: list[Any], budget: int) -> None:
    said = await sent("explore", {"items": near}, id=ID, budget_tokens=budget)

    assert_within(said, budget)
    shown = said.structured.get("neighbors", [])
    assert said.structured.get("omitted", 0) == len(near) - len(shown)


@PATIENT
@given(steps=st.lists(st.tuples(memories, links), min_size=1, max_size=4), budget=budgets)
async def test_a_path_keeps_to_its_budget(steps: list[Any], budget: int) -> None:
    answer = {"memories": [step[0] for step in steps], "links": [step[1] for step in steps[1:]]}

    said = await sent("explore", answer, id=ID, to="b", budget_tokens=budget)

    assert_within(said, budget)
    shown = said.structured.get("path", [])
    assert said.structured.get("omitted", 0) == len(steps) - len(shown)


@PATIENT
@given(memory=memories, budget=budgets)
async def test_one_memory_keeps_to_its_budget(memory: dict[str, Any], budget: int) -> None:
    said = await sent("get", memory, id=memory["id"], budget_tokens=budget)

    assert_within(said, budget)
    assert said.structured["id"] == memory["id"]
    assert memory["content"].startswith(said.structured["content"])
    assert said.structured.get("cut", False) == (said.structured["content"] != memory["content"])


@PATIENT
@given(spaces=st.lists(counts, max_size=6), budget=budgets)
async def test_counts_keep_to_their_budget(spaces: list[Any], budget: int) -> None:
    said = await sent("stats", {"items": spaces, "next_cursor": "n"}, budget_tokens=budget)

    assert_within(said, budget)
    assert said.structured.get("omitted", 0) == len(spaces) - len(said.structured["namespaces"])


@PATIENT
@given(memory=memories, link=links)
async def test_what_was_given_is_not_said_again(memory: dict[str, Any], link: Any) -> None:
    stored = {"memory": memory, "indexed": False, "deduplicated": True}

    remembered = await sent("remember", stored, content="x")
    linked = await sent("link", link, source="a", target="b")

    assert_within(remembered, 250)
    assert_within(linked, 250)
    assert remembered.structured["memory"]["id"] == memory["id"]


def hit(content: str, **fields: Any) -> dict[str, Any]:
    memory = {"id": ID, "namespace": "a", "content": content, "kind": "episodic", "version": 1}
    return {"memory": {**memory, **fields}, "score": 0.5, "relevance": 0.5, "parts": {"a": 0.5}}


async def test_a_payload_too_large_by_itself_is_left_out_and_the_others_follow() -> None:
    found = [hit("one"), hit("two", payload={"a": "x" * 200_000}), hit("three")]

    said = await sent("recall", {"hits": found}, query="x")

    contents = [shown["memory"]["content"] for shown in said.structured["hits"]]
    assert contents == ["one", "two", "three"]
    assert said.structured["hits"][1]["memory"]["left_out"] == ["payload"]
    assert "payload" not in said.structured["hits"][1]["memory"]
    assert "omitted" not in said.structured


async def test_a_content_too_large_by_itself_is_cut_and_the_rest_counted() -> None:
    found = [hit("word " * 4000, tags=["kept"]), hit("two")]

    said = await sent("recall", {"hits": found}, query="x", budget_tokens=500)

    [best] = said.structured["hits"]
    assert best["memory"]["cut"] is True
    assert best["memory"]["tags"] == ["kept"]
    assert len(best["memory"]["content"]) > 1000
    assert "... (cut) [" in said.text
    assert said.structured["omitted"] == 1


async def test_the_smallest_budget_still_names_the_best_memory() -> None:
    found = [hit("word " * 4000, payload={"a": "x" * 200_000}, tags=["t" * 128] * 64)] * 1000

    said = await sent("recall", {"hits": found}, query="x", budget_tokens=BUDGET_MIN)

    [best] = said.structured["hits"]
    assert best["memory"]["id"] == ID
    assert best["memory"]["left_out"] == ["details"]
    assert len(best["memory"]["content"]) >= 20
    assert said.structured["omitted"] == 999


@pytest.mark.parametrize("levels", [NESTING_MAX + 1, 260, 800])
async def test_json_from_before_there_was_a_limit_is_left_out_and_the_hits_stay(
    levels: int,
) -> None:
    deep: dict[str, Any] = {}
    for _ in range(levels - 1):
        deep = {"a": deep}
    link = {"source": ID, "target": "b", "type": "t", "weight": 1.0, "properties": deep}
    found = hit("deep", payload=deep)
    near = {"memory": found["memory"], "depth": 1, "links": [link]}

    recalled = await sent("recall", {"hits": [hit("one"), found]}, query="x")
    explored = await sent("explore", {"items": [near]}, id=ID)

    assert [shown["memory"]["content"] for shown in recalled.structured["hits"]] == ["one", "deep"]
    assert recalled.structured["hits"][1]["memory"]["left_out"] == ["payload"]
    [shown] = explored.structured["neighbors"]
    assert shown["memory"]["left_out"] == ["payload"]
    assert shown["links"][0]["left_out"] == ["properties"]
