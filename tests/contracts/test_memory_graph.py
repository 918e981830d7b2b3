"""What every memory graph must do, over a real store."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.networkx_graph import NetworkxGraph
from adapters.sqlite.store import SqliteStore
from contracts.journal import Journal
from domain.link import Direction
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope, ScopeKind
from domain.ports import MemoryGraph, Walk

ROOT = Namespace("acme")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """An empty canonical store."""
    opened = SqliteStore(tmp_path / "soma.db")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def journal(store: SqliteStore) -> Journal:
    """Writes to a store that holds the memories a to e in two namespaces of one root."""
    journal = Journal(store)
    for id in "abcde":
        await journal.remember(id, "acme/x" if id in "ab" else "acme/y")
    return journal


@pytest.fixture
def graph(store: SqliteStore) -> MemoryGraph:
    """The graph under test, following the store."""
    return NetworkxGraph(store)


async def link(journal: Journal, *pairs: str, type: str = "next", weight: float = 1.0) -> None:
    for source, target in map(tuple, pairs):
        await journal.link(MemoryId(source), MemoryId(target), type, weight)


async def around(
    graph: MemoryGraph,
    *ids: str,
    direction: Direction = Direction.OUT,
    type: str | None = None,
    depth: int = 1,
    limit: int = 10,
) -> list[tuple[str, int]]:
    await graph.catch_up(ROOT)
    walk = await graph.neighbors(
        [MemoryId(id) for id in ids], ROOT, direction=direction, type=type, depth=depth, limit=limit
    )
    return [(id, hops) for id, hops, _ in walk.steps]


async def way(
    graph: MemoryGraph, source: str, target: str, *, type: str | None = None, weighted: bool = False
) -> str | None:
    await graph.catch_up(ROOT)
    walk = await graph.path(MemoryId(source), MemoryId(target), ROOT, type=type, weighted=weighted)
    return None if walk is None else "".join(id for id, _, _ in walk.steps)


async def test_neighbours_come_nearest_first_and_by_id(
    graph: MemoryGraph, journal: Journal
) -> None:
    await link(journal, "ac", "ab", "be", "bd", "da")

    assert [("b", 1), ("c", 1), ("d", 2), ("e", 2)] == await around(graph, "a", depth=8)
    assert [("b", 1), ("c", 1)] == await around(graph, "a", depth=1)
    assert [("b", 1), ("c", 1), ("d", 2)] == await around(graph, "a", depth=2, limit=3)


async def test_links_are_followed_in_the_direction_asked_for(
    graph: MemoryGraph, journal: Journal
) -> None:
    await link(journal, "ab", "ca")

    assert [("b", 1)] == await around(graph, "a", direction=Direction.OUT)
    assert [("c", 1)] == await around(graph, "a", direction=Direction.IN)
    assert [("b", 1), ("c", 1)] == await around(graph, "a", direction=Direction.BOTH)


async def test_only_links_of_the_type_are_followed(graph: MemoryGraph, journal: Journal) -> None:
    await link(journal, "ab", type="cause")
    await link(journal, "ac", "bd", type="next")

    assert [("b", 1)] == await around(graph, "a", type="cause", depth=3)


async def test_a_step_carries_all_links_of_the_last_hop(
    graph: MemoryGraph, journal: Journal
) -> None:
    await link(journal, "ac", "bc", type="next")
    await link(journal, "ac", type="cause")

    walk = await graph.neighbors(
        [MemoryId("a"), MemoryId("b")], ROOT, direction=Direction.OUT, type=None, depth=1, limit=9
    )

    ((_, _, links),) = walk.steps
    assert [("a", "cause"), ("a", "next"), ("b", "next")] == [(li.source, li.type) for li in links]


async def test_a_loop_and_unknown_ids_lead_nowhere(graph: MemoryGraph, journal: Journal) -> None:
    await link(journal, "aa")

    assert [] == await around(graph, "a", direction=Direction.BOTH, depth=3)
    assert [] == await around(graph, "unknown")
    assert await way(graph, "a", "unknown") is None
    assert "a" == await way(graph, "a", "a")


async def test_the_shortest_path_follows_the_direction(
    graph: MemoryGraph, journal: Journal
) -> None:
    await link(journal, "ab", "bc", "cd", "ad", "de")

    assert "ade" == await way(graph, "a", "e")
    assert await way(graph, "e", "a") is None


async def test_a_weighted_path_takes_the_strongest_links(
    graph: MemoryGraph, journal: Journal
) -> None:
    await link(journal, "ad", weight=0.25)
    await link(journal, "ab", "bd", type="weak", weight=0.1)
    await link(journal, "ab", "bd", type="strong", weight=1.0)

    assert "ad" == await way(graph, "a", "d")
    assert "abd" == await way(graph, "a", "d", weighted=True)
    assert "ad" == await way(graph, "a", "d", weighted=True, type="next")
    walk = await graph.path(MemoryId("a"), MemoryId("d"), ROOT, type=None, weighted=True)
    assert walk is not None
    assert ["strong", "strong"] == [li.type for _, _, links in walk.steps for li in links]


async def test_of_equal_paths_it_is_always_the_same(graph: MemoryGraph, journal: Journal) -> None:
    await link(journal, "ac", "ce", "ad", "de", "ab", "be")

    assert "abe" == await way(graph, "a", "e")
    assert "abe" == await way(graph, "a", "e", weighted=True)


async def test_follows_new_changed_and_removed_links(graph: MemoryGraph, journal: Journal) -> None:
    await link(journal, "ab", "bc")
    assert "abc" == await way(graph, "a", "c")

    await journal.unlink(MemoryId("b"), MemoryId("c"))
    await link(journal, "bd", "dc")
    assert "abdc" == await way(graph, "a", "c")
    await journal.forget(MemoryId("d"))
    assert await way(graph, "a", "c") is None
    await link(journal, "ab", weight=7.0)
    await graph.catch_up(ROOT)
    walk = await graph.path(MemoryId("a"), MemoryId("b"), ROOT, type=None, weighted=True)
    assert walk is not None
    assert [7.0] == [li.weight for _, _, links in walk.steps for li in links]


async def test_a_walk_says_which_position_it_answers_from(
    graph: MemoryGraph, journal: Journal, store: SqliteStore
) -> None:
    await link(journal, "ab")
    stale = await _neighbors_of_a(graph)
    await link(journal, "ac")

    async with store.reading() as tx:
        head = await tx.feed.position(Scope(ROOT, ScopeKind.SUBTREE))
    stale = await _neighbors_of_a(graph)
    assert (head.epoch, 1) == (stale.position.epoch, head.seq - stale.position.seq - 1)
    await graph.catch_up(ROOT)
    assert head == (await _neighbors_of_a(graph)).position


async def test_another_epoch_forces_a_rebuild(
    graph: MemoryGraph, journal: Journal, store: SqliteStore
) -> None:
    await link(journal, "ab")
    await graph.catch_up(ROOT)
    async with store.writing() as tx:
        await tx.links.remove(MemoryId("a"), MemoryId("b"), "next")
        await tx.settings.set("epoch", "another")

    assert [] == await around(graph, "a")
    assert "another" == (await _neighbors_of_a(graph)).position.epoch


async def test_reset_and_eviction_lose_nothing(store: SqliteStore, journal: Journal) -> None:
    graph = NetworkxGraph(store, roots_max=1)
    await link(journal, "ab")
    for _ in range(2):
        assert [("b", 1)] == await around(graph, "a")
        await graph.catch_up(Namespace("other"))
        await graph.reset()


async def _neighbors_of_a(graph: MemoryGraph) -> Walk:
    return await graph.neighbors(
        [MemoryId("a")], ROOT, direction=Direction.OUT, type=None, depth=1, limit=9
    )


_edges = st.lists(
    st.tuples(
        st.integers(0, 5), st.integers(0, 5), st.sampled_from([0.5, 1.0, 2.0]), st.booleans()
    ),
    max_size=14,
)


@settings(max_examples=20)
@given(edges=_edges, pause=st.integers(0, 14))
async def test_following_the_feed_equals_building_anew(
    edges: list[tuple[int, int, float, bool]], pause: int
) -> None:
    with TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "soma.db")
        await store.open()
        journal, graph = Journal(store), NetworkxGraph(store)
        ids = [await journal.remember(f"m{number}", f"acme/{number % 2}") for number in range(6)]
        costs: dict[tuple[MemoryId, MemoryId], float] = {}
        for number, (source, target, weight, removed) in enumerate(edges):
            pair = (ids[source], ids[target])
            if removed and pair in costs:
                await journal.unlink(*pair)
                del costs[pair]
            else:
                await journal.link(*pair, weight=weight)
                costs[pair] = 1 / weight
            if number == pause:
                await graph.catch_up(ROOT)
        await graph.catch_up(ROOT)
        fresh = NetworkxGraph(store)
        distances = _distances(ids, costs)
        for there in ids:
            hops = await graph.path(ids[0], there, ROOT, type=None, weighted=False)
            found = await graph.path(ids[0], there, ROOT, type=None, weighted=True)
            assert hops == await fresh.path(ids[0], there, ROOT, type=None, weighted=False)
            assert found == await fresh.path(ids[0], there, ROOT, type=None, weighted=True)
            total = (
                math.inf
                if found is None
                else sum(1 / li.weight for _, _, links in found.steps for li in links)
            )
            assert distances[there] == total
        await store.close()


def _distances(
    ids: list[MemoryId], costs: dict[tuple[MemoryId, MemoryId], float]
) -> dict[MemoryId, float]:
    """Bellman and Ford, the slow and obvious way."""
    distances = dict.fromkeys(ids, math.inf) | {ids[0]: 0.0}
    for _ in ids:
        for (source, target), cost in costs.items():
            distances[target] = min(distances[target], distances[source] + cost)
    return distances


async def test_costs_too_small_to_matter_lead_no_path_in_circles(
    graph: MemoryGraph, journal: Journal
) -> None:
    await link(journal, "eb", weight=1.0)
    await link(journal, "bc", "cb", weight=1e17)

    assert "ebc" == await way(graph, "e", "c", weighted=True)
