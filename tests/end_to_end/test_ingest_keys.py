"""Who may hand memories in through Kafka: the door is guarded like every other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.event_json import encode_event
from adapters.inprocess.events import InProcessLog
from domain.access import Permission, Principal
from domain.filter import Filter
from domain.messaging import DEAD_LETTER_TOPIC
from domain.namespace import Namespace, Scope, ScopeKind
from tests.end_to_end.embedded import installation
from tests.end_to_end.test_event_log_doings import Scene

HERE = Namespace("acme/alice")
ROOT_KEY = "a-long-bootstrap-key"


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """Give an installation that demands keys, and an empty log."""
    log = InProcessLog(encode=encode_event, now=lambda: datetime.now(UTC))
    async with installation(tmp_path, bootstrap_key=ROOT_KEY, background_embedding=False) as soma:
        yield Scene(soma, log)


async def token(scene: Scene, permission: Permission = Permission.WRITE) -> str:
    """Make a key that is bound to `HERE`."""
    soma = scene.soma.guarded()(Principal("tester", Permission.ADMIN))
    return (await soma.create_key(name="feeder", permission=permission, namespace=HERE)).token


async def stored(scene: Scene) -> list[tuple[str, str]]:
    """Return namespace and content of everything."""
    scope = Scope(Namespace("acme"), ScopeKind.SUBTREE)
    page = await scene.soma.list_memories()(scope=scope, filter=Filter(), limit=100)
    return sorted((memory.namespace, memory.content) for memory in page.items)


async def reasons(scene: Scene) -> list[str]:
    """Return why messages were parked."""
    return [letter.headers["dlq-reason"] for letter in await scene.lying_in(DEAD_LETTER_TOPIC)]


async def test_a_message_with_a_key_is_stored_where_the_key_reaches(scene: Scene) -> None:
    key = await token(scene)
    await scene.hand_in({"content": "at home"}, soma_key=key)
    await scene.hand_in({"content": "below", "namespace": f"{HERE}/phone"}, soma_key=key)
    await scene.hand_in({"content": "anywhere", "namespace": "acme/bob"}, soma_key=ROOT_KEY)

    await scene.ingest(3)

    assert [] == await reasons(scene)
    expected = [(HERE, "at home"), (f"{HERE}/phone", "below"), ("acme/bob", "anywhere")]
    assert expected == await stored(scene)
    history = await scene.soma.list_memories()(scope=Scope(HERE), filter=Filter(), limit=1)
    entries = await scene.soma.history()(history.items[0].id)
    assert entries.items[0].recorded_by.startswith("feeder:")


async def test_a_message_without_a_key_that_works_is_parked(scene: Scene) -> None:
    body = {"content": "x", "namespace": HERE}
    await scene.hand_in(body)
    await scene.hand_in(body, soma_key="soma_0123456789abcdef_guess")

    await scene.ingest(2)

    assert ["a valid API key is required"] * 2 == await reasons(scene)
    assert [] == await stored(scene)


async def test_a_message_that_the_key_does_not_allow_is_parked(scene: Scene) -> None:
    for space in ("acme/bob", "acme", "acme/alicent"):
        await scene.hand_in({"content": "x", "namespace": space}, soma_key=await token(scene))
    await scene.hand_in({"content": "x"}, soma_key=await token(scene, Permission.READ))

    await scene.ingest(4)

    *outside, unable = await reasons(scene)
    assert all("does not reach the namespace" in reason for reason in outside)
    assert "needs the permission 'write'" in unable
    assert [] == await stored(scene)


async def test_a_revoked_key_hands_in_no_more(scene: Scene) -> None:
    key = await token(scene)
    await scene.hand_in({"content": "before"}, soma_key=key)
    await scene.ingest(1)
    soma = scene.soma.guarded()(Principal("tester", Permission.ADMIN))
    (listed,) = (await soma.list_keys()).items
    await soma.revoke_key(listed.id)
    await scene.hand_in({"content": "after"}, soma_key=key)

    await scene.ingest(2)

    assert [(HERE, "before")] == await stored(scene)
    assert ["a valid API key is required"] == await reasons(scene)
