"""How much may be asked, and what every answer tells a browser."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from dependency_injector import providers
from litestar import Litestar

from domain.access import Permission, Principal
from entrypoints.http.app import create_app
from tests.end_to_end.calling import NEAR, calling
from tests.end_to_end.embedded import installation
from tests.end_to_end.http_server import Served, fields_named, problem
from tests.end_to_end.test_keys import Stopwatch

ROOT_KEY = "a-long-bootstrap-key"
WINDOW_SECONDS = 60


@asynccontextmanager
async def limited(
    folder: Path, **settings: Any
) -> AsyncIterator[tuple[Litestar, Stopwatch, dict[Permission, str]]]:
    """Open an installation whose windows close by a stopwatch, with a key of each permission."""
    async with installation(
        folder, bootstrap_key=ROOT_KEY, rate_limit_window_seconds=WINDOW_SECONDS, **settings
    ) as soma:
        stopwatch = Stopwatch()
        soma.elapsed.override(providers.Object(stopwatch))
        tester = soma.guarded()(Principal("tester", Permission.ADMIN))
        tokens = {
            permission: (await tester.create_key(name="n", permission=permission)).token
            for permission in Permission
        }
        yield create_app(soma), stopwatch, tokens


async def test_a_key_has_so_many_requests_per_window_and_is_told(tmp_path: Path) -> None:
    async with (
        limited(tmp_path, rate_limit_read=3) as (app, stopwatch, tokens),
        calling(app, tokens[Permission.READ]) as http,
    ):
        answers = [await http.get("/v1/memories") for _ in range(4)]
        *granted, refused = answers
        assert ["2", "1", "0"] == [_part(answer, "r") for answer in granted]
        assert {'"key";q=3;w=60'} == {a.headers["RateLimit-Policy"] for a in answers}
        problem(refused, 429)
        wait = int(refused.headers["Retry-After"])
        assert str(wait) == _part(refused, "t")
        assert WINDOW_SECONDS <= wait <= WINDOW_SECONDS * 17 / 16 + 1
        # Another key has a window of its own, and so has every other permission.
        async with calling(app, tokens[Permission.WRITE]) as other:
            assert 200 == (await other.get("/v1/memories")).status_code
        # The window closes, and not before the time that was told.
        stopwatch.seconds += wait / 2
        assert 429 == (await http.get("/v1/memories")).status_code
        stopwatch.seconds += wait / 2
        assert 200 == (await http.get("/v1/memories")).status_code


async def test_a_refused_request_does_nothing(tmp_path: Path) -> None:
    async with (
        limited(tmp_path, rate_limit_write=1) as (app, _, tokens),
        calling(app, tokens[Permission.WRITE]) as http,
        calling(app, ROOT_KEY) as root,
    ):
        for content in ("one", "two"):
            await http.post("/v1/memories", json={"content": content})
        stored = (await root.get("/v1/memories")).json()["items"]

    assert ["one"] == [memory["content"] for memory in stored]


async def test_zero_is_without_limit_and_health_is_never_limited(tmp_path: Path) -> None:
    async with limited(tmp_path, rate_limit_read=1) as (app, _, tokens):
        async with calling(app, ROOT_KEY) as http:
            for _ in range(5):
                answer = await http.get("/v1/memories")
                assert 200 == answer.status_code
                assert "RateLimit" not in answer.headers
        async with calling(app, tokens[Permission.READ]) as http:
            for _ in range(5):
                assert 200 == (await http.get("/readyz")).status_code


async def test_keys_that_do_not_work_are_limited_by_address(tmp_path: Path) -> None:
    async with limited(tmp_path, rate_limit_failures=2) as (app, stopwatch, tokens):
        async with calling(app, "soma_0123456789abcdef_guess") as http:
            statuses = [(await http.get("/v1/memories")).status_code for _ in range(4)]
            assert [401, 401, 429, 429] == statuses
        async with calling(app, "soma_fedcba9876543210_guess") as http:
            refused = await http.get("/v1/memories")
            problem(refused, 429)
        # Whoever has a key that works is let in from there, and others from elsewhere.
        async with calling(app, ROOT_KEY) as http:
            assert 200 == (await http.get("/v1/memories")).status_code
        async with calling(app, address="192.0.2.8") as http:
            assert 401 == (await http.get("/v1/memories")).status_code
        stopwatch.seconds += int(refused.headers["Retry-After"])
        async with calling(app, "soma_fedcba9876543210_guess") as http:
            assert 401 == (await http.get("/v1/memories")).status_code
        async with calling(app, tokens[Permission.READ]) as http:
            assert 200 == (await http.get("/v1/memories")).status_code


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/memories", 200),
        ("GET", "/v1/memories/unknown", 404),
        ("GET", "/nowhere", 404),
        ("PUT", "/v1/memories", 405),
        ("POST", "/v1/recall", 400),
        ("GET", "/schema", 200),
        ("GET", "/healthz", 200),
        ("GET", "/metrics", 200),
        ("GET", "/v1/export", 200),
    ],
)
def test_every_answer_tells_a_browser_to_be_careful(
    http: httpx.Client, method: str, path: str, status: int
) -> None:
    answer = http.request(method, path)

    assert status == answer.status_code
    assert "no-store" == answer.headers["Cache-Control"]
    assert "nosniff" == answer.headers["X-Content-Type-Options"]
    assert "no-referrer" == answer.headers["Referrer-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "Server" not in answer.headers
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_refused_caller_is_told_the_same(tmp_path: Path) -> None:
    async with limited(tmp_path) as (app, _, _), calling(app) as http:
        answer = await http.get("/v1/memories")

        assert 401 == answer.status_code
        assert "no-store" == answer.headers["Cache-Control"]


async def test_pages_of_other_sites_may_call_only_where_they_are_named(tmp_path: Path) -> None:
    good, bad = "https://app.example", "https://evil.example"
    asked = {"Access-Control-Request-Method": "POST"}
    async with (
        limited(tmp_path, cors_origins=f"{good}, https://two.example") as (app, _, tokens),
        calling(app, tokens[Permission.READ]) as http,
    ):
        for origin, expected in ((good, good), (bad, None)):
            answer = await http.get("/v1/memories", headers={"Origin": origin})
            assert expected == answer.headers.get("Access-Control-Allow-Origin")
            before = await http.options("/v1/recall", headers={**asked, "Origin": origin})
            assert expected == before.headers.get("Access-Control-Allow-Origin")
    async with limited(tmp_path) as (app, _, tokens), calling(app, ROOT_KEY) as http:
        before = await http.options("/v1/recall", headers={**asked, "Origin": good})
        assert "Access-Control-Allow-Origin" not in before.headers


async def test_without_a_key_a_named_site_may_not_call_either(tmp_path: Path) -> None:
    async with (
        installation(tmp_path, cors_origins="https://app.example") as soma,
        calling(create_app(soma), address=NEAR) as http,
    ):
        refused = await http.get("/v1/memories", headers={"Origin": "https://app.example"})
        problem(refused, 403)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/memories/batch", {"memories": [{"content": "x"}] * 1001}, "memories"),
        ("/v1/recall", {"query": "x", "k": 1001}, "k"),
        ("/v1/recall", {"query": "x", "expand": 4}, "expand"),
        ("/v1/recall/batch", {"queries": [{"query": "x"}] * 101}, "queries"),
        ("/v1/recall", {"query": "x " * 9000}, "query"),
    ],
)
def test_what_is_too_many_is_refused(
    http: httpx.Client, path: str, body: dict[str, object], field: str
) -> None:
    assert [field] == fields_named(http.post(path, json=body))


@pytest.mark.parametrize(("parameter", "value"), [("depth", 9), ("limit", 1001)])
def test_a_walk_that_is_too_long_is_refused(http: httpx.Client, parameter: str, value: int) -> None:
    answer = http.get("/v1/memories/unknown/neighbors", params={parameter: value})

    assert [parameter] == fields_named(answer)


@pytest.mark.parametrize(
    "body",
    [
        {"content": "x" * (64 * 1024 + 1)},
        {"content": "x", "payload": {"p": "x" * (256 * 1024)}},
        {"content": "x", "payload": {"p": "x" * 1_000_000}},
    ],
)
def test_what_is_too_large_is_refused(server: Served, body: dict[str, object]) -> None:
    with server.client() as http:
        problem(http.post("/v1/memories", content=json.dumps(body)), 413)


def _part(answer: httpx.Response, name: str) -> str:
    """Return a parameter of the first item of `RateLimit`."""
    parts = dict(part.split("=") for part in answer.headers["RateLimit"].split(";")[1:])
    return parts[name]
