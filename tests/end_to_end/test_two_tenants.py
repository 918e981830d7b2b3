"""Two tenants, and two users of one: nothing of the other appears, and forbidden is unknown."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from dependency_injector import providers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar import Litestar

from application.access.admission import Peer
from application.watch import Watch
from container import Container
from domain.namespace import Namespace
from entrypoints.http.app import create_app
from tests.end_to_end.calling import calling
from tests.end_to_end.embedded import installation

KEY = "a-long-bootstrap-key"
SHARED_WORDS = ("the red kettle", "a blue boat", "green tea at noon")
#: What the other tenant's contents, tags, actors and sessions hold, and nobody else's.
MARK = "zebra"
#: Where one lives, where the other does, and a place as long as the other's where nobody does.
PLACES = (
    ("{}a", "{}b", "{}c"),
    ("{}/ann", "{}/bob", "{}/zed"),
    ("{}/ann", "{}/anna", "{}/annb"),
    ("{}/ann", "{}", "{}z"),
)
WHEN = "2026-01-31T12:00:00Z"

_numbers = itertools.count(1)
_TOOK = re.compile(r'"took_ms":[^,}]+')


@dataclass(frozen=True)
class Move:
    """One thing that somebody does before it is looked at what can be seen."""

    kind: str
    first: int
    second: int


moves = st.lists(
    st.builds(
        Move,
        kind=st.sampled_from(
            [
                "mine",
                "mine",
                "bridge",
                "bridge",
                "theirs",
                "theirs",
                "link",
                "link",
                "revise",
                "forget",
                "erase",
                "look",
            ]
        ),
        first=st.integers(0, 9),
        second=st.integers(0, 9),
    ),
    min_size=4,
    max_size=14,
)


@dataclass
class Tenant:
    """Somebody with an admin key that is bound to a namespace, and the ids of their memories."""

    space: str
    http: httpx.AsyncClient
    mark: str
    ids: list[str] = field(default_factory=list)

    async def store(self, number: int) -> None:
        """Store a memory in the root of the subtree or below; texts are alike but for the mark."""
        below = ("", "", "/deep")[number % 3]
        body = {
            "namespace": f"{self.space}{below}",
            "content": f"{SHARED_WORDS[number % 3]} {self.mark}{number}",
            "tags": [f"tag{self.mark}"],
            "source": {"actor": f"actor{self.mark}", "session": f"s{number % 2}{self.mark}"},
        }
        headers = {"Idempotency-Key": f"key {number}"}
        answer = await self.http.post("/v1/memories", json=body, headers=headers)
        assert answer.status_code in {200, 201, 404}, answer.text  # 404: repeated and forgotten
        if answer.status_code != 404:
            self.ids.append(answer.json()["memory"]["id"])


@dataclass
class World:
    """A server; `root` may do everything."""

    container: Container
    app: Litestar
    root: httpx.AsyncClient

    async def live_through(self, story: list[Move], place: tuple[str, str, str]) -> None:
        """Let two store, link and forget, with everything warm; then look, as one of them."""
        tenant = f"t{next(_numbers)}"
        here, there, nowhere = (part.format(tenant) for part in place)
        async with self.keyed(here) as my_http, self.keyed(there) as their_http:
            me, they = Tenant(here, my_http, "q"), Tenant(there, their_http, MARK)
            await me.store(0)
            await they.store(0)
            for move in story:
                await self.make(move, me, they)
            before = await everything(they)
            await self.nothing_shows(me, they)
            await forbidden_is_unknown(me, they, nowhere)
            assert before == await everything(they)

    @asynccontextmanager
    async def keyed(self, namespace: str) -> AsyncIterator[httpx.AsyncClient]:
        """Make an admin key bound to a namespace and call with it."""
        body = {"name": "tenant", "permission": "admin", "namespace": namespace}
        made = await self.root.post("/v1/keys", json=body)
        assert made.status_code == 201, made.text
        async with calling(self.app, made.json()["token"]) as http:
            yield http

    async def make(self, move: Move, me: Tenant, they: Tenant) -> None:
        """Do one thing. Only `root` can link what belongs to two; in two roots nobody can."""
        one = me.ids[move.first % len(me.ids)]
        other = they.ids[move.second % len(they.ids)]
        match move.kind:
            case "mine":
                await me.store(len(me.ids))
            case "theirs":
                await they.store(len(they.ids))
            case "link":
                ends = [(one, other), (other, one), (one, me.ids[move.second % len(me.ids)])]
                source, target = ends[move.second % 3]
                link = {"source": source, "target": target, "type": f"t{MARK[move.first % 2]}"}
                await self.root.post("/v1/links", json=link)
            case "bridge":
                beyond = me.ids[(move.first + 1) % len(me.ids)]
                for source, target in ((one, other), (other, beyond), (beyond, other)):
                    link = {"source": source, "target": target, "type": "leads"}
                    await self.root.post("/v1/links", json=link)
            case "revise":
                change = {"content": f"a new kettle {MARK}{move.first}"}
                await they.http.patch(f"/v1/memories/{other}", json=change)
            case "forget" | "erase":
                whose = they if move.second % 2 else me
                id = other if move.second % 2 else one
                erase = str(move.kind == "erase").lower()
                await whose.http.delete(f"/v1/memories/{id}?erase={erase}")
            case _:
                await self.look(one, they.space)

    async def look(self, id: str, space: str) -> None:
        """Fill caches, Fast Core and the graph of the whole root for somebody who sees all."""
        root = space.partition("/")[0]
        question = {"query": "red kettle boat", "namespace": root, "scope": "subtree", "expand": 2}
        assert (await self.root.post("/v1/recall", json=question)).status_code == 200
        await self.root.get(f"/v1/memories/{id}/neighbors", params={"depth": 8})

    async def nothing_shows(self, me: Tenant, they: Tenant) -> None:
        """Read everything that can be read with a key, and find nothing of the other."""
        for call in own_reads(me):
            answer = await me.http.request(**call)
            assert answer.status_code in {200, 404}, (call, answer.text)
            assert shown_of(they, answer.text, me) == [], (call, answer.text)
        await walks_stay_inside(me)
        for space in (me.space, f"{me.space}/deep"):
            events = await self.events(me, space)
            assert shown_of(they, events, me) == [], (space, events)

    async def events(self, me: Tenant, space: str) -> str:
        """Return the change feed of a namespace up to its end."""
        token = me.http.headers["Authorization"].removeprefix("Bearer ")
        admission = await self.container.access().admit(token, Peer(None))
        feed = self.container.guarded()(admission.principal).watch(Namespace(space))
        seen = []
        async for item in feed:
            if item is None:
                break
            seen.append(repr(item))
        await feed.aclose()
        return "\n".join(seen)


async def walks_stay_inside(me: Tenant) -> None:
    """See that what is reached is what the links of one's own memories lead to."""
    exported = (await everything(me)).splitlines()
    lines = [json.loads(line) for line in exported]
    links = [line["link"] for line in lines if line["type"] == "link"]
    for id in {line["memory"]["id"] for line in lines if line["type"] == "memory"}:
        walk = {"depth": 8, "limit": 1000}
        answer = (await me.http.get(f"/v1/memories/{id}/neighbors", params=walk)).json()
        near = {id}
        for _ in range(8):
            near |= {
                end
                for link in links
                if near & {link["source"], link["target"]}
                for end in (link["source"], link["target"])
            }
        assert near - {id} == {item["memory"]["id"] for item in answer["items"]}


def own_reads(me: Tenant) -> list[dict[str, Any]]:
    """Return every call that reads, over all that a key reaches."""
    everywhere = {"namespace": me.space, "scope": "subtree"}
    ask = {"query": "red kettle boat tea", "k": 100, "expand": 3, "budget_tokens": 9999}
    calls: list[dict[str, Any]] = [
        {"method": "POST", "url": "/v1/recall", "json": {**ask, **everywhere}},
        {"method": "POST", "url": "/v1/recall", "json": ask},
        {"method": "POST", "url": "/v1/recall/batch", "json": {"queries": [ask, ask]}},
        {"method": "POST", "url": "/recall", "json": {"query": "kettle", "top_k": 50}},
        {"method": "GET", "url": "/v1/memories", "params": {**everywhere, "limit": 1000}},
        {"method": "GET", "url": "/v1/memories"},
        {"method": "GET", "url": "/v1/namespaces"},
        {"method": "GET", "url": "/v1/namespaces", "params": {"limit": 1}},
        {"method": "GET", "url": "/v1/export", "params": {**everywhere, "vectors": True}},
        {"method": "GET", "url": "/v1/keys"},
    ]
    for id in dict.fromkeys(me.ids):
        calls += [
            {"method": "GET", "url": f"/v1/memories/{id}"},
            {"method": "GET", "url": f"/v1/memories/{id}/history"},
            *(
                {"method": "GET", "url": f"/v1/memories/{id}/neighbors", "params": walk}
                for walk in ({"depth": 8}, {"depth": 8, "direction": "out"}, {"direction": "in"})
            ),
        ]
    calls += [
        {"method": "GET", "url": "/v1/paths", "params": {"source": a, "target": b, "weighted": w}}
        for a, b in itertools.pairwise(dict.fromkeys(me.ids))
        for w in (False, True)
    ]
    return calls


def shown_of(they: Tenant, text: str, me: Tenant) -> list[str]:
    """Return what belongs to the other and stands in an answer."""
    hidden = [MARK, *they.ids]
    if not me.space.startswith(they.space):  # else the other's name begins one's own
        hidden += [f'"{they.space}"', f'"{they.space}/']
    return [piece for piece in hidden if piece in text]


async def everything(tenant: Tenant) -> str:
    """Return all that somebody has, as an export writes it."""
    params = {"namespace": tenant.space, "scope": "subtree"}
    answer = await tenant.http.get("/v1/export", params=params)
    assert answer.status_code == 200
    return answer.text


async def forbidden_is_unknown(me: Tenant, they: Tenant, nowhere: str) -> None:
    """Ask for what is the other's and for what nobody has; the answers are the same."""
    unknown = str(uuid.uuid4())
    own = me.ids[0]
    for id in dict.fromkeys(they.ids):
        for number, call in enumerate(calls_by_id(id, own, me.space)):
            foreign = await answered(me, call, id)
            absent = await answered(me, calls_by_id(unknown, own, me.space)[number], unknown)
            assert foreign == absent, call
    for space in (they.space, f"{they.space}/deep"):
        absent_space = space.replace(they.space, nowhere, 1)
        for number, call in enumerate(calls_by_namespace(space)):
            foreign = await answered(me, call, space)
            absent = await answered(me, calls_by_namespace(absent_space)[number], absent_space)
            if me.space.startswith(f"{space}/"):
                foreign, absent = foreign.replace(me.space, "-"), absent.replace(me.space, "-")
            assert foreign == absent, call
            assert foreign.startswith("403") or call["url"] == "/v1/import", foreign


async def answered(me: Tenant, call: Mapping[str, Any], asked: str) -> str:
    """Return a whole answer but for what was asked, the time it took, and what is left to ask."""
    answer = await me.http.request(**call)
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name not in {"content-length", "x-request-id"}
    }
    text = f"{answer.status_code} {sorted(headers.items())} {answer.text}"
    return _TOOK.sub("", text.replace(asked, "?") if asked else text)


def calls_by_id(id: str, own: str, here: str) -> list[dict[str, Any]]:
    """Return every call that names a memory by its id."""
    link = {"type": "cites"}
    memory = {"content": "a new boat", "links": [{"target": id, "type": "cites"}]}
    lines = [
        {"type": "link", "link": {"source": own, "target": id, **link, "created_at": WHEN}},
        {"type": "link", "link": {"source": id, "target": own, **link, "created_at": WHEN}},
        {"content": "imported", "links": [{"target": id, "type": "cites"}]},
        {"type": "version", "version": an_earlier_version(id, here)},
    ]
    at = f"/v1/memories/{id}"
    return [
        {"method": "GET", "url": at},
        {"method": "GET", "url": at, "params": {"known_at": WHEN}},
        {"method": "GET", "url": f"{at}/history"},
        {"method": "GET", "url": f"{at}/neighbors"},
        {"method": "PATCH", "url": at, "json": {"content": "mine now"}},
        {"method": "PATCH", "url": at, "json": {"tags": []}, "headers": {"If-Match": '"7"'}},
        {"method": "DELETE", "url": at},
        {"method": "DELETE", "url": at, "params": {"erase": True}},
        {"method": "GET", "url": "/v1/paths", "params": {"source": own, "target": id}},
        {"method": "GET", "url": "/v1/paths", "params": {"source": id, "target": own}},
        {"method": "POST", "url": "/v1/links", "json": {"source": own, "target": id, **link}},
        {"method": "POST", "url": "/v1/links", "json": {"source": id, "target": own, **link}},
        {"method": "DELETE", "url": "/v1/links", "params": {"source": own, "target": id, **link}},
        {"method": "DELETE", "url": "/v1/links", "params": {"source": id, "target": own, **link}},
        {"method": "POST", "url": "/v1/memories", "json": memory},
        {"method": "POST", "url": "/v1/memories/batch", "json": {"memories": [memory]}},
        *({"method": "POST", "url": "/v1/import", "content": json.dumps(one)} for one in lines),
    ]


def an_earlier_version(id: str, here: str) -> dict[str, Any]:
    """Return an entry of a memory's history as an export writes it."""
    memory = {"id": id, "kind": "episodic", "content": "old", "content_hash": "h", "version": 1}
    memory |= {"created_at": WHEN, "updated_at": WHEN, "namespace": here}
    return {"version": 1, "recorded_at": WHEN, "recorded_by": "somebody", "memory": memory}


def calls_by_namespace(space: str) -> list[dict[str, Any]]:
    """Return every call that names a namespace."""
    place = {"namespace": space}
    memory = {"content": "the red kettle", **place}
    ask = {"query": "kettle", **place}
    below = {**place, "scope": "subtree"}
    policy = {"policy": {"half_life_days": 3}}
    return [
        {"method": "POST", "url": "/v1/memories", "json": memory},
        {
            "method": "POST",
            "url": "/v1/memories/batch",
            "json": {"memories": [{"content": "mine"}, memory]},
        },
        {"method": "POST", "url": "/v1/recall", "json": ask},
        {"method": "POST", "url": "/v1/recall", "json": {**ask, **below}},
        {"method": "POST", "url": "/v1/recall/batch", "json": {"queries": [ask]}},
        {"method": "POST", "url": "/recall", "json": ask},
        {"method": "POST", "url": "/store", "json": {"coordinate": [1], "payload": {}, **place}},
        {"method": "GET", "url": "/v1/memories", "params": below},
        {"method": "GET", "url": "/v1/namespaces", "params": {"under": space}},
        {"method": "GET", "url": f"/v1/namespaces/{space}"},
        {"method": "PATCH", "url": f"/v1/namespaces/{space}", "json": policy},
        {"method": "DELETE", "url": f"/v1/namespaces/{space}"},
        {"method": "GET", "url": "/v1/events", "params": place},
        {"method": "GET", "url": "/v1/export", "params": below},
        {"method": "POST", "url": "/v1/import", "content": json.dumps(memory)},
        {
            "method": "POST",
            "url": "/v1/keys",
            "json": {"name": "n", "permission": "read", **place},
        },
    ]


def test_nothing_of_another_tenant_or_user_appears_and_forbidden_is_unknown(
    tmp_path: Path,
) -> None:
    async def opened() -> World:
        soma = await stack.enter_async_context(
            installation(tmp_path, bootstrap_key=KEY, background_embedding=False)
        )
        soma.watch.override(
            providers.Factory(Watch, store=soma.store, bus=soma.bus, heartbeat_seconds=0.0)
        )
        app = create_app(soma)
        return World(soma, app, await stack.enter_async_context(calling(app, KEY)))

    stack = AsyncExitStack()
    with asyncio.Runner() as runner:
        world = runner.run(opened())

        @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
        @given(story=moves, place=st.sampled_from(PLACES))
        def check(story: list[Move], place: tuple[str, str, str]) -> None:
            runner.run(world.live_through(story, place))

        check()
        runner.run(stack.aclose())


async def test_a_recall_does_not_follow_links_through_what_is_outside(tmp_path: Path) -> None:
    async with (
        installation(tmp_path, bootstrap_key=KEY) as soma,
        calling(create_app(soma), KEY) as root,
    ):
        world = World(soma, create_app(soma), root)
        async with world.keyed("t/ann") as http, world.keyed("t/bob") as their_http:
            me, they = Tenant("t/ann", http, "q"), Tenant("t/bob", their_http, MARK)
            for number in range(0, 36, 3):  # more than the ten that links are followed from
                await me.store(number)
            await me.store(1)
            await they.store(0)
            question = {"query": "red kettle", "expand": 3}
            ask = {"method": "POST", "url": "/v1/recall", "json": question}
            before = await answered(me, ask, "")
            everywhere = {**ask, "json": {**question, "namespace": "t/ann"}}
            untouched = await answered(Tenant("t", root, ""), everywhere, "")
            pairs = [(id, they.ids[0]) for id in me.ids] + [(they.ids[0], me.ids[-1])]
            for source, target in pairs:
                link = {"source": source, "target": target, "type": "leads"}
                assert (await root.post("/v1/links", json=link)).status_code == 201
            await world.look(me.ids[0], they.space)
            after = await answered(me, ask, "")

            assert before.startswith("200")
            assert before == after
            # Whoever reaches both sees that the links make a difference.
            assert untouched != await answered(Tenant("t", root, ""), everywhere, "")
