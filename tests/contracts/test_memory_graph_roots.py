"""A graph of a subtree: nothing outside is part of it, not even to pass through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.networkx_graph import NetworkxGraph
from adapters.sqlite.store import SqliteStore
from contracts.journal import Journal
from domain.link import Direction
from domain.memory import MemoryId
from domain.namespace import Namespace
from domain.ports import MemoryGraph

HERE = Namespace("acme/x")
ALL = Namespace("acme")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """An empty canonical store."""
    opened = SqliteStore(tmp_path / "soma.db")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def journal(store: SqliteStore) -> Journal:
    """Writes to a store with a, b, c in and below `acme/x`, and y and z outside."""
    journal = Journal(store)
    for id, namespace in zip("abcyz", [HERE, HERE, f"{HERE}/deep", "acme/xy", "acme"], strict=True):
        await journal.remember(id, namespace)
    return journal


@pytest.fixture
def graph(store: SqliteStore) -> MemoryGraph:
    """The graph under test, following the store."""
    return NetworkxGraph(store)


async def link(journal: Journal, *pairs: str) -> None:
    """Link pairs of memories."""
    for source, target in map(tuple, pairs):
        await journal.link(MemoryId(source), MemoryId(target), "next", 1.0)


async def around(graph: MemoryGraph, root: Namespace, direction: Direction) -> str:
    """Return what is reached from a, in order."""
    await graph.catch_up(root)
    walk = await graph.neighbors(
        [MemoryId("a")], root, direction=direction, type=None, depth=8, limit=10
    )
    shown = {end for _, _, links in walk.steps for one in links for end in (one.source, one.target)}
    reached = [id for id, _, _ in walk.steps]
    assert shown <= {"a", *reached}
    return "".join(reached)


async def way(graph: MemoryGraph, root: Namespace, source: str, target: str) -> str | None:
    """Return the shortest path."""
    await graph.catch_up(root)
    walk = await graph.path(MemoryId(source), MemoryId(target), root, type=None, weighted=False)
    return None if walk is None else "".join(id for id, _, _ in walk.steps)


@pytest.mark.parametrize("warm", [True, False])
async def test_a_walk_in_a_subtree_neither_reaches_nor_passes_what_is_outside(
    graph: MemoryGraph, journal: Journal, warm: bool
) -> None:
    if warm:  # then the links come by the feed, else all at once
        await graph.catch_up(HERE)
        await graph.catch_up(ALL)
    await link(journal, "ay", "yb", "by", "za", "zb", "cz")

    assert "" == await around(graph, HERE, Direction.BOTH)
    assert await way(graph, HERE, "a", "b") is None
    assert "yzbc" == await around(graph, ALL, Direction.BOTH)
    assert "ayb" == await way(graph, ALL, "a", "b")


async def test_the_way_inside_is_found_though_a_shorter_one_leads_outside(
    graph: MemoryGraph, journal: Journal
) -> None:
    await link(journal, "ay", "yb", "ac", "cb", "bc")
    await graph.catch_up(HERE)
    await link(journal, "ca")

    assert "acb" == await way(graph, HERE, "a", "b")
    assert "cb" == await around(graph, HERE, Direction.OUT)
    assert "cb" == await around(graph, HERE, Direction.BOTH)
