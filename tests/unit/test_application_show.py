"""Cursors and limits of the lists."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from application.upkeep import maintain
from application.upkeep.maintain import Diagnose
from container import Container
from domain.draft import Changes, Draft
from domain.errors import InvalidInput
from domain.filter import Filter
from domain.namespace import DEFAULT_NAMESPACE, Namespace, NamespacePolicy, Scope
from tests.end_to_end.embedded import ACTOR, Clock, installation

DEFAULT = Scope(DEFAULT_NAMESPACE)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def soma(tmp_path: Path, clock: Clock) -> AsyncIterator[Container]:
    async with installation(tmp_path, clock=clock) as container:
        yield container


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
async def test_a_list_is_the_same_whatever_the_size_of_its_pages(
    soma: Container, clock: Clock, limit: int
) -> None:
    for number in range(15):
        at = clock.now - timedelta(minutes=number // 2)
        draft = Draft(content=f"turn {number}", occurred_at=at)
        await soma.remember()(draft, actor=ACTOR)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await soma.list_memories()(
            scope=DEFAULT, filter=Filter(), limit=limit, cursor=cursor
        )
        assert len(page.items) <= limit
        seen += [memory.id for memory in page.items]
        if (cursor := page.next_cursor) is None:
            break
    whole = await soma.list_memories()(scope=DEFAULT, filter=Filter(), limit=1000)
    assert seen == [memory.id for memory in whole.items]
    times = [memory.happened_at for memory in whole.items]
    assert times == sorted(times, reverse=True)
    assert len(seen) == 15


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "?",
        "AAAA",
        "e30",
        "WzEsMl0",
        "bm9uc2Vuc2U",
        "é",
        "x" * 10_000,
        "W10",
        "WyIyMDI2LTAxLTAxVDAwOjAwOjAwIiwiYSJd",
    ],
)
async def test_a_cursor_from_elsewhere_is_refused(soma: Container, cursor: str) -> None:
    with pytest.raises(InvalidInput, match=r"^cursor: "):
        await soma.list_memories()(scope=DEFAULT, filter=Filter(), cursor=cursor)


@pytest.mark.parametrize("cursor", ["", "-1", "x", "٣", "9" * 19])
async def test_a_history_cursor_is_a_version(soma: Container, cursor: str) -> None:
    stored = await soma.remember()(Draft(content="tea"), actor=ACTOR)
    with pytest.raises(InvalidInput, match=r"^cursor: "):
        await soma.history()(stored.memory.id, cursor=cursor)


async def test_history_pages_go_back_in_time(soma: Container) -> None:
    id = (await soma.remember()(Draft(content="tea 0"), actor="ann")).memory.id
    for number in range(1, 5):
        await soma.revise()(id, Changes(content=f"tea {number}"), actor="bob")
    first = await soma.history()(id, limit=2)
    assert [(v.version, v.memory.content, v.recorded_by) for v in first.items] == [
        (5, "tea 4", "bob"),
        (4, "tea 3", "bob"),
    ]
    rest = await soma.history()(id, limit=10, cursor=first.next_cursor)
    assert [(v.version, v.recorded_by) for v in rest.items] == [(3, "bob"), (2, "bob"), (1, "ann")]
    assert rest.next_cursor is None


@pytest.mark.parametrize("limit", [0, -1, 1001])
async def test_a_page_has_one_to_a_thousand_entries(soma: Container, limit: int) -> None:
    with pytest.raises(InvalidInput, match=r"^limit: "):
        await soma.list_memories()(scope=DEFAULT, filter=Filter(), limit=limit)


async def test_namespaces_are_listed_page_by_page_with_what_they_hold(soma: Container) -> None:
    for path in ("acme", "acme/ann", "acme/bob", "zoo"):
        await soma.remember()(Draft(content="tea", namespace=path), actor=ACTOR)
    first = await soma.list_namespaces()(limit=3)
    rest = await soma.list_namespaces()(limit=3, cursor=first.next_cursor)
    assert [stats.path for stats in (*first.items, *rest.items)] == [
        "acme",
        "acme/ann",
        "acme/bob",
        "zoo",
    ]
    under = await soma.list_namespaces()(under=Namespace("acme"))
    assert [(stats.path, stats.memories) for stats in under.items] == [
        ("acme", 1),
        ("acme/ann", 1),
        ("acme/bob", 1),
    ]


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        (NamespacePolicy(half_life_days=0), "half_life_days"),
        (NamespacePolicy(default_ttl_seconds=-1), "default_ttl_seconds"),
        (NamespacePolicy(default_ttl_seconds=float("nan")), "default_ttl_seconds"),
        (NamespacePolicy(weights={"nonsense": 1}), "weights.nonsense"),
        (NamespacePolicy(signals={"nonsense": True}), "signals.nonsense"),
    ],
)
async def test_a_bad_policy_is_refused(
    soma: Container, policy: NamespacePolicy, field: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        await soma.set_policy()(DEFAULT_NAMESPACE, policy, actor=ACTOR)
    assert refusal.value.field == field


async def test_diagnosis_says_what_works(soma: Container) -> None:
    checks = {check.name: check for check in await soma.diagnose()()}
    assert all(check.ok for check in checks.values())
    assert {"store", "embedder", "vectors", "data_dir", "profile"} <= checks.keys()
    assert (await soma.diagnose().health())["store"] == "ok"


async def test_health_does_not_wait_for_a_server_that_is_silent(
    soma: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(maintain, "HEALTH_SECONDS", 0.01)
    inner: Diagnose = cast(Any, soma.diagnose()).use_case
    diagnose = dataclasses.replace(inner, servers={"kafka": silent})

    health = await diagnose.health()

    assert health["store"] == "ok"
    assert health["kafka"] == "has not answered within 0.01 s"
