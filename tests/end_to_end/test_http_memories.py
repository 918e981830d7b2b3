"""Storing, showing, changing, listing and forgetting over HTTP."""

from __future__ import annotations

import base64
import struct
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.end_to_end.http_server import fields_named, problem, remember


def test_a_stored_memory_has_an_address_and_a_version(http: httpx.Client, space: str) -> None:
    answer = http.post(
        "/v1/memories",
        json={
            "namespace": space,
            "content": "Alice prefers e-mail.",
            "kind": "semantic",
            "payload": {"turn": 7},
            "tags": ["b", "a"],
            "coordinate": [0.5, -1],
            "importance": 2,
            "pinned": True,
            "occurred_at": "2026-01-31T13:00:00+01:00",
            "source": {"actor": "alice", "session": "s1"},
            "vector": [0, 0, 0, 2],
        },
    )

    assert 201 == answer.status_code
    body = answer.json()
    memory = body["memory"]
    shown = http.get(answer.headers["Location"])
    assert (f"/v1/memories/{memory['id']}", '"1"') == (
        answer.headers["Location"],
        answer.headers["ETag"],
    )
    assert ('"1"', memory) == (shown.headers["ETag"], shown.json())
    assert ("2026-01-31T12:00:00Z", ["a", "b"]) == (memory["occurred_at"], memory["tags"])
    assert not body["deduplicated"]
    assert "vector" not in memory


def test_a_given_vector_is_found_whether_numbers_or_base64(http: httpx.Client, space: str) -> None:
    packed = base64.b64encode(struct.pack("<4f", 0.0, 3.0, 0.0, 0.0)).decode()
    near = remember(http, space, "by numbers", vector=[0, 3, 0.001, 0])
    far = remember(http, space, "another way", vector=[1, 0, 0, 0])

    answer = http.post("/v1/recall", json={"namespace": space, "vector": packed, "k": 2})

    ids = [hit["memory"]["id"] for hit in answer.json()["hits"]]
    assert near["id"] == ids[0]
    assert set(ids) <= {near["id"], far["id"]}


def test_the_same_content_is_one_memory_and_answers_200(http: httpx.Client, space: str) -> None:
    memory = remember(http, space, "said twice")

    answer = http.post("/v1/memories", json={"namespace": space, "content": "said twice"})
    separate = http.post(
        "/v1/memories", json={"namespace": space, "content": "said twice", "deduplicate": False}
    )

    assert (200, True, memory) == (
        answer.status_code,
        answer.json()["deduplicated"],
        answer.json()["memory"],
    )
    assert 201 == separate.status_code
    assert memory["id"] != separate.json()["memory"]["id"]


def test_an_idempotency_key_answers_again_and_refuses_another_body(
    http: httpx.Client, space: str
) -> None:
    body = {"namespace": space, "content": "once", "deduplicate": False}
    key = {"Idempotency-Key": space}

    once = http.post("/v1/memories", json=body, headers=key)
    again = http.post("/v1/memories", json=body, headers=key)
    other = http.post("/v1/memories", json={**body, "content": "other"}, headers=key)

    assert once.json()["memory"] == again.json()["memory"]
    problem(other, 409)
    assert 1 == len(http.get("/v1/memories", params={"namespace": space}).json()["items"])


def test_a_batch_answers_in_order(http: httpx.Client, space: str) -> None:
    contents = ["first", "second", "first"]
    batch = [{"namespace": space, "content": content} for content in contents]

    answer = http.post("/v1/memories/batch", json={"memories": batch, "wait": "stored"})

    assert 200 == answer.status_code
    results = answer.json()["results"]
    assert contents == [result["memory"]["content"] for result in results]
    assert results[0]["memory"]["id"] == results[2]["memory"]["id"]


def test_a_change_keeps_what_is_absent_and_clears_what_is_null(
    http: httpx.Client, space: str
) -> None:
    memory = remember(
        http, space, "old", tags=["keep"], coordinate=[1], valid_to="2099-01-01T00:00:00Z"
    )

    answer = http.patch(
        f"/v1/memories/{memory['id']}",
        json={"content": "new", "coordinate": None, "valid_to": None},
        headers={"If-Match": '"1"'},
    )

    revised = answer.json()["memory"]
    assert (200, '"2"') == (answer.status_code, answer.headers["ETag"])
    assert ("new", ["keep"], None, None) == (
        revised["content"],
        revised["tags"],
        revised["coordinate"],
        revised["valid_to"],
    )


def test_a_lost_race_is_refused_with_412(http: httpx.Client, space: str) -> None:
    memory = remember(http, space, "contested")
    path = f"/v1/memories/{memory['id']}"

    first = http.patch(path, json={"pinned": True}, headers={"If-Match": '"1"'})
    second = http.patch(path, json={"importance": 5}, headers={"If-Match": '"1"'})
    anyway = http.patch(path, json={"importance": 5}, headers={"If-Match": "*"})

    assert 200 == first.status_code
    problem(second, 412)
    assert 3 == anyway.json()["memory"]["version"]


def test_history_tells_every_version_and_known_at_looks_back(
    http: httpx.Client, space: str
) -> None:
    memory = remember(http, space, "then")
    path = f"/v1/memories/{memory['id']}"
    revised = http.patch(path, json={"content": "now"}).json()["memory"]

    page = http.get(f"{path}/history", params={"limit": 1}).json()
    rest = http.get(f"{path}/history", params={"cursor": page["next_cursor"]}).json()
    before = datetime.fromisoformat(revised["updated_at"]) - timedelta(microseconds=1)
    known = http.get(path, params={"known_at": before.astimezone(UTC).isoformat()})

    versions = page["items"] + rest["items"]
    assert [(2, "now", "local"), (1, "then", "local")] == [
        (entry["version"], entry["memory"]["content"], entry["recorded_by"]) for entry in versions
    ]
    assert rest["next_cursor"] is None
    assert "then" == known.json()["content"]


@pytest.mark.parametrize("erase", ["false", "true"])
def test_a_forgotten_memory_is_gone_and_stays_gone(
    http: httpx.Client, space: str, erase: str
) -> None:
    memory = remember(http, space, "a secret nobody should keep")
    path = f"/v1/memories/{memory['id']}"

    answers = [http.delete(path, params={"erase": erase}) for _ in range(2)]

    assert [204, 204] == [answer.status_code for answer in answers]
    assert [b"", b""] == [answer.content for answer in answers]
    problem(http.get(path), 404)
    recalled = http.post("/v1/recall", json={"namespace": space, "query": "secret"}).json()
    assert [] == recalled["hits"]
    kept = [entry["memory"]["content"] for entry in http.get(f"{path}/history").json()["items"]]
    assert ([] if erase == "true" else [memory["content"]]) == list(set(kept))


def test_a_list_is_paged_newest_first_and_filtered(http: httpx.Client, space: str) -> None:
    for day in range(1, 6):
        remember(
            http,
            space,
            f"day {day}",
            occurred_at=f"2026-01-0{day}T00:00:00Z",
            tags=["odd"] if day % 2 else ["even", "odd" if day == 4 else "plain"],
            coordinate=[day, day],
            payload={"day": day},
            source={"actor": "bob" if day < 3 else "eve"},
        )

    def listed(**parameters: object) -> list[str]:
        answer = http.get("/v1/memories", params={"namespace": space, **parameters})  # type: ignore[dict-item]
        return [item["content"].removeprefix("day ") for item in answer.json()["items"]]

    first = http.get("/v1/memories", params={"namespace": space, "limit": 3}).json()
    second = http.get(
        "/v1/memories", params={"namespace": space, "cursor": first["next_cursor"]}
    ).json()

    assert ["5", "4", "3", "2", "1"] == [
        item["content"][-1] for item in first["items"] + second["items"]
    ]
    assert second["next_cursor"] is None
    assert ["4"] == listed(tags=["even", "odd"])
    assert ["4", "2"] == listed(tags_any=["even"])
    assert ["3", "2"] == listed(
        occurred_after="2026-01-02T00:00:00Z", occurred_before="2026-01-04T00:00:00Z"
    )
    assert ["3", "2"] == listed(box='{"min": [2, 2], "max": [3, 3]}')
    assert ["5", "4"] == listed(where='{"day": {"gte": 4}}')
    assert ["2", "1"] == listed(actor="bob")
    assert [] == listed(kinds=["procedural"])
    assert [] == listed(as_of="2020-01-01T00:00:00Z", session="none")


def test_a_subtree_is_listed_on_request_only(http: httpx.Client, space: str) -> None:
    remember(http, f"{space}/below", "deep down")

    exact = http.get("/v1/memories", params={"namespace": space}).json()
    subtree = http.get("/v1/memories", params={"namespace": space, "scope": "subtree"}).json()

    assert [] == exact["items"]
    assert ["deep down"] == [item["content"] for item in subtree["items"]]


def test_the_seed_manuals_calls_are_aliases(http: httpx.Client, space: str) -> None:
    stored = http.post(
        "/store",
        json={
            "namespace": space,
            "coordinate": "0.1, 0.2",
            "payload": {"fact": "the sky is blue", "seen": 3},
            "memory_type": "semantic",
        },
    )
    found = http.post(
        "/recall",
        json={"namespace": space, "query": "sky", "top_k": 1, "filters": {"seen": 3}},
    )
    missed = http.post("/recall", json={"namespace": space, "query": "sky", "filters": {"seen": 4}})

    memory = stored.json()["memory"]
    assert 201 == stored.status_code
    assert ("the sky is blue", "semantic", [0.1, 0.2]) == (
        memory["content"],
        memory["kind"],
        memory["coordinate"],
    )
    assert [memory] == [hit["memory"] for hit in found.json()["hits"]]
    assert [] == missed.json()["hits"]
    assert ["type"] == fields_named(
        http.post(
            "/store",
            json={
                "coordinate": [1],
                "payload": {},
                "memory_type": "semantic",
                "type": "episodic",
            },
        )
    )
