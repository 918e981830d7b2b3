"""SIGKILL at any point: what was acknowledged survives, what was not is whole or absent."""

from __future__ import annotations

import json
import random
import select
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from container import Container
from domain.errors import MemoryNotFound
from domain.filter import Filter
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope, ScopeKind
from domain.recall import RecallQuery
from tests.end_to_end.embedded import Clock, installation, settled
from tests.end_to_end.storing_process import BATCH

ROOT = Path(__file__).resolve().parents[2]
EVERYWHERE = Scope(Namespace("acme"), ScopeKind.SUBTREE)
ROUNDS = 16
VERIFIED_EVERY = 4


@dataclass
class Told:
    """What the killed processes said."""

    begun: set[str] = field(default_factory=set)
    stored: dict[str, list[MemoryId]] = field(default_factory=dict)
    forgetting: set[MemoryId] = field(default_factory=set)
    forgotten: set[MemoryId] = field(default_factory=set)

    def hear(self, line: str) -> None:
        """Take in one line; the last may be cut off."""
        try:
            ((what, facts),) = json.loads(line).items()
        except ValueError:
            return
        match what:
            case "begun":
                self.begun.add(facts["tag"])
            case "stored":
                self.stored[facts["tag"]] = facts["ids"]
            case "forgetting":
                self.forgetting.add(facts["id"])
            case "forgotten":
                self.forgotten.add(facts["id"])


def kill_at_random(data_dir: Path, round: int, told: Told, dice: random.Random) -> None:
    """Let a process store for a random while, kill it, and hear what it said."""
    module = "tests.end_to_end.storing_process"
    with subprocess.Popen(
        [sys.executable, "-m", module, str(data_dir), str(round)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        ready, _, _ = select.select([process.stdout], [], [], 30)
        assert ready, "the process did not begin"
        alive_until = time.monotonic() + dice.uniform(0.0, 0.6)
        while (left := alive_until - time.monotonic()) > 0:
            ready, _, _ = select.select([process.stdout], [], [], left)
            if ready:
                told.hear(process.stdout.readline())
        process.kill()
        for line in process.stdout:
            told.hear(line)
        assert process.stderr.read() == ""
        process.wait()
    assert process.returncode == -9


async def verify(soma: Container, told: Told) -> None:
    """Hold the store against what was told."""
    assert await soma.reconcile()(check=True) == []
    listed = await everything(soma)
    live = {id for ids in listed.values() for id in ids}
    for tag in told.stored.keys() & told.begun:
        expected = set(told.stored[tag]) - told.forgetting
        assert expected <= listed[tag], f"acknowledged memories of {tag} are gone"
    for tag in told.begun - told.stored.keys():
        assert len(listed.get(tag, ())) in {0, BATCH}, f"half of {tag} was stored"
    assert not told.forgotten & live
    for id in told.forgotten:
        with pytest.raises(MemoryNotFound):
            await soma.show()(id)
    await settled(soma)
    assert await soma.reindex()() == 0, "a vector was missing that nobody was to compute"
    answer = await soma.recall()(RecallQuery(text="red kettle", scope=EVERYWHERE, k=1000))
    recalled = {hit.memory.id for hit in answer.hits}
    assert recalled <= live
    assert len(recalled) == min(1000, len(live))


async def everything(soma: Container) -> dict[str, set[MemoryId]]:
    found: dict[str, set[MemoryId]] = {}
    cursor: str | None = None
    while True:
        page = await soma.list_memories()(
            scope=EVERYWHERE, filter=Filter(), limit=1000, cursor=cursor
        )
        for memory in page.items:
            found.setdefault(memory.tags[0], set()).add(memory.id)
        cursor = page.next_cursor
        if cursor is None:
            return found


@pytest.mark.slow
async def test_a_killed_process_leaves_every_batch_whole_or_absent(tmp_path: Path) -> None:
    dice = random.Random(20260301)
    told = Told()
    for round in range(ROUNDS):
        kill_at_random(tmp_path, round, told, dice)
        if round % VERIFIED_EVERY == VERIFIED_EVERY - 1:
            # Leases of the killed process hold for a minute of this clock.
            clock = Clock()
            clock.pass_by(days=3650)
            async with installation(tmp_path, clock=clock) as soma:
                await verify(soma, told)
    assert len(told.stored) > ROUNDS, Counter(len(ids) for ids in told.stored.values())
    assert told.forgotten
