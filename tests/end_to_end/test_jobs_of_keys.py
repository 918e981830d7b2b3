"""Imports and exports are jobs of the key that asked: nobody sees or goes on with another's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from application.access.guarded import CONFIRMED_EVERY
from container import Container
from domain.access import Permission
from domain.draft import Draft
from domain.errors import AccessDenied
from domain.namespace import Namespace, Scope
from domain.transfer import ImportLine
from entrypoints.http.app import create_app
from tests.end_to_end.calling import calling
from tests.end_to_end.embedded import installation

KEY = "a-long-bootstrap-key"


@dataclass
class House:
    """An installation, called with its first key and with any others."""

    soma: Container
    app: Litestar
    root: httpx.AsyncClient

    @asynccontextmanager
    async def keyed(
        self, namespace: str | None, permission: str = "write"
    ) -> AsyncIterator[httpx.AsyncClient]:
        """Make a key and call with it."""
        body = {"name": "somebody", "permission": permission, "namespace": namespace}
        made = await self.root.post("/v1/keys", json=body)
        assert made.status_code == 201, made.text
        async with calling(self.app, made.json()["token"]) as http:
            yield http

    async def jobs(self, kind: str) -> list[dict[str, Any]]:
        """Return the jobs of a kind, newest first."""
        answer = await self.root.get("/v1/jobs", params={"kind": kind})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with installation(tmp_path, bootstrap_key=KEY) as soma:
        app = create_app(soma)
        async with calling(app, KEY) as root:
            yield House(soma, app, root)


def lines(*contents: str, **fields: str) -> bytes:
    return b"".join(json.dumps({"content": c, **fields}).encode() + b"\n" for c in contents)


async def loaded(http: httpx.AsyncClient, body: bytes, job: str = "nightly") -> dict[str, Any]:
    answer = await http.post("/v1/import", params={"job": job}, content=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("place", ["acme/ann", "acme/bob", None])
async def test_the_id_of_an_import_belongs_to_its_key(house: House, place: str | None) -> None:
    async with AsyncExitStack() as stack:
        ann = await stack.enter_async_context(house.keyed("acme/ann"))
        other = await stack.enter_async_context(house.keyed(place))
        hers = await loaded(ann, lines("tea", "not a line too many"))
        theirs = await loaded(other, lines("coffee", namespace=place or "acme/bob"))

        assert hers["imported"] == 2
        assert theirs == {"imported": 1, "skipped": 0, "errors": [], "errors_total": 0}
        # Each goes on with their own; other lines than those it began with are refused.
        assert hers == await loaded(ann, lines("tea", "not a line too many"))
        foreign = lines("coffee", namespace=place or "acme/bob")
        refused = await ann.post("/v1/import", params={"job": "nightly"}, content=foreign)
        assert refused.status_code == 400
    assert len({job["id"] for job in await house.jobs("import")}) == 2
    assert {job["namespace"] for job in await house.jobs("import")} == {"acme/ann", place}


async def test_an_id_of_another_key_cannot_be_written(house: House) -> None:
    async with house.keyed("acme/ann") as ann, house.keyed("acme/bob") as bob:
        await loaded(ann, lines("tea"))
        [job] = await house.jobs("import")

        for http in (bob, house.root):
            answer = await http.post("/v1/import", params={"job": job["id"]}, content=lines("tea"))
            assert answer.status_code == 400
            assert [error["field"] for error in answer.json()["errors"]] == ["job"]


async def test_a_bound_key_imports_inside_and_is_not_told_of_what_is_outside(house: House) -> None:
    async with house.keyed("acme/ann") as ann:
        report = await loaded(ann, lines("inside") + lines("outside", namespace="acme/bob"))
        exported = await ann.get("/v1/export")

    assert (report["imported"], [error["line"] for error in report["errors"]]) == (1, [2])
    [record] = [json.loads(line) for line in exported.text.splitlines()]
    assert (record["memory"]["namespace"], record["memory"]["content"]) == ("acme/ann", "inside")
    spaces = (await house.root.get("/v1/namespaces")).json()["items"]
    assert "acme/bob" not in {space["path"] for space in spaces}


async def test_an_export_does_not_go_on_after_a_memory_outside(house: House) -> None:
    body = {"content": "of bob", "namespace": "acme/bob"}
    theirs = (await house.root.post("/v1/memories", json=body)).json()["memory"]["id"]
    unknown = theirs[:-1] + ("0" if theirs[-1] != "0" else "1")
    async with house.keyed("acme/ann", "read") as ann:
        mine = await ann.get("/v1/export", params={"after": theirs})
        nobodys = await ann.get("/v1/export", params={"after": unknown})

    assert mine.status_code == nobodys.status_code == 404
    assert mine.text.replace(theirs, unknown) == nobodys.text


async def test_imports_and_exports_end_with_their_key(house: House) -> None:
    await house.root.post("/v1/memories", json={"content": "before", "namespace": "acme"})
    made = await house.soma.create_key()(
        name="n", permission=Permission.WRITE, namespace=Namespace("acme"), actor="tester"
    )
    somebody = house.soma.guarded()(made.key.principal())

    async def lines_of(after: int, _: str) -> AsyncIterator[ImportLine]:
        for number in range(after + 1, 2 * CONFIRMED_EVERY):
            if number == CONFIRMED_EVERY:
                await house.soma.revoke_key()(made.key.id, actor="tester", within=None)
            yield ImportLine(number, Draft(content=f"{number}", namespace=somebody.home))

    with pytest.raises(AccessDenied):
        await somebody.import_lines(lines_of, job="nightly")
    with pytest.raises(AccessDenied):
        [record async for record in somebody.export(Scope(somebody.home))]

    [job] = await house.jobs("import")
    assert (job["state"], job["id"]) == ("failed", f"nightly@{made.key.id}")
    assert ["failed"] == [job["state"] for job in await house.jobs("export")]


async def test_jobs_are_for_admins_of_everything(house: House) -> None:
    async with house.keyed("acme", "admin") as bound, house.keyed(None, "write") as writer:
        await loaded(bound, lines("tea"))
        [job] = await house.jobs("import")

        for http in (bound, writer):
            for id in (job["id"], "nobody"):
                assert (await http.get(f"/v1/jobs/{id}")).status_code == 403
                assert (await http.delete(f"/v1/jobs/{id}")).status_code == 403
            assert (await http.get("/v1/jobs")).status_code == 403
            for call in ("reindex", "reconcile", "backup?to=/backups/one"):
                assert (await http.post(f"/v1/maintenance/{call}")).status_code == 403

    everybody = await house.root.get(f"/v1/jobs/{job['id']}")
    assert everybody.json()["requested_by"].startswith("somebody:")


async def test_not_even_the_first_key_makes_a_backup_over_the_network(house: House) -> None:
    answer = await house.root.post("/v1/maintenance/backup", params={"to": "/backups/one"})

    assert answer.status_code == 403
    assert await house.jobs("backup") == []


async def test_jobs_are_timed_by_kind_and_counted_by_state(house: House) -> None:
    await house.root.post("/v1/maintenance/reindex")
    await loaded(house.root, lines("tea"))

    shown = (await house.root.get("/metrics")).text

    assert 'soma_job_seconds_count{name="reindex",outcome="ok"} 1.0' in shown
    assert 'soma_job_seconds_count{name="import",outcome="ok"} 1.0' in shown
    assert 'soma_jobs{kind="reindex",state="succeeded"} 1.0' in shown
    assert "soma_stuck_jobs 0.0" in shown
