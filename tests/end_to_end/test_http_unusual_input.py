"""What is unusual but not wrong is taken as it is, and what does not exist is not found."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.end_to_end.http_server import LONG_AGO, problem, remember


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/v1/memories/{LONG_AGO}"),
        ("GET", "/v1/memories/no-id-at-all"),
        ("GET", "/v1/memories/%00"),
        ("PATCH", f"/v1/memories/{LONG_AGO}"),
        ("DELETE", f"/v1/memories/{LONG_AGO}"),
        ("GET", f"/v1/memories/{LONG_AGO}/history"),
        ("GET", f"/v1/memories/{LONG_AGO}/neighbors"),
        ("GET", f"/v1/paths?source={LONG_AGO}&target={LONG_AGO}"),
        ("DELETE", f"/v1/links?source={LONG_AGO}&target={LONG_AGO}&type=t"),
        ("GET", "/v1/namespaces/nowhere"),
        ("DELETE", "/v1/namespaces/nowhere"),
        ("GET", "/nowhere"),
        ("GET", "/v1/jobs/no-job-at-all"),
    ],
)
def test_what_does_not_exist_is_not_found(http: httpx.Client, method: str, path: str) -> None:
    answer = http.request(method, path, json={} if method == "PATCH" else None)

    problem(answer, 404)


def test_a_wrong_method_is_refused_with_those_allowed(http: httpx.Client) -> None:
    answer = http.put("/v1/memories", json={})

    problem(answer, 405)
    assert {"GET", "POST", "OPTIONS"} == set(answer.headers["allow"].split(", "))


@pytest.mark.parametrize(
    "text",
    [
        "'; DROP TABLE memories; --",
        '" OR 1=1 --',
        'NEAR("a" "b") AND * ^ : - ( )',
        "% _ \\ [a-z]",
        "\u202e\u0301 \U0001f9e0 ﬁ İ",
    ],
)
def test_metacharacters_are_only_text(http: httpx.Client, space: str, text: str) -> None:
    memory = remember(http, space, f"{text} marker", tags=[text], payload={"key": text})

    hits = http.post("/v1/recall", json={"namespace": space, "query": f"{text} marker"}).json()
    listed = http.get("/v1/memories", params={"namespace": space, "tags": text}).json()
    where = json.dumps({"key": text})
    matching = http.get("/v1/memories", params={"namespace": space, "where": where}).json()

    assert [memory["id"]] == [hit["memory"]["id"] for hit in hits["hits"]]
    assert [memory] == listed["items"]
    assert [memory] == matching["items"]


@pytest.mark.parametrize("number", [10**30, -(10**30), 2**63, 2**53 + 1, 1e308, 0.1])
def test_extreme_numbers_in_a_payload_are_kept_and_compared(
    http: httpx.Client, space: str, number: float
) -> None:
    memory = remember(http, space, "a number", payload={"n": number})

    for condition in ({"n": number}, {"n": {"gte": number}}, {"n": {"in": [number]}}):
        where = json.dumps(condition)
        listed = http.get("/v1/memories", params={"namespace": space, "where": where})
        assert 200 == listed.status_code, listed.text
        assert [memory] == listed.json()["items"], condition
