"""Backup and restore, through the real command line and in both profiles."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import select
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from container import Container
from domain.draft import Changes, Draft, NewLink, Wait
from domain.errors import MemoryNotFound, StoreUnavailable
from domain.filter import Filter
from domain.job import JobKind, JobState
from domain.memory import Memory, MemoryId, Source
from domain.namespace import Namespace, NamespacePolicy, Scope, ScopeKind
from domain.recall import RecallQuery
from domain.transfer import ExportRecord
from tests.contracts.snapshot_places import postgres_rows, sqlite_rows
from tests.end_to_end.cli_process import ROOT, TIMEOUT_SECONDS, Soma
from tests.end_to_end.embedded import ACTOR, Clock, installation, settled
from tests.postgres_server import TestServer

EVERYWHERE = Scope(Namespace("acme"), ScopeKind.SUBTREE)
QUESTIONS = ("red kettle", "who drives the van", "what was said before", "4711")


@dataclasses.dataclass
class Installed:
    """One installation: a command line, and what it takes to open the same from here."""

    soma: Soma
    settings: dict[str, Any]

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Container]:
        """Open it in this process."""
        given = {"background_embedding": False, **self.settings}
        async with installation(self.soma.data, clock=Clock(), **given) as container:
            yield container

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return every row of its store."""
        if "postgres_url" in self.settings:
            return postgres_rows(self.settings["postgres_url"])
        return sqlite_rows(self.soma.data / "soma.db")

    async def out(self, *arguments: str) -> str:
        """Run a command that must succeed."""
        return await asyncio.to_thread(self.soma.out, *arguments)

    async def refusal(self, *arguments: str) -> str:
        """Run a command that must be refused."""
        return await asyncio.to_thread(self.soma.refusal, *arguments)


@pytest.fixture(params=["embedded", "server"])
async def places(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[Installed, Installed]]:
    """Two empty installations of one profile."""
    made = []
    async with AsyncExitStack() as stack:
        for name in ("here", "elsewhere"):
            folder = tmp_path / name
            folder.mkdir()
            settings: dict[str, Any] = {}
            more = {}
            if request.param == "server":
                server: TestServer = request.getfixturevalue("postgres_server")
                url = await stack.enter_async_context(server.database())
                ledger = folder / "erasures.log"
                settings = {"postgres_url": url, "erasure_ledger": ledger}
                more = {"SOMA_POSTGRES_URL": url, "SOMA_ERASURE_LEDGER": str(ledger)}
            made.append(Installed(Soma(folder, more=more), settings))
        yield made[0], made[1]


async def fill(soma: Container) -> list[Memory]:
    """Store memories with everything that they may have."""
    stored: list[Memory] = []
    for number, text in enumerate(
        ("The red kettle stands on the stove.", "Ann drives the van.", "Invoice 4711 is paid.")
    ):
        draft = Draft(
            content=text,
            namespace="acme/ann" if number else "acme",
            payload={"number": number, "größe": [1.5, None]},
            tags=[f"tag {number}"],
            coordinate=(float(number), 2.0),
            source=Source(actor="ann", session="one"),
            links=tuple(NewLink(target=memory.id, type="after") for memory in stored[-1:]),
        )
        [result] = await soma.remember_batch()([draft], wait=Wait.INDEXED, actor=ACTOR)
        stored.append(result.memory)
    await soma.revise()(stored[0].id, Changes(content="The red kettle is broken."), actor=ACTOR)
    await soma.set_policy()(Namespace("acme"), NamespacePolicy(half_life_days=9.0), actor=ACTOR)
    await settled(soma)
    return stored


async def everything(soma: Container) -> list[ExportRecord]:
    """Return memories, versions, links and vectors."""
    return [record async for record in soma.export()(EVERYWHERE, vectors=True)]


async def answers(soma: Container) -> list[list[tuple[MemoryId, float, dict[str, float]]]]:
    """Return what some questions are answered with, scores included."""
    found = []
    for question in QUESTIONS:
        answer = await soma.recall()(RecallQuery(text=question, scope=EVERYWHERE))
        found.append([(hit.memory.id, hit.score, dict(hit.parts)) for hit in answer.hits])
    return found


async def test_a_backup_restored_elsewhere_is_the_same_in_everything(
    places: tuple[Installed, Installed], tmp_path: Path
) -> None:
    here, elsewhere = places
    async with here.opened() as soma:
        await fill(soma)
        before, said = await everything(soma), await answers(soma)
        policy = await soma.show_namespace()(Namespace("acme"))

    await here.out("backup", "--to", str(tmp_path / "backup"))
    assert "3 memories" in await here.out("backup", "--verify", str(tmp_path / "backup"))
    await elsewhere.out("restore", "--from", str(tmp_path / "backup"))

    assert elsewhere.rows() == here.rows()
    async with elsewhere.opened() as soma:
        assert await everything(soma) == before
        assert await answers(soma) == said
        assert await soma.show_namespace()(Namespace("acme")) == policy
        assert await soma.reconcile()(check=True) == []
        async with soma.store().reading() as tx:
            new = await tx.settings.get("epoch")
    manifest = json.loads((tmp_path / "backup" / "manifest.json").read_text())["manifest"]
    assert new != manifest["facts"]["epoch"]
    assert manifest["facts"]["counts"]["links"] == 2


async def test_nothing_that_was_erased_after_the_backup_comes_back(
    places: tuple[Installed, Installed], tmp_path: Path
) -> None:
    """Neither in the same place, nor elsewhere with the ledger of the first."""
    here, elsewhere = places
    async with here.opened() as soma:
        kept, one, two = await fill(soma)
    await here.out("backup", "--to", str(tmp_path / "backup"))
    async with here.opened() as soma:
        await soma.erase()(one.id, actor=ACTOR)
        assert await soma.erase_namespace()(Namespace("acme/ann"), actor=ACTOR) == 1
        ledger = here.soma.folder / "erasures.log"
        ledger = ledger if ledger.exists() else here.soma.data / "erasures.log"

    same = await here.out("restore", "--from", str(tmp_path / "backup"), "--replace")
    other = await elsewhere.out(
        "restore", "--from", str(tmp_path / "backup"), "--ledger", str(ledger)
    )

    for place, said in ((here, same), (elsewhere, other)):
        assert "erased again: 2" in said
        async with place.opened() as soma:
            await expect_gone(soma, [one.id, two.id])
            assert (await soma.show()(kept.id)).content == "The red kettle is broken."
            assert await soma.reconcile()(check=True) == []
    # The other place knows it for the next time as well.
    again = await elsewhere.out("restore", "--from", str(tmp_path / "backup"), "--replace")
    assert "erased again: 2" in again


async def expect_gone(soma: Container, ids: list[MemoryId]) -> None:
    """Look for memories everywhere."""
    for id in ids:
        with pytest.raises(MemoryNotFound):
            await soma.show()(id)
        assert (await soma.history()(id)).items == ()
    page = await soma.list_memories()(scope=EVERYWHERE, filter=Filter())
    assert not {memory.id for memory in page.items} & set(ids)
    for hits in await answers(soma):
        assert not {id for id, _, _ in hits} & set(ids)


async def test_what_was_erased_stays_owed_until_it_is_erased(
    places: tuple[Installed, Installed], tmp_path: Path
) -> None:
    """The process that restores may be killed before it erases: the next start does it first."""
    here, _ = places
    async with here.opened() as soma:
        _, one, _ = await fill(soma)
    await here.out("backup", "--to", str(tmp_path / "backup"))
    async with here.opened() as soma:
        await soma.erase()(one.id, actor=ACTOR)
        restore = soma.restore()
    await restore(tmp_path / "backup", replace=True)

    async with here.opened() as soma:
        await expect_gone(soma, [one.id])


async def test_a_damaged_backup_is_refused_and_changes_nothing(
    places: tuple[Installed, Installed], tmp_path: Path
) -> None:
    here, _ = places
    async with here.opened() as soma:
        await fill(soma)
    backup = tmp_path / "backup"
    await here.out("backup", "--to", str(backup))
    before = here.rows()
    parts = [path for path in backup.iterdir() if path.name != "manifest.json"]
    file = max(parts, key=lambda path: path.stat().st_size)
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    file.write_bytes(damaged)

    assert "not what was written" in await here.refusal("backup", "--verify", str(backup))
    refused = await here.refusal("restore", "--from", str(backup), "--replace")

    assert "not what was written" in refused
    assert here.rows() == before


async def test_a_store_that_holds_memories_is_not_replaced_unasked(
    places: tuple[Installed, Installed], tmp_path: Path
) -> None:
    here, _ = places
    async with here.opened() as soma:
        await fill(soma)
    await here.out("backup", "--to", str(tmp_path / "backup"))

    refused = await here.refusal("restore", "--from", str(tmp_path / "backup"))
    twice = await here.refusal("backup", "--to", str(tmp_path / "backup"))
    unknown = await here.refusal("restore", "--from", str(tmp_path / "nothing"))

    assert "--replace" in refused
    assert "is there already" in twice
    assert "is not a backup" in unknown


async def test_a_restore_that_is_killed_changes_nothing(
    places: tuple[Installed, Installed], tmp_path: Path
) -> None:
    here, _ = places
    async with here.opened() as soma:
        await fill(soma)
    await here.out("backup", "--to", str(tmp_path / "backup"))
    async with here.opened() as soma:
        later = Draft(content="stored after the backup", namespace="acme")
        await soma.remember_batch()([later], wait=Wait.STORED, actor=ACTOR)
    before = here.rows()

    await asyncio.to_thread(kill_when_prepared, here, tmp_path / "backup")

    assert here.rows() == before
    async with here.opened() as soma:
        assert await soma.reconcile()(check=True) == []
    await here.out("restore", "--from", str(tmp_path / "backup"), "--replace")
    async with here.opened() as soma:
        assert len((await soma.list_memories()(scope=EVERYWHERE, filter=Filter())).items) == 3


def kill_when_prepared(place: Installed, backup: Path) -> None:
    """Restore in a process of its own, and kill that before the last step."""
    url = place.settings.get("postgres_url")
    command = [sys.executable, "-m", "tests.end_to_end.restoring_process"]
    with subprocess.Popen(
        [*command, str(place.soma.data), str(backup), *([url] if url else [])],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], TIMEOUT_SECONDS)
        assert ready
        assert process.stdout.readline() == "prepared\n"
        process.kill()
        process.wait(TIMEOUT_SECONDS)


async def test_a_killed_backup_is_made_again_by_the_next_owner(tmp_path: Path) -> None:
    """What was begun is no backup, and does not stay."""
    async with installation(tmp_path / "data", background_embedding=False) as soma:
        await fill(soma)
        job = await soma.start_job()(
            JobKind.BACKUP, {"to": str(tmp_path / "backup")}, actor=ACTOR, reserved=True
        )
        async with soma.store().writing() as tx:
            found = await tx.jobs.get(job.id)
            assert found is not None
            token = await tx.fences.take("job:backup")
            await tx.jobs.put(found.claimed("killed", token, soma.now()()))
        left = tmp_path / f".backup.{job.id}.partial"
        left.mkdir()
        (left / "soma.db").write_bytes(b"half of it")

    async with installation(tmp_path / "data", background_embedding=False) as soma:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while (done := await soma.show_job()(job.id)).is_open:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        manifest = await soma.verify_backup()(tmp_path / "backup")

    assert done.state is JobState.SUCCEEDED, done
    assert manifest.facts.counts["memories"] == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "data"]  # noqa: ASYNC240


def test_a_backup_is_made_beside_a_server_and_a_restore_waits_for_its_end(tmp_path: Path) -> None:
    soma = Soma(tmp_path)
    with soma.serving():
        soma.out("remember", "stored while serving")
        made = soma.json("backup", "--to", str(tmp_path / "backup"))
        [job] = soma.json("jobs", "--kind", "backup")["items"]
        refused = soma.refusal("restore", "--from", str(tmp_path / "backup"), "--replace")

    assert made["counts"]["memories"] == 1
    assert (job["state"], job["result"]) == ("succeeded", made)
    assert "stop it first" in refused
    soma.out("restore", "--from", str(tmp_path / "backup"), "--replace")
    assert [item["content"] for item in soma.json("list")["items"]] == ["stored while serving"]


def test_a_backup_is_asked_for_on_the_machine(tmp_path: Path) -> None:
    soma = Soma(tmp_path)

    refused = soma.refusal("backup", "--to", "x", "--url", "http://127.0.0.1:1")

    assert "where the data is" in refused
    assert "where the data is" in soma.refusal(
        "restore", "--from", "x", "--url", "http://127.0.0.1:1"
    )


async def test_without_a_ledger_nothing_is_erased(tmp_path: Path) -> None:
    """An erasure that the next restore would undo must not be acknowledged."""
    ledger = tmp_path / "no" / "such" / "folder"
    async with installation(
        tmp_path / "data", background_embedding=False, erasure_ledger=ledger
    ) as soma:
        kept, *_ = await fill(soma)
        with pytest.raises(StoreUnavailable, match="ledger"):
            await soma.erase()(kept.id, actor=ACTOR)

        assert (await soma.show()(kept.id)).id == kept.id
