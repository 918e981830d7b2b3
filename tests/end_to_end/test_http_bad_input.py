"""Bad input is refused with a 400 problem that names the field, and nothing is half done."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.end_to_end.http_server import (
    BODY_BYTES_MAX,
    fields_named,
    problem,
    remember,
)

BAD_BODIES: list[tuple[str, str, str]] = [
    # call, body, field that must be named
    ("/v1/memories", '{"content": "x", "contents": 1}', "contents"),
    ("/v1/memories", "{}", "content"),
    ("/v1/memories", "", "body"),
    ("/v1/memories", "{", "body"),
    ("/v1/memories", "[]", "body"),
    ("/v1/memories", '{"content": "x"} {}', "body"),
    ("/v1/memories", '{"content": 5}', "content"),
    ("/v1/memories", '{"content": null}', "content"),
    ("/v1/memories", '{"content": ""}', "content"),
    ("/v1/memories", '{"content": " \\n"}', "content"),
    ("/v1/memories", '{"content": "a\\u0000b"}', "content"),
    ("/v1/memories", '{"content": "\\ud800"}', "content"),
    ("/v1/memories", '{"content": "\\ud800x"}', "content"),
    ("/v1/memories", '{"content": "x", "tags": ["a", "\\udc00"]}', "tags[1]"),
    ("/v1/memories", '{"content": "x", "payload": {"a": [{"b": "\\ud800"}]}}', "payload.a[0].b"),
    ("/v1/memories", '{"content": "x", "payload": {"\\ud800": 1}}', "payload"),
    ("/v1/memories", '{"content": "x", "importance": NaN}', "importance"),
    ("/v1/memories", '{"content": "x", "importance": Infinity}', "importance"),
    ("/v1/memories/batch", '{"memories": [{"content": "\\ud800"}]}', "memories[0].content"),
    ("/v1/memories", '{"content": "x", "importance": 1e999}', "importance"),
    ("/v1/memories", '{"content": "x", "importance": "1"}', "importance"),
    ("/v1/memories", '{"content": "x", "importance": -1}', "importance"),
    ("/v1/memories", '{"content": "x", "pinned": 1}', "pinned"),
    ("/v1/memories", '{"content": "x", "kind": "vague"}', "kind"),
    ("/v1/memories", '{"content": "x", "tags": "a"}', "tags"),
    ("/v1/memories", '{"content": "x", "tags": [1]}', "tags[0]"),
    ("/v1/memories", '{"content": "x", "tags": ["ok", ""]}', "tags[1]"),
    ("/v1/memories", '{"content": "x", "payload": []}', "payload"),
    ("/v1/memories", '{"content": "x", "payload": {"a": "\\u0000"}}', "payload"),
    (
        "/v1/memories",
        '{"content": "x", "payload": ' + '{"a":' * 9999 + "1" + "}" * 9999 + "}",
        "payload",
    ),
    ("/v1/memories", '{"content": "x", "coordinate": []}', "coordinate"),
    ("/v1/memories", '{"content": "x", "coordinate": [1, null]}', "coordinate[1]"),
    ("/v1/memories", '{"content": "x", "namespace": "a//b"}', "namespace"),
    ("/v1/memories", '{"content": "x", "namespace": "../b"}', "namespace"),
    ("/v1/memories", '{"content": "x", "occurred_at": "yesterday"}', "occurred_at"),
    ("/v1/memories", '{"content": "x", "occurred_at": "2026-01-31T12:00:00"}', "occurred_at"),
    ("/v1/memories", '{"content": "x", "occurred_at": "2026-02-31T12:00:00Z"}', "occurred_at"),
    ("/v1/memories", '{"content": "x", "occurred_at": 1700000000}', "occurred_at"),
    (
        "/v1/memories",
        '{"content": "x", "valid_from": "2026-02-01T00:00:00Z", '
        '"valid_to": "2026-01-01T00:00:00Z"}',
        "valid_to",
    ),
    ("/v1/memories", '{"content": "x", "source": {"who": "me"}}', "source.who"),
    ("/v1/memories", '{"content": "x", "vector": [1, 2]}', "vector"),
    ("/v1/memories", '{"content": "x", "vector": []}', "vector"),
    ("/v1/memories", '{"content": "x", "vector": "!"}', "vector"),
    ("/v1/memories", '{"content": "x", "vector": "AAA="}', "vector"),
    ("/v1/memories", '{"content": "x", "vector": [0, 0, 0, 0]}', "vector"),
    ("/v1/memories", '{"content": "x", "wait": "long"}', "wait"),
    ("/v1/memories", '{"content": "x", "links": [{"type": "a"}]}', "links[0].target"),
    ("/v1/memories/batch", '{"memories": []}', "memories"),
    (
        "/v1/memories/batch",
        '{"memories": [{"content": "x"}, {"content": ""}]}',
        "memories[1].content",
    ),
    ("/v1/memories/batch", '{"memories": [{"content": "x"}, {"c": ""}]}', "memories[1].c"),
    ("/v1/memories/batch", '{"memories": [{"content": "x", "vector": "!"}]}', "memories[0].vector"),
    ("/v1/memories/batch", json.dumps({"memories": [{"content": "x"}] * 1001}), "memories"),
    ("/v1/recall", "{}", "query"),
    ("/v1/recall", '{"query": " "}', "query"),
    ("/v1/recall", '{"query": "a\\u0000"}', "query"),
    ("/v1/recall", '{"query": "a", "k": 0}', "k"),
    ("/v1/recall", '{"query": "a", "k": 1001}', "k"),
    ("/v1/recall", '{"query": "a", "k": "10"}', "k"),
    ("/v1/recall", '{"query": "a", "k": 1.5}', "k"),
    ("/v1/recall", '{"query": "a", "limit": 3}', "limit"),
    ("/v1/recall", '{"query": "a", "kinds": ["vague"]}', "kinds[0]"),
    ("/v1/recall", '{"query": "a", "tags": ["\\u0000"]}', "tags[0]"),
    ("/v1/recall", '{"query": "a", "tags_any": ["ok", ""]}', "tags_any[1]"),
    ("/v1/recall", '{"query": "a", "source": {"actor": ""}}', "source.actor"),
    ("/v1/recall", '{"query": "a", "scope": "everywhere"}', "scope"),
    ("/v1/recall", '{"query": "a", "box": {"min": [0]}}', "box.max"),
    ("/v1/recall", '{"query": "a", "box": {"min": [1], "max": [0]}}', "box.max"),
    ("/v1/recall", '{"query": "a", "where": {}}', "where"),
    ("/v1/recall", '{"query": "a", "where": {"a": {"like": "b"}}}', "where.a.like"),
    ("/v1/recall", '{"query": "a", "as_of": "2026-01-31"}', "as_of"),
    ("/v1/recall", '{"query": "a", "min_relevance": 2}', "min_relevance"),
    ("/v1/recall", '{"query": "a", "expand": 9}', "expand"),
    ("/v1/recall", '{"query": "a", "expand": "deep"}', "expand"),
    ("/v1/recall", '{"query": "a", "vector": [1, 2, 3]}', "vector"),
    ("/v1/recall", '{"query": "a", "level": 99999999999999999999}', "level"),
    ("/v1/recall", '{"query": "a", "level": -1}', "level"),
    ("/v1/recall", '{"query": "a", "k": 99999999999999999999}', "k"),
    ("/v1/recall", '{"query": "a", "budget_tokens": 0}', "budget_tokens"),
    ("/v1/recall", '{"query": "a", "weights": {"magic": 1}}', "weights.magic"),
    ("/v1/recall", '{"query": "a", "signals": {"magic": true}}', "signals.magic"),
    ("/v1/recall/batch", '{"queries": []}', "queries"),
    (
        "/v1/recall/batch",
        '{"queries": [{"query": "a"}, {"query": "a", "namespace": ""}]}',
        "queries[1].namespace",
    ),
    ("/v1/links", '{"source": "a", "target": "b"}', "type"),
    ("/v1/links", '{"source": "a", "target": "a", "type": "t"}', "target"),
    ("/v1/links", '{"source": "a", "target": "b", "type": "t", "weight": 0}', "weight"),
    ("/v1/links", '{"source": "a", "target": "b", "type": "no spaces"}', "type"),
    ("/store", '{"coordinate": "1,x", "payload": {"text": "a"}}', "coordinate"),
    ("/store", '{"coordinate": "1,nan", "payload": {"text": "a"}}', "coordinate[1]"),
    ("/recall", '{"query": "a", "filters": {"a": []}}', "filters[...]"),
    ("/recall", '{"query": "a", "k": 0, "top_k": 5}', "top_k"),
    ("/recall", '{"query": "a", "top_k": 0}', "k"),
]

BAD_PARAMETERS = [
    ("/v1/memories?limit=0", "limit"),
    ("/v1/memories?limit=1001", "limit"),
    ("/v1/memories?limit=ten", "limit"),
    ("/v1/memories?limits=10", "limits"),
    ("/v1/memories?namespace=a//b", "namespace"),
    ("/v1/memories?kinds=episodic&kinds=vague", "kinds"),
    ("/v1/memories?scope=all", "scope"),
    ("/v1/memories?where={", "where"),
    ("/v1/memories?where=[]", "where"),
    ('/v1/memories?box={"min":[0]}', "box.max"),
    ("/v1/memories?as_of=2026-01-31T12:00:00", "as_of"),
    ("/v1/memories?occurred_after=soon", "occurred_after"),
    ("/v1/memories?occurred_after=1700000000", "occurred_after"),
    ("/v1/memories?occurred_before=0.5", "occurred_before"),
    ("/v1/memories?as_of=null", "as_of"),
    ("/v1/memories?level=null", "level"),
    ("/v1/memories?level=1.0", "level"),
    ("/v1/memories?level=1&level=2", "level"),
    ("/v1/memories?namespace=", "namespace"),
    ("/v1/memories?namespace=a&namespace=b", "namespace"),
    ("/v1/memories?level=99999999999999999999", "level"),
    ("/v1/memories?cursor=%25%25", "cursor"),
    ("/v1/memories?cursor=%C3%A4", "cursor"),
    ("/v1/memories?tags=a%00b", "tags"),
    ("/v1/memories?tags=", "tags[0]"),
    ("/v1/memories?actor=", "actor"),
    (f"/v1/memories?session={'s' * 513}", "session"),
    ("/v1/memories?tags=%ff", "query string"),
    ("/v1/memories?include_expired=perhaps", "include_expired"),
    ("/v1/memories/x?known_at=2026-01-31T12:00:00", "known_at"),
    ("/v1/memories/x?known_at=null", "known_at"),
    ("/v1/memories/x?version=1", "version"),
    ("/v1/memories/x/neighbors?depth=9", "depth"),
    ("/v1/memories/x/neighbors?direction=up", "direction"),
    ("/v1/paths?source=a", "target"),
    ("/v1/namespaces?cursor=a//b", "cursor"),
    ("/v1/namespaces?cursor=", "cursor"),
    ("/v1/namespaces/a%20b", "path"),
    ("/v1/namespaces/acme/a/", "path"),
    ("/v1/namespaces/acme//a", "path"),
    ("/v1/namespaces//acme", "path"),
    ("/v1/namespaces/acme%2F%2Fa", "path"),
    ("/v1/namespaces/acme%2F", "path"),
    ("/v1/namespaces/acme/%2E%2E/b", "path"),
    ("/v1/namespaces/acme/%2E/b", "path"),
    ("/v1/events?last_event_id=7", "Last-Event-ID"),
    ("/v1/events?last_event_id=epoch:-1", "Last-Event-ID"),
    ("/v1/events?last_event_id=", "Last-Event-ID"),
    ("/v1/events?namespace=", "namespace"),
    ("/v1/export?vectors=maybe", "vectors"),
    ("/v1/export?namespace=", "namespace"),
    ("/healthz?verbose=1", "verbose"),
]


@pytest.mark.parametrize(("call", "body", "field"), BAD_BODIES)
def test_a_bad_body_is_refused_naming_the_field(
    http: httpx.Client, call: str, body: str, field: str
) -> None:
    answer = http.post(call, content=body)

    named = fields_named(answer)
    assert len(named) == 1
    assert field in {"", named[0]}, answer.text


@pytest.mark.parametrize(("call", "field"), BAD_PARAMETERS)
def test_a_bad_parameter_is_refused_by_its_name(http: httpx.Client, call: str, field: str) -> None:
    answer = http.get(call)

    assert [field] == fields_named(answer), answer.text


@pytest.mark.parametrize(
    "body", [b'{"content": "\xff"}', b'{"content": "\xed\xa0\x80"}', b'\xff\xfe{"content": "x"}']
)
def test_text_that_is_not_utf_8_is_refused(http: httpx.Client, body: bytes) -> None:
    answer = http.post("/v1/memories", content=body)

    assert fields_named(answer) in (["body"], ["content"]), body


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": None}, "kind"),
        ({"content": None}, "content"),
        ({"namespace": "a"}, "namespace"),
        ({"valid_to": "2026-01-01"}, "valid_to"),
        ({"vector": [1]}, "vector"),
    ],
)
def test_a_bad_change_is_refused_and_changes_nothing(
    http: httpx.Client, space: str, body: dict[str, Any], field: str
) -> None:
    memory = remember(http, space, "as it was")

    answer = http.patch(f"/v1/memories/{memory['id']}", json={"tags": ["new"], **body})

    assert [field] == fields_named(answer)
    assert memory == http.get(f"/v1/memories/{memory['id']}").json()


@pytest.mark.parametrize("version", ["1", '""', '"0"', '"one"', '"1", "2"', 'W/"1"', '"-1"'])
def test_a_malformed_if_match_is_refused(http: httpx.Client, space: str, version: str) -> None:
    memory = remember(http, space, "a memory")

    answer = http.patch(
        f"/v1/memories/{memory['id']}", json={"pinned": True}, headers={"If-Match": version}
    )

    assert ["If-Match"] == fields_named(answer)


def test_a_key_that_is_too_long_is_refused(http: httpx.Client) -> None:
    answer = http.post(
        "/v1/memories", json={"content": "x"}, headers={"Idempotency-Key": "k" * 256}
    )

    assert ["Idempotency-Key"] == fields_named(answer)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"content": "x" * 65_537}, "content"),
        ({"content": "x", "payload": {"a": "x" * 262_144}}, "payload"),
    ],
)
def test_what_is_larger_than_its_limit_is_refused_with_413(
    http: httpx.Client, body: dict[str, Any], field: str
) -> None:
    answer = http.post("/v1/memories", json=body)

    assert [field] == fields_named(answer, 413)


def test_a_body_larger_than_the_limit_is_refused_with_413(http: httpx.Client) -> None:
    answer = http.post("/v1/memories", content=b" " * (BODY_BYTES_MAX + 1))

    problem(answer, 413)


def test_a_body_of_unknown_length_larger_than_the_limit_is_refused_with_413(
    http: httpx.Client,
) -> None:
    chunks = (b" " * 100_000 for _ in range(BODY_BYTES_MAX // 100_000 + 1))

    answer = http.post("/v1/memories", content=chunks)

    problem(answer, 413)


def test_one_bad_item_refuses_the_whole_batch(http: httpx.Client, space: str) -> None:
    batch = [{"namespace": space, "content": f"number {n}"} for n in range(3)]
    batch[2]["kind"] = "vague"

    answer = http.post("/v1/memories/batch", json={"memories": batch})

    assert ["memories[2].kind"] == fields_named(answer)
    assert [] == http.get("/v1/memories", params={"namespace": space}).json()["items"]


@pytest.mark.parametrize("spelling", ["{}/a/", "{}//a", "/{}/a", "{}/%2E/a"])
def test_a_crooked_path_erases_and_changes_nothing(
    http: httpx.Client, space: str, spelling: str
) -> None:
    remember(http, f"{space}/a", "kept")
    path = f"/v1/namespaces/{spelling.format(space)}"

    assert ["path"] == fields_named(http.delete(path))
    assert ["path"] == fields_named(http.patch(path, json={"policy": {}}))
    assert 1 == http.get(f"/v1/namespaces/{space}/a").json()["memories"]


def test_a_path_may_be_written_with_escapes(http: httpx.Client, space: str) -> None:
    remember(http, f"{space}/namespaces/a@b", "kept")

    for spelling in (f"{space}/namespaces/a%40b", f"{space}%2Fnamespaces%2Fa@b"):
        shown = http.get(f"/v1/namespaces/{spelling}").json()
        assert f"{space}/namespaces/a@b" == shown["path"]
