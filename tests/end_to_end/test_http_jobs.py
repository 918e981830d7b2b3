"""Jobs over HTTP: started, watched, listed, cancelled."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.end_to_end.http_server import TIMEOUT_SECONDS, Served, fields_named, problem, remember


def over(http: httpx.Client, id: str) -> dict[str, Any]:
    """Return a job when it is over."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        job: dict[str, Any] = http.get(f"/v1/jobs/{id}").json()
        if job.get("finished_at") is not None:
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


def lines(space: str, count: int) -> bytes:
    """Write drafts that are never taken for one another."""
    return b"".join(
        json.dumps({"namespace": space, "content": f"line {number}", "deduplicate": False}).encode()
        + b"\n"
        for number in range(count)
    )


def test_an_import_that_breaks_off_is_gone_on_with_by_the_same_lines(
    http: httpx.Client, space: str
) -> None:
    body = lines(space, 1200)

    def broken() -> Iterator[bytes]:
        yield body[: len(body) * 3 // 4]
        raise ConnectionError

    id = f"import-{space[-8:]}"
    with pytest.raises(ConnectionError):
        http.post("/v1/import", params={"job": id}, content=broken())
    broken_off = over(http, id)
    other = http.post("/v1/import", params={"job": id}, content=body.replace(b"line 7", b"line x"))
    answer = http.post("/v1/import", params={"job": id}, content=body)
    again = http.post("/v1/import", params={"job": id}, content=body)

    assert (broken_off["state"], broken_off["done"]) == ("failed", 500)
    assert ["job"] == fields_named(other)
    assert answer.json()["imported"] == 1200, answer.text
    assert again.json() == answer.json()
    assert http.get(f"/v1/namespaces/{space}").json()["memories"] == 1200
    job = over(http, id)
    assert (job["state"], job["done"], job["attempts"]) == ("succeeded", 1200, 3)
    assert ["job"] == fields_named(http.post("/v1/import?job=a%20b", content=b""))


def test_an_export_goes_on_after_a_memory_or_a_link(http: httpx.Client, space: str) -> None:
    stored = [remember(http, space, f"memory {number}")["id"] for number in range(4)]
    for one, other in itertools.pairwise(stored):
        http.post("/v1/links", json={"source": one, "target": other, "type": "t"})

    def exported(**parameters: str) -> list[str]:
        answer = http.get("/v1/export", params={"namespace": space, **parameters})
        assert answer.status_code == 200, answer.text
        return answer.text.splitlines()

    whole = exported()
    link = json.loads(whole[4])["link"]

    assert exported(after=json.loads(whole[1])["memory"]["id"]) == whole[2:]
    assert exported(after=f"{link['source']},{link['target']},{link['type']}") == whole[5:]
    assert problem(http.get("/v1/export?after=nobody"), 404)
    assert ["after"] == fields_named(http.get("/v1/export?after=a,b"))
    newest = http.get("/v1/jobs?kind=export&state=succeeded&limit=1").json()["items"][0]
    assert newest["namespace"] == space
    assert newest["result"] == {"exported": len(whole[5:])}


def test_a_backup_is_made_over_the_socket_only(server: Served, tmp_path: Path) -> None:
    with server.client() as http:
        problem(http.post("/v1/maintenance/backup", params={"to": str(tmp_path / "b")}), 403)
    with server.local_client() as http:
        assert ["to"] == fields_named(http.post("/v1/maintenance/backup?to=b"))
        job = http.post("/v1/maintenance/backup", params={"to": str(tmp_path / "b")}).json()
        assert over(http, job["id"])["state"] == "succeeded"
        again = http.post("/v1/maintenance/backup", params={"to": str(tmp_path / "b")}).json()
        failed = over(http, again["id"])

    assert failed["state"] == "failed"
    assert "is there already" in failed["error"]
    assert (tmp_path / "b" / "manifest.json").exists()
