"""Which namespaces have a file, and when one is written."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from adapters.fastcore.snapshots import Snapshots
from adapters.fastcore.threads import in_thread
from domain.errors import StoreUnavailable
from domain.events import FeedPosition
from domain.namespace import Namespace

if TYPE_CHECKING:
    from adapters.fastcore.segment import Segment

#: Fewer vectors are read from the store in a tenth of a second: a file would not be worth it.
_WRITTEN_MIN = 5_000
_BEING_WRITTEN = (-1, -1)


class Keeper:
    """Restores segments from files and writes them, where there are files at all.

    `current` catches a namespace up and returns its segment, `lock` keeps its writers away.
    """

    def __init__(
        self,
        snapshots: Snapshots | None,
        current: Callable[[Namespace], Awaitable[Segment]],
        lock: Callable[[Namespace], asyncio.Lock],
    ) -> None:
        self._snapshots = snapshots
        self._current = current
        self._lock = lock
        #: Up to where each namespace's file goes, and whether it was discarded since.
        self._written: dict[Namespace, tuple[int, int]] = {}
        self._writing: set[asyncio.Task[None]] = set()

    async def close(self, segments: Mapping[Namespace, Segment]) -> None:
        """Write what has changed since it was last written."""
        for task in tuple(self._writing):
            await task
        for namespace, segment in segments.items():
            if self._is_worth_writing(namespace, segment):
                await self._write(namespace)

    async def restored(
        self, namespace: Namespace, empty: Segment, position: FeedPosition
    ) -> Segment | None:
        """Return what a file holds, unless it belongs to another state of the store.

        `empty` is a segment of the model that is in use.
        """
        if self._snapshots is None or not self._snapshots.has(namespace):
            return None
        segment = await asyncio.to_thread(self._snapshots.read, namespace, empty)
        if segment is None:
            return None
        view = segment.view
        if view.epoch != position.epoch or view.watermark > position.seq:
            await self._snapshots.discard(namespace)
            return None
        self._written[namespace] = (view.watermark, self._snapshots.turn(namespace))
        return segment

    def write_if_new(self, namespace: Namespace, segment: Segment) -> None:
        """Write in the background what no file holds yet; later changes wait for the end."""
        if namespace in self._written or not self._is_worth_writing(namespace, segment):
            return
        self._written[namespace] = _BEING_WRITTEN
        task = asyncio.get_running_loop().create_task(self._write(namespace))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    def _is_worth_writing(self, namespace: Namespace, segment: Segment) -> bool:
        if self._snapshots is None or segment.view.vectors < _WRITTEN_MIN:
            return False
        now = (segment.view.watermark, self._snapshots.turn(namespace))
        return self._written.get(namespace) != now

    async def _write(self, namespace: Namespace) -> None:
        """Write a file; without it everything works, and only a restart takes longer."""
        with contextlib.suppress(StoreUnavailable, OSError):
            await self._written_anew(namespace)

    async def _written_anew(self, namespace: Namespace) -> None:
        """Catch up, so that nothing is written that was erased before, then write."""
        assert self._snapshots is not None
        turn = self._snapshots.turn(namespace)
        segment = await self._current(namespace)
        async with self._lock(namespace):
            compacted = await in_thread(segment.frozen)
        frozen = await in_thread(compacted)
        if await in_thread(partial(self._snapshots.write, namespace, frozen, turn)):
            self._written[namespace] = (frozen.view.watermark, turn)
