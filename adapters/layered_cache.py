"""A small cache near by in front of a large one far away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from domain.ports import Cache


class LayeredCache:
    """Asks the near cache first, and fills it with what the far one knows.

    `drop` reaches the far cache and this near one, not the near ones of other processes: what must
    be gone everywhere at once does not belong here.
    """

    def __init__(self, near: Cache, far: Cache) -> None:
        self._near = near
        self._far = far
        self._drops = 0

    async def get(self, key: str, /) -> bytes | None:
        """Return the value if it is still there."""
        return (await self.get_many([key])).get(key)

    async def put(self, key: str, value: bytes, /) -> None:
        """Keep the value in both."""
        await self.put_many({key: value})

    async def get_many(self, keys: Sequence[str], /) -> dict[str, bytes]:
        """Return those values that are still in either."""
        found = await self._near.get_many(keys)
        missing = [key for key in keys if key not in found]
        if not missing:
            return found
        drops = self._drops
        further = await self._far.get_many(missing)
        # What was dropped while the far cache answered must not come back.
        if further and drops == self._drops:
            await self._near.put_many(further)
        return found | further

    async def put_many(self, values: Mapping[str, bytes], /) -> None:
        """Keep the values in both."""
        await self._near.put_many(values)
        await self._far.put_many(values)

    async def drop(self, keys: Sequence[str], /) -> bool:
        """Remove values from both; False when one of them could not be asked."""
        self._drops += 1
        far = await self._far.drop(keys)
        near = await self._near.drop(keys)
        return near and far
