"""Jobs over HTTP: started, watched, listed, cancelled."""

from __future__ import annotations

import time
from typing import Any

import httpx

from tests.end_to_end.http_server import TIMEOUT_SECONDS, fields_named, problem, remember


def over(http: httpx.Client, id: str) -> dict[str, Any]:
    """Return a job when it is over."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        job: dict[str, Any] = http.get(f"/v1/jobs/{id}").json()
        if job["finished_at"] is not None:
            return job
        assert time.monotonic() < deadline, job


def test_a_job_runs_by_itself_and_shows_its_result(http: httpx.Client, space: str) -> None:
    remember(http, space, "without a vector")

    answer = http.post("/v1/maintenance/reindex?wait=false")
    queued = answer.json()
    job = over(http, queued["id"])

    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{queued['id']}"
    assert ("reindex", "queued", "local") == (
        queued["kind"],
        queued["state"],
        queued["requested_by"],
    )
    assert job["state"] == "succeeded", job
    assert job["result"]["queued"] > 0
    assert job["done"] == job["total"]
    assert not job["stuck"]


def test_what_is_waited_for_is_a_job_as_well(http: httpx.Client) -> None:
    answer = http.post("/v1/maintenance/reconcile?check=true")

    newest = http.get("/v1/jobs?kind=reconcile&limit=1").json()["items"][0]

    assert answer.json() == {"findings": []} == newest["result"]
    assert newest["state"] == "succeeded"
    assert newest["parameters"] == {"check": True}


def test_jobs_are_listed_page_by_page(http: httpx.Client) -> None:
    for _ in range(3):
        http.post("/v1/maintenance/reindex")

    first = http.get("/v1/jobs", params={"limit": 2}).json()
    second = http.get("/v1/jobs", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    running = http.get("/v1/jobs", params={"state": "running"}).json()

    ids = [job["id"] for job in [*first["items"], *second["items"]]]
    assert len(first["items"]) == 2
    assert sorted(ids, reverse=True) == ids
    assert running == {"items": [], "next_cursor": None}


def test_a_job_that_is_over_stays_what_it_became(http: httpx.Client) -> None:
    job = http.post("/v1/maintenance/reindex?wait=false").json()
    finished = over(http, job["id"])

    assert http.delete(f"/v1/jobs/{job['id']}").json() == finished


def test_unknown_jobs_and_wrong_filters_are_refused(http: httpx.Client) -> None:
    assert problem(http.get("/v1/jobs/nobody"), 404)["type"].endswith("job-not-found")
    problem(http.delete("/v1/jobs/nobody"), 404)
    problem(http.get("/v1/jobs/%00"), 404)
    assert ["kind"] == fields_named(http.get("/v1/jobs?kind=dance"))
    assert ["state"] == fields_named(http.get("/v1/jobs?state=lazy"))
    assert ["cursor"] == fields_named(http.get("/v1/jobs?cursor=x"))
    assert ["model"] == fields_named(http.post("/v1/maintenance/reindex?wait=false&model=x"))
