"""Recall, links, paths and namespaces over HTTP."""

from __future__ import annotations

import httpx
import pytest

from tests.end_to_end.http_server import problem, remember


def test_hits_carry_the_parts_of_their_score(http: httpx.Client, space: str) -> None:
    remember(http, space, "Alice moved to Lisbon in spring", vector=[1, 0, 0, 0])
    remember(http, space, "Bob likes tea", vector=[0, 1, 0, 0])

    answer = http.post(
        "/v1/recall",
        json={"namespace": space, "query": "Where does Alice live?", "vector": [1, 0, 0, 0]},
    ).json()

    best = answer["hits"][0]
    assert "Alice moved to Lisbon in spring" == best["memory"]["content"]
    assert best["score"] == pytest.approx(sum(best["parts"].values()), abs=1e-6)
    assert 0 <= best["relevance"] <= 1
    assert answer["exact"] is True
    assert answer["took_ms"] > 0


def test_a_recall_obeys_its_filters(http: httpx.Client, space: str) -> None:
    old = remember(
        http,
        space,
        "the office is in Rome",
        valid_to="2026-01-01T00:00:00Z",
        valid_from="2020-01-01T00:00:00Z",
    )
    new = remember(http, space, "the office is in Oslo", valid_from="2026-01-01T00:00:00Z")
    question = {"namespace": space, "query": "office"}

    def found(**fields: object) -> set[str]:
        hits = http.post("/v1/recall", json={**question, **fields}).json()["hits"]
        return {hit["memory"]["id"] for hit in hits}

    assert {new["id"]} == found(as_of="2026-06-01T00:00:00Z")
    assert {old["id"]} == found(as_of="2025-06-01T00:00:00+02:00")
    assert {old["id"], new["id"]} == found(include_expired=True)
    assert set() == found(include_expired=True, tags=["none"])
    assert set() == found(include_expired=True, min_relevance=1.0)
    assert 1 == len(found(include_expired=True, k=1))


def test_a_context_block_is_made_on_request(http: httpx.Client, space: str) -> None:
    remember(http, space, "the parcel arrived on Monday")

    answer = http.post(
        "/v1/recall", json={"namespace": space, "query": "parcel", "budget_tokens": 100}
    ).json()

    assert "the parcel arrived on Monday" in answer["context"]


def test_a_batch_of_questions_is_answered_in_order(http: httpx.Client, space: str) -> None:
    for word in ("red", "green"):
        remember(http, space, f"the {word} door")

    answers = http.post(
        "/v1/recall/batch",
        json={"queries": [{"namespace": space, "query": word} for word in ("green", "red")]},
    ).json()["answers"]

    assert ["the green door", "the red door"] == [
        answer["hits"][0]["memory"]["content"] for answer in answers
    ]


@pytest.mark.parametrize("expand", [True, 1, 2])
def test_a_recall_expands_along_links(http: httpx.Client, space: str, expand: object) -> None:
    cause = remember(http, space, "the pump failed")
    effect = remember(http, space, "cellar under water")
    link = {"source": cause["id"], "target": effect["id"], "type": "caused"}
    assert 201 == http.post("/v1/links", json=link).status_code

    question = {"namespace": space, "query": "pump"}
    plain = http.post("/v1/recall", json=question).json()["hits"]
    expanded = http.post("/v1/recall", json={**question, "expand": expand}).json()["hits"]

    assert [cause["id"]] == [hit["memory"]["id"] for hit in plain]
    assert {cause["id"], effect["id"]} == {hit["memory"]["id"] for hit in expanded}


def test_links_are_walked_and_removed(http: httpx.Client, space: str) -> None:
    ends = [remember(http, space, f"stop {n}")["id"] for n in range(3)]
    for source, target, weight in ((0, 1, 10), (1, 2, 10), (0, 2, 0.1)):
        body = {
            "source": ends[source],
            "target": ends[target],
            "type": "next",
            "weight": weight,
            "properties": {"by": "bus"},
        }
        link = http.post("/v1/links", json=body).json()
        assert body == {name: link[name] for name in body}
    route = {"source": ends[0], "target": ends[2]}

    near = http.get(f"/v1/memories/{ends[0]}/neighbors", params={"direction": "out"}).json()
    direct = http.get("/v1/paths", params=route).json()
    cheap = http.get("/v1/paths", params={**route, "weighted": "true"}).json()
    back = http.get("/v1/paths", params={"source": ends[2], "target": ends[0]})
    gone = http.delete("/v1/links", params={**route, "type": "next"})
    twice = http.delete("/v1/links", params={**route, "type": "next"})
    detour = http.get("/v1/paths", params={**route, "type": "next"}).json()

    assert {ends[1], ends[2]} == {item["memory"]["id"] for item in near["items"]}
    assert {1} == {item["depth"] for item in near["items"]}
    assert [ends[0], ends[2]] == [memory["id"] for memory in direct["memories"]]
    assert ends == [memory["id"] for memory in cheap["memories"]]
    assert 2 == len(cheap["links"])
    problem(back, 404)
    assert 204 == gone.status_code
    problem(twice, 404)
    assert ends == [memory["id"] for memory in detour["memories"]]


def test_a_namespace_has_statistics_and_a_policy(http: httpx.Client, space: str) -> None:
    remember(http, f"{space}/team", "one of one")

    listed = http.get("/v1/namespaces", params={"under": space}).json()
    changed = http.patch(
        f"/v1/namespaces/{space}/team", json={"policy": {"half_life_days": 30}}
    ).json()
    shown = http.get(f"/v1/namespaces/{space}/team").json()

    assert [f"{space}/team"] == [item["path"] for item in listed["items"]]
    assert (1, 1, 30.0) == (shown["memories"], shown["head"], shown["policy"]["half_life_days"])
    assert changed == shown


def test_a_subtree_is_erased(http: httpx.Client, space: str) -> None:
    memory = remember(http, f"{space}/a/b", "below")

    answer = http.delete(f"/v1/namespaces/{space}")

    assert {"erased": 1} == answer.json()
    problem(http.get(f"/v1/memories/{memory['id']}"), 404)


def test_maintenance_answers(http: httpx.Client, space: str) -> None:
    remember(http, space, "without a vector")

    assert {"findings": []} == http.post("/v1/maintenance/reconcile?check=true").json()
    assert http.post("/v1/maintenance/reindex").json()["queued"] > 0
    assert {"pending": 1} == http.get("/v1/stats/pending", params={"namespace": space}).json()
    doctor = http.get("/v1/doctor").json()
    assert {"name", "ok", "detail"} == set(doctor["checks"][0])
    assert "none" == doctor["settings"]["embedder"]
