"""Who shows keys that do not work is told to wait; whoever has one that works is let in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from dependency_injector import providers

from application.access.keyring import FRESH_SECONDS
from container import Container
from domain.access import Permission, Principal
from entrypoints.grpc.wire import memory_pb2 as wire
from entrypoints.http.app import create_app
from tests.end_to_end.calling import FAR, calling
from tests.end_to_end.embedded import installation
from tests.end_to_end.grpc_client import Doors, doors_of, refusal_of
from tests.end_to_end.http_server import problem
from tests.end_to_end.test_keys import Stopwatch

ROOT_KEY = "a-long-bootstrap-key"
LIMIT = 5


@dataclass(frozen=True)
class Place:
    """An installation with one key in its store."""

    soma: Container
    stopwatch: Stopwatch
    token: str

    async def status(self, token: str | None, *, method: str = "GET", address: str = FAR) -> int:
        """Return how a request with a token is answered."""
        async with calling(create_app(self.soma), token, address=address) as http:
            return (await http.request(method, "/v1/memories")).status_code

    def later(self) -> None:
        """Let what is known of keys grow old."""
        self.stopwatch.seconds += FRESH_SECONDS


def wrong(number: int) -> str:
    """Return a token that nobody was given."""
    return f"soma_{number:016x}_guess"


@asynccontextmanager
async def opened(folder: Path, *, grpc_port: int | None = None) -> AsyncIterator[Place]:
    """Open an installation that knows keys by a stopwatch."""
    async with installation(
        folder, bootstrap_key=ROOT_KEY, rate_limit_failures=LIMIT, grpc_port=grpc_port
    ) as soma:
        stopwatch = Stopwatch()
        soma.elapsed.override(providers.Object(stopwatch))
        tester = soma.guarded()(Principal("tester", Permission.ADMIN))
        made = await tester.create_key(name="bot", permission=Permission.READ)
        yield Place(soma, stopwatch, made.token)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """An installation with one key in its store."""
    async with opened(tmp_path) as place:
        yield place


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[tuple[Place, Doors]]:
    """The same with gRPC beside HTTP."""
    async with opened(tmp_path, grpc_port=0) as place, doors_of(place.soma) as doors:
        yield place, doors


async def test_a_stored_key_is_let_in_from_a_blocked_address(place: Place) -> None:
    refused = [await place.status(wrong(number)) for number in range(LIMIT + 1)]
    never_seen = await place.status(place.token)
    place.later()
    forgotten_since = await place.status(place.token)

    assert [401] * LIMIT + [429] == refused
    assert [200, 200] == [never_seen, forgotten_since]
    assert 200 == await place.status(ROOT_KEY)
    assert 429 == await place.status(wrong(0))


async def test_a_blocked_address_is_told_when_to_come_again_whatever_it_guesses(
    place: Place,
) -> None:
    for number in range(LIMIT + 1):
        await place.status(wrong(number))

    async with calling(create_app(place.soma), "no token at all") as http:
        refused = await http.get("/v1/memories")

    problem(refused, 429)
    place.stopwatch.seconds += int(refused.headers["Retry-After"])
    assert 401 == await place.status(wrong(0))


async def test_calls_without_a_key_are_never_counted(place: Place) -> None:
    for method in ("GET", "OPTIONS"):
        assert [401] * 3 * LIMIT == [
            await place.status(None, method=method) for _ in range(3 * LIMIT)
        ]

    assert 401 == await place.status(wrong(0))


async def test_a_web_page_cannot_shut_anybody_out_with_preflights(place: Place) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    async with calling(create_app(place.soma)) as http:
        for _ in range(3 * LIMIT):
            answer = await http.options("/v1/memories", headers=asked)
            problem(answer, 401)

    assert 200 == await place.status(place.token)
    assert 401 == await place.status(wrong(0))


async def test_another_address_is_not_blocked(place: Place) -> None:
    for number in range(LIMIT + 1):
        await place.status(wrong(number))

    assert 401 == await place.status(wrong(0), address="192.0.2.8")


async def recalled(doors: Doors, token: str | None) -> grpc.StatusCode:
    """Return how a recall over gRPC with a token is answered."""
    metadata = () if token is None else (("authorization", f"Bearer {token}"),)
    call = doors.stub.Recall(wire.RecallRequest(query="x"), metadata=metadata)
    code = await call.code()
    assert isinstance(code, grpc.StatusCode)
    return code


async def test_a_stored_key_is_let_in_over_grpc_too(doors: tuple[Place, Doors]) -> None:
    place, both = doors
    without = [await recalled(both, None) for _ in range(3 * LIMIT)]
    refused = [await recalled(both, wrong(number)) for number in range(LIMIT + 1)]
    place.later()

    assert {grpc.StatusCode.UNAUTHENTICATED} == set(without)
    assert [grpc.StatusCode.UNAUTHENTICATED] * LIMIT == refused[:-1]
    assert grpc.StatusCode.RESOURCE_EXHAUSTED is refused[-1]
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await both.stub.Recall(wire.RecallRequest(query="x"), metadata=(("x-api-key", wrong(0)),))
    assert refusal_of(raised.value).retry
    assert grpc.StatusCode.OK is await recalled(both, place.token)
    assert grpc.StatusCode.OK is await recalled(both, ROOT_KEY)
