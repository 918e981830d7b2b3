"""Keys: what they open, how they end, and what is kept of them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from dependency_injector import providers

from application.access.admission import Peer
from application.access.keyring import FRESH_SECONDS
from container import Container
from domain.access import Permission, Principal
from domain.errors import AccessDenied
from domain.namespace import Namespace
from entrypoints.http.app import create_app
from tests.end_to_end.calling import FAR, NEAR, calling
from tests.end_to_end.cli_process import Soma
from tests.end_to_end.conftest import StartServer
from tests.end_to_end.embedded import Clock, installation
from tests.end_to_end.http_server import problem

ROOT_KEY = "a-long-bootstrap-key"
HERE = "acme/here"
FAR_PEER = Peer(FAR)


@pytest.fixture
def clock() -> Clock:
    """The time of day; it stands still."""
    return Clock()


@pytest.fixture
async def soma(tmp_path: Path, clock: Clock) -> AsyncIterator[Container]:
    """An installation with a bootstrap key."""
    async with installation(tmp_path, clock=clock, bootstrap_key=ROOT_KEY) as container:
        yield container


@pytest.fixture
async def root(soma: Container) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the bootstrap key."""
    async with calling(create_app(soma), ROOT_KEY) as http:
        yield http


async def made(http: httpx.AsyncClient, **fields: object) -> dict[str, Any]:
    """Make a key; return it with its token."""
    body = {"name": "bot", "permission": "write", "namespace": HERE, **fields}
    answer = await http.post("/v1/keys", json=body)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return {**created["key"], "token": created["token"]}


def everything_in(folder: Path) -> bytes:
    """Return the bytes of every file of a data directory."""
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def status(soma: Container, token: str, path: str = "/v1/memories") -> int:
    """Return how a request with a token is answered."""
    async with calling(create_app(soma), token) as http:
        return (await http.get(path)).status_code


async def test_a_token_is_shown_once_and_kept_nowhere(
    root: httpx.AsyncClient, tmp_path: Path
) -> None:
    key = await made(root, name="support bot")

    listed = await root.get("/v1/keys")
    (item,) = listed.json()["items"]
    assert {**item, "token": key["token"]} == key
    assert ("support bot", "write", HERE) == (item["name"], item["permission"], item["namespace"])
    secret = key["token"].rpartition("_")[2]
    assert secret not in listed.text
    assert "digest" not in listed.text
    kept = await asyncio.to_thread(everything_in, tmp_path)
    assert key["id"].encode() in kept
    assert secret.encode() not in kept


async def test_the_name_of_who_called_stands_in_history(
    soma: Container, root: httpx.AsyncClient
) -> None:
    key = await made(root, name="support bot")
    async with calling(create_app(soma), key["token"]) as http:
        stored = (await http.post("/v1/memories", json={"content": "hello"})).json()["memory"]
        entries = (await http.get(f"/v1/memories/{stored['id']}/history")).json()["items"]

    assert [f"support bot:{key['id']}"] == [entry["recorded_by"] for entry in entries]


async def test_a_bound_key_works_in_the_root_of_its_subtree_when_it_names_none(
    soma: Container, root: httpx.AsyncClient
) -> None:
    key = await made(root, permission="admin")
    async with calling(create_app(soma), key["token"]) as http:
        stored = await http.post("/v1/memories", json={"content": "a kettle"})
        await http.post("/v1/import", content=json.dumps({"content": "imported kettle"}))
        await http.post("/store", json={"coordinate": [1.0], "payload": {"text": "kettle three"}})
        recalled = await http.post("/v1/recall", json={"query": "kettle"})
        listed = await http.get("/v1/memories")
        spaces = await http.get("/v1/namespaces")
        another = (await http.post("/v1/keys", json={"name": "n", "permission": "read"})).json()

    assert HERE == stored.json()["memory"]["namespace"]
    assert 3 == len(recalled.json()["hits"]) == len(listed.json()["items"])
    assert [HERE] == [item["path"] for item in spaces.json()["items"]]
    assert HERE == another["key"]["namespace"]


async def test_two_keys_of_one_name_do_not_share_idempotency_keys(
    soma: Container, root: httpx.AsyncClient
) -> None:
    answers = []
    for place in ("acme/a", "acme/b"):
        key = await made(root, namespace=place)
        async with calling(create_app(soma), key["token"], Idempotency_Key="one") as http:
            answers.append(await http.post("/v1/memories", json={"content": f"in {place}"}))

    assert [201, 201] == [answer.status_code for answer in answers]


async def test_an_admin_of_a_subtree_manages_the_keys_inside_and_no_others(
    soma: Container, root: httpx.AsyncClient
) -> None:
    outside = [await made(root, namespace=place) for place in (None, "acme", "acme/hereby")]
    inside = [await made(root, namespace=place) for place in (HERE, f"{HERE}/deep")]
    admin = await made(root, permission="admin")
    async with calling(create_app(soma), admin["token"]) as http:
        listed = (await http.get("/v1/keys", params={"limit": 2})).json()
        rest = (await http.get("/v1/keys", params={"cursor": listed["next_cursor"]})).json()
        for key in [*outside, {"id": "0" * 16}]:
            refused = await http.delete(f"/v1/keys/{key['id']}")
            assert f"no key '{key['id']}'" == problem(refused, 404)["detail"]
        for place in ("acme", "acme/hereby", "elsewhere"):
            body = {"name": "n", "permission": "read", "namespace": place}
            problem(await http.post("/v1/keys", json=body), 403)
        for path in ("/metrics", "/v1/doctor", "/v1/stats/pending"):
            problem(await http.get(path), 403)
        for key in inside:
            assert 204 == (await http.delete(f"/v1/keys/{key['id']}")).status_code

    seen = {item["id"] for item in [*listed["items"], *rest["items"]]}
    assert {key["id"] for key in [*inside, admin]} == seen
    assert [200, 200, 200] == [await status(soma, key["token"]) for key in outside]
    assert [401, 401] == [await status(soma, key["token"]) for key in inside]


async def test_an_expired_key_is_refused_from_that_moment_on(
    soma: Container, root: httpx.AsyncClient, clock: Clock
) -> None:
    key = await made(root, expires_at=(clock.now + timedelta(hours=1)).isoformat())

    assert 200 == await status(soma, key["token"])
    clock.pass_by(hours=1)
    assert 401 == await status(soma, key["token"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "a:b"),
        ("name", "x" * 129),
        ("permission", "root"),
        ("namespace", "a//b"),
        ("expires_at", "2020-01-01T00:00:00Z"),
        ("expires_at", "2030-01-01T00:00:00"),
        ("scopes", ["read"]),
    ],
)
async def test_a_key_that_makes_no_sense_is_refused(
    root: httpx.AsyncClient, field: str, value: object
) -> None:
    body = {"name": "n", "permission": "read", field: value}

    answer = problem(await root.post("/v1/keys", json=body), 400)

    assert [field] == [error["field"] for error in answer["errors"]]
    assert [] == (await root.get("/v1/keys")).json()["items"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token[:-1],
        lambda token: token + "x",
        lambda token: token.replace("soma_", "soma"),
        lambda token: token.rpartition("_")[0] + "_",
        lambda token: "soma_" + "0" * 16 + "_" + token.rpartition("_")[2],
        lambda token: token.swapcase(),
        lambda token: "x" * 100_000,
        lambda token: "soma__",
        lambda token: "soma_\u00fc_secret",
    ],
)
async def test_a_token_that_is_nearly_right_is_wrong(
    soma: Container, root: httpx.AsyncClient, spoil: Any
) -> None:
    key = await made(root)
    with pytest.raises(AccessDenied):
        await soma.access().admit(spoil(key["token"]), FAR_PEER)
    assert "bot" in (await soma.access().admit(key["token"], FAR_PEER)).principal.name


async def test_a_request_writes_nothing_and_the_last_use_follows_in_a_batch(
    soma: Container, root: httpx.AsyncClient, clock: Clock
) -> None:
    key = await made(root)

    async def last_used() -> str | None:
        (item,) = (await root.get("/v1/keys")).json()["items"]
        used: str | None = item["last_used_at"]
        return used

    for _ in range(3):
        clock.pass_by(minutes=1)
        await status(soma, key["token"])
    assert await last_used() is None
    await soma.key_usage().flush()
    assert clock.now.isoformat().replace("+00:00", "Z") == await last_used()


async def test_making_and_revoking_keys_is_audited(root: httpx.AsyncClient, tmp_path: Path) -> None:
    key = await made(root)
    for _ in range(2):
        await root.delete(f"/v1/keys/{key['id']}")

    with sqlite3.connect(tmp_path / "soma.db") as database:
        rows = database.execute(
            "SELECT actor, action, namespace, key_id FROM audit_log ORDER BY number"
        ).fetchall()
    database.close()
    expected = [("bootstrap", action, HERE, key["id"]) for action in ("create_key", "revoke_key")]
    assert expected == rows


async def test_another_key_secret_ends_every_key(tmp_path: Path) -> None:
    tokens: list[str] = []
    for secret in ("the first key secret", "the other key secret", "the first key secret"):
        async with installation(tmp_path, bootstrap_key=ROOT_KEY, key_secret=secret) as soma:
            if not tokens:
                async with calling(create_app(soma), ROOT_KEY) as http:
                    tokens.append((await made(http))["token"])
            expected = 401 if "other" in secret else 200
            assert expected == await status(soma, tokens[0])


async def test_the_first_key_closes_the_network_and_leaves_the_owners_socket_open(
    start_server: StartServer,
) -> None:
    with start_server() as server, server.client() as http, server.local_client() as owner:
        assert 200 == http.get("/v1/memories").status_code
        created = owner.post("/v1/keys", json={"name": "n", "permission": "read"}).json()
        problem(http.get("/v1/memories"), 401)
        assert 200 == owner.get("/v1/memories").status_code
        with server.client(Authorization=f"Bearer {created['token']}") as keyed:
            assert 200 == keyed.get("/v1/memories").status_code
            problem(keyed.post("/v1/memories", json={"content": "x"}), 403)
        # That every key is revoked does not open the door again.
        assert 204 == owner.delete(f"/v1/keys/{created['key']['id']}").status_code
        problem(http.get("/v1/memories"), 401)


async def test_without_keys_only_this_machine_is_served(tmp_path: Path) -> None:
    async with installation(tmp_path) as soma:
        app = create_app(soma)
        for address, expected in ((NEAR, 200), ("::1", 200), (FAR, 401), ("", 401)):
            async with calling(app, address=address, Host="localhost") as http:
                assert expected == (await http.get("/v1/memories")).status_code, address


async def test_a_stream_ends_with_its_key(soma: Container, root: httpx.AsyncClient) -> None:
    key = await made(root, permission="write")
    principal = (await soma.access().admit(key["token"], FAR_PEER)).principal
    feed = soma.guarded()(principal).watch(Namespace(HERE))
    async with calling(create_app(soma), key["token"]) as http:
        await http.post("/v1/memories", json={"content": "one"})
        assert await anext(feed) is not None
        await root.delete(f"/v1/keys/{key['id']}")
    body = {"content": "two", "namespace": HERE}
    await root.post("/v1/memories", json=body)

    with pytest.raises(AccessDenied):
        await anext(feed)


# --- Replicas ------------------------------------------------------------------------------------


class Stopwatch:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.seconds


@asynccontextmanager
async def two_replicas(
    url: str, folder: Path, stopwatch: Stopwatch
) -> AsyncIterator[tuple[Container, Container]]:
    """Open two installations on one PostgreSQL that know keys by the same stopwatch."""
    async with (
        installation(folder / "one", postgres_url=url) as one,
        installation(folder / "two", postgres_url=url) as two,
    ):
        for replica in (one, two):
            replica.elapsed.override(providers.Object(stopwatch))
        yield one, two


async def admitted(soma: Container, token: str) -> bool:
    """Tell whether a token opens the door."""
    try:
        await soma.access().admit(token, FAR_PEER)
    except AccessDenied:
        return False
    return True


async def test_a_revocation_is_known_to_every_replica_within_five_seconds(
    postgres_url: str, tmp_path: Path
) -> None:
    stopwatch = Stopwatch()
    assert FRESH_SECONDS <= 5
    async with two_replicas(postgres_url, tmp_path, stopwatch) as (one, two):
        local = Principal("tester", Permission.ADMIN)
        assert not await two.access().demands_keys()
        made = await one.guarded()(local).create_key(name="bot", permission=Permission.READ)
        stopwatch.seconds += FRESH_SECONDS
        assert await two.access().demands_keys()
        assert [True, True] == [await admitted(replica, made.token) for replica in (one, two)]

        await one.guarded()(local).revoke_key(made.key.id)

        assert not await admitted(one, made.token)
        stopwatch.seconds += FRESH_SECONDS
        assert not await admitted(two, made.token)


async def test_replicas_that_make_their_first_keys_at_once_agree_on_the_secret(
    postgres_url: str, tmp_path: Path
) -> None:
    stopwatch = Stopwatch()
    async with two_replicas(postgres_url, tmp_path, stopwatch) as (one, two):
        local = Principal("tester", Permission.ADMIN)
        made = await asyncio.gather(
            *(
                replica.guarded()(local).create_key(name="bot", permission=Permission.READ)
                for replica in (one, two)
            )
        )
        stopwatch.seconds += FRESH_SECONDS
        for replica in (one, two):
            assert [True, True] == [await admitted(replica, key.token) for key in made]


# --- The command line ----------------------------------------------------------------------------


@pytest.fixture
def cli(tmp_path: Path) -> Soma:
    """A command line with a data directory of its own."""
    return Soma(tmp_path)


def test_keys_are_made_listed_and_revoked_on_the_command_line(cli: Soma) -> None:
    token = cli.out("keys", "create", "support bot", "--permission", "write", "-n", HERE).strip()
    (item,) = cli.json("keys", "list")["items"]
    shown = cli.out("keys")

    assert token.startswith(f"soma_{item['id']}_")
    assert HERE in shown
    assert "works" in shown
    assert token not in shown
    cli.out("keys", "revoke", item["id"])
    assert "revoked" in cli.out("keys", "list")
    assert "no key 'unknown'" == cli.refusal("keys", "revoke", "unknown")


def test_a_key_for_everywhere_must_be_asked_for(cli: Soma) -> None:
    message = cli.refusal("keys", "create", "n", "--permission", "read")

    assert "--everywhere" in message
    assert [] == cli.json("keys", "list")["items"]
    cli.out("keys", "create", "n", "--permission", "read", "--everywhere", "--ttl", "7d")
    (item,) = cli.json("keys", "list")["items"]
    assert item["namespace"] is None
    assert item["expires_at"] is not None


def test_commands_with_a_bound_key_work_where_it_is_bound(
    start_server: StartServer, tmp_path: Path
) -> None:
    (tmp_path / "cli").mkdir()
    with start_server() as server, server.local_client() as owner:
        body = {"name": "n", "permission": "write", "namespace": HERE}
        token = owner.post("/v1/keys", json=body).json()["token"]
        cli = Soma(tmp_path / "cli", more={"SOMA_URL": server.url, "SOMA_KEY": token})

        stored = cli.json("remember", "the kettle")
        assert HERE == stored["memory"]["namespace"]
        assert 1 == len(cli.json("recall", "kettle")["hits"])
        assert 1 == len(cli.json("list")["items"])
        assert b"the kettle" in cli.run("export").stdout
        assert "does not reach" in cli.refusal("list", "-n", "default")
