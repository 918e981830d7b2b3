"""A stream ends with its key on every replica, also where nothing happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from dependency_injector import providers

from application.access import guarded
from application.access.guarded import CONFIRMED_SECONDS
from application.access.keyring import FRESH_SECONDS
from application.access.lasting import while_confirmed
from container import Container
from domain.access import CreatedKey, Permission, Principal
from domain.draft import Draft
from domain.errors import AccessDenied
from entrypoints.grpc.wire import memory_pb2 as wire
from entrypoints.http.app import create_app
from tests.end_to_end.embedded import Clock, installation
from tests.end_to_end.grpc_client import doors_of
from tests.end_to_end.test_keys import Stopwatch

SPACE = "acme"
PROMISED_SECONDS = 5
TICK = 0.01


@dataclass(frozen=True)
class Place:
    """An installation with one memory, and a key that follows its feed."""

    soma: Container
    clock: Clock
    stopwatch: Stopwatch
    made: CreatedKey

    async def revoke_elsewhere(self) -> None:
        """Revoke the key as another replica does: this one is told nothing."""
        async with self.soma.store().writing() as tx:
            await tx.keys.revoke(self.made.key.id, at=self.clock(), actor="elsewhere")
        self.stopwatch.seconds += FRESH_SECONDS


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    """An installation whose streams ask for their keys often."""
    monkeypatch.setattr(guarded, "CONFIRMED_SECONDS", TICK)
    clock, stopwatch = Clock(), Stopwatch()
    async with installation(tmp_path, clock=clock, grpc_port=0) as soma:
        soma.elapsed.override(providers.Object(stopwatch))
        tester = soma.guarded()(Principal("tester", Permission.ADMIN))
        await tester.remember(Draft(content="one", namespace=SPACE))
        expires_at = clock() + timedelta(hours=1)
        made = await tester.create_key(
            name="bot", permission=Permission.READ, expires_at=expires_at
        )
        yield Place(soma, clock, stopwatch, made)


async def followed(place: Place, seen: asyncio.Event) -> bytes:
    """Follow the feed over HTTP until it ends; `seen` is set when the first event is there."""
    scope: Any = {
        "type": "http",
        "method": "GET",
        "path": "/v1/events",
        "raw_path": b"/v1/events",
        "query_string": f"namespace={SPACE}".encode(),
        "headers": [(b"authorization", f"Bearer {place.made.token}".encode())],
        "client": ("192.0.2.7", 4242),
    }
    body = bytearray()
    ended = asyncio.Event()

    async def receive() -> Any:
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        body.extend(message.get("body", b""))
        if b"\nevent: " in body:
            seen.set()
        if message["type"] == "http.response.body" and not message["more_body"]:
            ended.set()

    await create_app(place.soma)(scope, receive, send)
    return bytes(body)


async def test_an_idle_stream_over_http_ends_when_its_key_was_revoked_elsewhere(
    place: Place,
) -> None:
    seen = asyncio.Event()
    stream = asyncio.create_task(followed(place, seen))
    await seen.wait()

    await place.revoke_elsewhere()

    assert await stream


async def ending(call: Any) -> None:
    """Read a stream to its end."""
    while await call.read() is not grpc.aio.EOF:
        pass


async def test_an_idle_stream_over_grpc_ends_when_its_key_was_revoked_elsewhere(
    place: Place,
) -> None:
    async with doors_of(place.soma) as doors:
        metadata = (("authorization", f"Bearer {place.made.token}"),)
        watch = doors.stub.Watch(wire.WatchRequest(namespace=SPACE), metadata=metadata)
        assert 1 == (await watch.read()).event.seq

        await place.revoke_elsewhere()

        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await ending(watch)
        assert grpc.StatusCode.UNAUTHENTICATED is raised.value.code()


async def test_an_idle_stream_ends_when_its_key_expires(place: Place) -> None:
    seen = asyncio.Event()
    stream = asyncio.create_task(followed(place, seen))
    await seen.wait()

    place.clock.pass_by(hours=2)

    assert await stream


def test_what_is_promised_is_longer_than_what_is_kept_and_waited() -> None:
    assert FRESH_SECONDS + CONFIRMED_SECONDS < PROMISED_SECONDS


async def test_what_is_followed_is_closed_when_the_key_ends() -> None:
    closed = asyncio.Event()

    async def unending() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            closed.set()

    asked = 0

    async def confirm() -> None:
        nonlocal asked
        asked += 1
        if asked > 3:
            raise AccessDenied

    items = while_confirmed(unending(), confirm, every_seconds=TICK)
    assert 1 == await anext(items)
    with pytest.raises(AccessDenied):
        await anext(items)

    assert closed.is_set()
