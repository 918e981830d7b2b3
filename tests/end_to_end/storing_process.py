"""A process that stores batches, forgets and links until it is killed, and says what it was told.

Run as `python -m tests.end_to_end.storing_process DATA_DIR ROUND`. Each line is JSON: `begun`
before a batch is handed over, `stored` when its ids are acknowledged, `forgotten` likewise.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from domain.draft import Draft, NewLink, Wait
from domain.memory import MemoryId, Source
from tests.end_to_end.embedded import ACTOR, installation

BATCH = 12
START = datetime(2026, 1, 1, tzinfo=UTC)


def tell(what: str, **facts: object) -> None:
    """Print one line at once."""
    sys.stdout.write(json.dumps({what: facts}) + "\n")
    sys.stdout.flush()


def drafts(tag: str, before: list[MemoryId]) -> list[Draft]:
    """Return a batch whose members share a tag and a session, linked to the batch before."""
    return [
        Draft(
            content=f"{tag} turn {number} of the red kettle",
            namespace="acme/ann" if number % 2 else "acme",
            tags=[tag],
            occurred_at=START + timedelta(seconds=number),
            source=Source(session=tag),
            links=tuple(NewLink(target=id, type="after") for id in before[number : number + 1]),
        )
        for number in range(BATCH)
    ]


async def main(data_dir: Path, round: str) -> None:
    """Work until the process ends."""
    async with installation(data_dir) as soma:
        tell("ready")
        before: list[MemoryId] = []
        for number in range(100_000):
            tag = f"r{round}b{number}"
            wait = Wait.INDEXED if number % 3 else Wait.STORED
            tell("begun", tag=tag)
            stored = await soma.remember_batch()(drafts(tag, before), wait=wait, actor=ACTOR)
            ids = [result.memory.id for result in stored]
            tell("stored", tag=tag, ids=ids)
            victim, before = ids[5], [id for id in ids if id != ids[5]]
            tell("forgetting", id=victim)
            forget = soma.erase() if number % 2 else soma.forget()
            await forget(victim, actor=ACTOR)
            tell("forgotten", id=victim)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
