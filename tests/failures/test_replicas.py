"""Two API processes on one database: each sees what the other did, on its very next call."""

from __future__ import annotations

import itertools

import httpx

from tests.failures.conftest import Installation
from tests.failures.story import Story, check, check_projections, contents_of, recall


def neighbors(http: httpx.Client, id: str) -> list[str]:
    """Return the ids that a memory is linked to."""
    answer = http.get(f"/v1/memories/{id}/neighbors")
    assert answer.status_code == 200, answer.text
    return [item["memory"]["id"] for item in answer.json()["items"]]


def test_a_write_on_one_is_recalled_by_the_other_at_once(
    installation: Installation, story: Story
) -> None:
    one, two = installation.one, installation.two

    for number in range(50):
        writer, reader = (one, two) if number % 2 else (two, one)
        story.store(writer, f"note {number} of many")

        assert contents_of(recall(reader, story.space, f"note {number} of many"))[0] == (
            f"note {number} of many"
        )
    check(one, story)
    check_projections(one, installation.worker)


def test_a_change_and_a_forgetting_on_one_hold_on_the_other_at_once(
    installation: Installation, story: Story
) -> None:
    one, two = installation.one, installation.two
    for number in range(10):
        story.store(one, f"the kettle has number {number}")

    for turn, id in enumerate(list(story.live)):
        writer, reader = (one, two) if turn % 2 else (two, one)
        story.revise(writer, id, f"the teapot has number {turn}")
        assert contents_of(recall(reader, story.space, f"the teapot has number {turn}"))[0] == (
            f"the teapot has number {turn}"
        )
        story.forget(reader, id)
        assert f"the teapot has number {turn}" not in contents_of(
            recall(writer, story.space, f"the teapot has number {turn}")
        )
        assert writer.get(f"/v1/memories/{id}").status_code == 404
    check(two, story)


def test_a_link_made_on_one_is_walked_on_the_other_at_once(
    installation: Installation, story: Story
) -> None:
    one, two = installation.one, installation.two
    story.store_batch(one, [f"place {number}" for number in range(10)])
    ids = list(story.live)
    assert neighbors(two, ids[0]) == []

    for source, target in itertools.pairwise(ids):
        body = {"source": source, "target": target, "type": "leads-to"}
        assert one.post("/v1/links", json=body).status_code == 201

        assert target in neighbors(two, source)

    path = two.get("/v1/paths", params={"source": ids[0], "target": ids[-1]}).json()
    assert [memory["id"] for memory in path["memories"]] == ids
    one.delete("/v1/links", params={"source": ids[4], "target": ids[5], "type": "leads-to"})
    assert two.get("/v1/paths", params={"source": ids[0], "target": ids[-1]}).status_code == 404
