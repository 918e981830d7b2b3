"""The change feed over Server-Sent Events."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx

from tests.end_to_end.conftest import StartServer
from tests.end_to_end.http_server import remember


def _events(lines: Iterator[str], count: int) -> list[tuple[str, str, dict[str, Any]]]:
    """Read `count` events: id, type, data."""
    found = []
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "id" in fields:
            found.append((fields["id"], fields["event"], json.loads(fields["data"])))
            fields = {}
        if len(found) == count:
            break
    return found


def test_events_come_in_order_and_while_they_happen(http: httpx.Client, space: str) -> None:
    memory = remember(http, space, "before")

    with http.stream("GET", "/v1/events", params={"namespace": space}) as stream:
        lines = stream.iter_lines()
        (past,) = _events(lines, 1)
        http.delete(f"/v1/memories/{memory['id']}")
        (present,) = _events(lines, 1)

    assert "text/event-stream" == stream.headers["content-type"].split(";")[0]
    assert ["memory.remembered", "memory.forgotten"] == [past[1], present[1]]
    assert [1, 2] == [past[2]["seq"], present[2]["seq"]]
    assert "content" not in past[2]


def test_a_follower_resumes_after_the_last_event_it_saw(http: httpx.Client, space: str) -> None:
    for content in ("one", "two", "three"):
        remember(http, space, content)
    with http.stream("GET", "/v1/events", params={"namespace": space}) as stream:
        seen = _events(stream.iter_lines(), 1)[0][0]

    with http.stream(
        "GET", "/v1/events", params={"namespace": space}, headers={"Last-Event-ID": seen}
    ) as stream:
        by_header = _events(stream.iter_lines(), 2)
    with http.stream(
        "GET", "/v1/events", params={"namespace": space, "last_event_id": seen}
    ) as stream:
        by_parameter = _events(stream.iter_lines(), 2)

    assert [2, 3] == [event[2]["seq"] for event in by_header]
    assert by_header == by_parameter


def test_an_id_of_another_epoch_starts_from_the_first_event(http: httpx.Client, space: str) -> None:
    remember(http, space, "one")

    with http.stream(
        "GET", "/v1/events", params={"namespace": space, "last_event_id": "other:1"}
    ) as stream:
        (first,) = _events(stream.iter_lines(), 1)

    assert 1 == first[2]["seq"]


def test_a_stopping_server_ends_its_streams(start_server: StartServer) -> None:
    with (
        start_server() as server,
        server.client() as http,
        http.stream("GET", "/v1/events") as stream,
    ):
        lines = stream.iter_lines()
        assert ": connected" == next(lines)

        code = server.stop()

        assert [""] == list(lines)
    assert 0 == code
    assert "" == (server.data.parent / "stderr").read_text()


def test_a_follower_that_leaves_is_forgotten_at_once(start_server: StartServer) -> None:
    ended = 'soma_http_requests_total{method="GET",route="/v1/events",status="200"} 1.0'
    with start_server() as server, server.client() as http:
        with http.stream("GET", "/v1/events") as stream:
            lines = stream.iter_lines()  # kept: collecting the iterator closes the stream
            assert ": connected" == next(lines)
            assert ended not in http.get("/metrics").text

        deadline = time.monotonic() + 5
        while ended not in http.get("/metrics").text:
            assert time.monotonic() < deadline
