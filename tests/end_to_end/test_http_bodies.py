"""Bodies that come late, break off, are too large or cannot be read."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from application.access.seats import Kind, Seats
from domain.errors import CallerGone, TooSlow
from entrypoints.http.admission import Bounded
from entrypoints.http.app import create_app
from tests.end_to_end.conftest import StartServer
from tests.end_to_end.embedded import installation
from tests.end_to_end.http_server import BODY_BYTES_MAX, Served, fields_named

SLUG = "urn:somafractalmemory:problem:"
MCP_HEADERS = {"accept": "application/json, text/event-stream"}
JSON_HEADERS = {"Content-Type": "application/json"}
BEGINNING = b'{"content": "half'
LINE = b'{"content": "imported"}\n'
SECONDS = 30.0


def begun(served: Served, path: str) -> socket.socket:
    """Send a request with the first piece of its body."""
    connection = socket.create_connection(("127.0.0.1", httpx.URL(served.url).port or 0), 30)
    lines = ("Host: localhost", "Content-Type: application/json", "Content-Length: 1000", "", "")
    connection.sendall("\r\n".join((f"POST {path} HTTP/1.1", *lines)).encode() + BEGINNING)
    return connection


def heard(connection: socket.socket) -> bytes:
    """Return everything that comes until the other end closes."""
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("path", ["/v1/memories", "/v1/import", "/v1/recall", "/mcp"])
def test_a_body_that_does_not_arrive_is_refused_and_the_connection_closed(
    start_server: StartServer, path: str
) -> None:
    with start_server(SOMA_BODY_TIMEOUT_SECONDS="0.2", SOMA_REQUESTS_WRITING_MAX="1") as served:
        head, _, body = heard(begun(served, path)).partition(b"\r\n\r\n")

        told = json.loads(body)
        assert head.startswith(b"HTTP/1.1 408 ")
        assert b"\r\nconnection: close" in head.lower()
        assert (408, f"{SLUG}too-slow") == (told["status"], told["type"])
        assert ["body"] == [error["field"] for error in told["errors"]]
        with served.client() as http:
            assert 201 == http.post("/v1/memories", json={"content": "there is room"}).status_code


class Pieces:
    """Gives the pieces of a body after so many seconds each, then nothing more."""

    def __init__(self, *pauses: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pauses = list(pauses)
        self._passed = 0.0
        loop = asyncio.get_running_loop()
        real = loop.time
        monkeypatch.setattr(loop, "time", lambda: real() + self._passed)

    async def __call__(self) -> dict[str, object]:
        """Return the next piece."""
        if not self._pauses:
            self._passed += 10 * SECONDS
            await asyncio.Event().wait()
        self._passed += self._pauses.pop(0)
        return {"type": "http.request", "body": b"piece", "more_body": True}


async def read_by(route: str, receive: Any) -> int:
    """Return how many pieces a route reads until it is refused."""
    count = 0

    async def app(_: object, receive: Any, __: object) -> None:
        nonlocal count
        while True:
            await receive()
            count += 1

    seats = Seats(reading_max=1, writing_max=1)
    bounded = Bounded(seats, body_seconds=SECONDS)
    scope: Any = {"method": "POST", "path_template": route}
    nowhere: Any = None
    with pytest.raises(TooSlow):
        await bounded.handle(scope, receive, nowhere, app)
    assert {Kind.READING: 0, Kind.WRITING: 0} == seats.inside
    return count


async def test_an_import_may_take_long_as_long_as_its_pieces_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses = [20.0, 200.0, 290.0, 20.0]

    assert 4 == await read_by("/v1/import", Pieces(*pauses, monkeypatch=monkeypatch))


async def test_any_other_body_has_one_limit_for_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def late() -> dict[str, object]:
        await asyncio.sleep(0)
        return await pieces()

    pieces = Pieces(20.0, 20.0, 20.0, 20.0, monkeypatch=monkeypatch)

    assert 2 == await read_by("/v1/memories", late)


async def test_what_comes_after_the_body_is_passed_on() -> None:
    messages: list[dict[str, object]] = [
        {"type": "http.request", "body": b"{}", "more_body": False},
        {"type": "http.disconnect"},
    ]
    seen = []

    async def receive() -> dict[str, object]:
        return messages.pop(0)

    async def app(_: object, receive: Any, __: object) -> None:
        seen.extend([await receive(), await receive()])

    scope: Any = {"method": "POST", "path_template": "/v1/memories"}
    nowhere: Any = None
    bounded = Bounded(Seats(reading_max=1, writing_max=1), body_seconds=SECONDS)
    await bounded.handle(scope, receive, nowhere, app)  # type: ignore[arg-type]

    assert ["http.request", "http.disconnect"] == [message["type"] for message in seen]


@pytest.mark.parametrize("path", ["/v1/memories", "/v1/import"])
def test_a_caller_that_hangs_up_is_no_failure_of_the_server(
    start_server: StartServer, path: str
) -> None:
    with start_server(SOMA_LOG_LEVEL="info") as served, served.client() as http:
        begun(served, path).close()
        counted = f'soma_http_requests_total{{method="POST",route="{path}",status="499"}} 1'
        while counted not in http.get("/metrics").text:
            pass
        lines = [json.loads(x) for x in (served.data.parent / "stderr").read_text().splitlines()]

    [told] = [line for line in lines if line.get("route") == path]
    assert ("request", 499) == (told["event"], told["status"])
    assert {"info"} == {line["level"] for line in lines}
    assert 'status="500"' not in counted


def test_a_body_that_is_too_large_names_itself_and_the_limit(http: httpx.Client) -> None:
    body = b'{"content": "' + b"x" * BODY_BYTES_MAX + b'"}'

    def pieces() -> Any:
        yield body

    announced = http.post("/v1/memories", content=body)
    streamed = http.post("/v1/memories", content=pieces())
    over_mcp = http.post("/mcp", content=body, headers={**MCP_HEADERS, **JSON_HEADERS})
    streamed_over_mcp = http.post("/mcp", content=pieces(), headers={**MCP_HEADERS, **JSON_HEADERS})

    for answer in (announced, streamed, over_mcp, streamed_over_mcp):
        assert ["body"] == fields_named(answer, 413)
        assert f"{SLUG}too-large" == answer.json()["type"]
        assert str(BODY_BYTES_MAX) in answer.json()["detail"]


@pytest.mark.parametrize(
    "path", ["/v1/memories", "/v1/recall", "/v1/import", "/mcp", "/store", "/v1/links"]
)
def test_a_compressed_body_is_refused_by_the_header_that_says_so(
    http: httpx.Client, path: str
) -> None:
    headers = {**MCP_HEADERS, **JSON_HEADERS, "Content-Encoding": "gzip"}

    answer = http.post(path, content=gzip.compress(LINE), headers=headers)

    assert ["content-encoding"] == fields_named(answer, 415)
    assert f"{SLUG}unsupported-media-type" == answer.json()["type"]


def test_a_body_that_says_it_is_as_it_is_is_read(http: httpx.Client, space: str) -> None:
    body = {"content": "plain", "namespace": space}

    answer = http.post("/v1/memories", json=body, headers={"Content-Encoding": "identity"})

    assert 201 == answer.status_code


@pytest.mark.parametrize("kind", ["text/plain", "", "application/jsonx"])
def test_mcp_refuses_what_does_not_say_that_it_is_json(http: httpx.Client, kind: str) -> None:
    answer = http.post("/mcp", content=b"{}", headers={**MCP_HEADERS, "Content-Type": kind})

    assert ["content-type"] == fields_named(answer, 415)


async def test_a_torn_body_leaves_no_trace(tmp_path: Path) -> None:
    async def torn() -> AsyncIterator[bytes]:
        yield BEGINNING
        raise CallerGone("the body broke off")

    async with installation(tmp_path) as soma:
        app = create_app(soma)
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            answer = await http.post("/v1/memories", content=torn())
            listed = await http.get("/v1/memories")

    assert 499 == answer.status_code
    assert [] == listed.json()["items"]


async def test_a_body_for_a_tool_holds_a_place_only_until_it_is_there() -> None:
    inside: list[int] = []
    pieces = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.request", "body": b"}", "more_body": False},
    ]
    seats = Seats(reading_max=1, writing_max=1)

    async def receive() -> dict[str, object]:
        inside.append(seats.inside[Kind.WRITING])
        return pieces.pop(0)

    async def app(_: object, receive: Any, __: object) -> None:
        await receive()
        await receive()
        with seats.entered(Kind.WRITING):
            inside.append(seats.inside[Kind.WRITING])

    scope: Any = {"method": "POST", "path_template": "/mcp"}
    nowhere: Any = None
    await Bounded(seats, body_seconds=SECONDS).handle(scope, receive, nowhere, app)  # type: ignore[arg-type]

    assert [1, 1, 1] == inside
    assert 0 == seats.inside[Kind.WRITING]
