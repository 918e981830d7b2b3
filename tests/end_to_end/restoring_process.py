"""A process that puts a backup in a store's place and stops short of the last step.

Run as `python -m tests.end_to_end.restoring_process DATA_DIR BACKUP [POSTGRES_URL]`. It prints a
line when everything is prepared, and then waits to be killed.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path

from container import build
from domain.memory import MemoryId
from tests.end_to_end.embedded import settings_for


class EndlessLedger:
    """A ledger whose reader never gets to the end."""

    async def note(self, ids: Sequence[MemoryId], /, *, at: datetime) -> None:
        """Note nothing."""

    async def pages(self) -> AsyncIterator[list[MemoryId]]:
        """Say that we are here, and go no further."""
        yield []
        sys.stdout.write("prepared\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


async def main(data_dir: str, backup: str, *url: str) -> None:
    """Restore without an end."""
    given = {"postgres_url": url[0]} if url else {}
    container = build(settings_for(Path(data_dir), **given))
    await container.restore()(Path(backup), replace=True, ledgers=[EndlessLedger()])


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
