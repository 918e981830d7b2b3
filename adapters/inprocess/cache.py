"""A cache in this process: the least recently used values go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

#: What Python keeps per entry besides key and value.
_ENTRY_OVERHEAD_BYTES = 200


class InProcessCache:
    """Keeps values up to a budget in bytes, keys and bookkeeping included."""

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._size_bytes = 0
        self._values: OrderedDict[str, bytes] = OrderedDict()

    async def get(self, key: str, /) -> bytes | None:
        """Return the value if it is still there."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    async def put(self, key: str, value: bytes, /) -> None:
        """Keep the value; one that alone exceeds the budget is not kept."""
        old = self._values.pop(key, None)
        if old is not None:
            self._size_bytes -= _size_bytes(key, old)
        if _size_bytes(key, value) > self._budget_bytes:
            return
        self._values[key] = value
        self._size_bytes += _size_bytes(key, value)
        while self._size_bytes > self._budget_bytes:
            oldest, dropped = self._values.popitem(last=False)
            self._size_bytes -= _size_bytes(oldest, dropped)

    async def get_many(self, keys: Sequence[str], /) -> dict[str, bytes]:
        """Return those values that are still there."""
        found = {key: await self.get(key) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    async def put_many(self, values: Mapping[str, bytes], /) -> None:
        """Keep the values; those that alone exceed the budget are not kept."""
        for key, value in values.items():
            await self.put(key, value)

    async def drop(self, keys: Sequence[str], /) -> bool:
        """Remove values; always True."""
        for key in keys:
            value = self._values.pop(key, None)
            if value is not None:
                self._size_bytes -= _size_bytes(key, value)
        return True


def _size_bytes(key: str, value: bytes) -> int:
    return len(key) + len(value) + _ENTRY_OVERHEAD_BYTES
