"""Arrays that grow at the end while others read them."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Item = TypeVar("Item", bound=np.generic)

_CAPACITY_MIN = 16
_DOUBLED_MAX = 1000


def appended(
    array: NDArray[Item], count: int, more: NDArray[Item], most: int | None = None
) -> NDArray[Item]:
    """Write behind the first `count`: in place where there is room, else into a larger copy.

    Storage grows by a share of its size, up to `most`, so that each row is moved a few times only.
    """
    needed = count + len(more)
    if needed > len(array):
        # A quarter in reserve at most, once that is worth counting.
        capacity = max(_CAPACITY_MIN, count + max(count // 4, min(count, _DOUBLED_MAX)), needed)
        shape = (min(capacity, most) if most else capacity, *array.shape[1:])
        larger: NDArray[Item] = np.empty(shape, array.dtype)
        larger[:count] = array[:count]
        array = larger
    array[count:needed] = more
    return array


class Growing(Generic[Item]):
    """An array that one writer extends. What `values` returned never changes.

    Readers in other threads see what was there when they asked: the count is raised last.
    """

    __slots__ = ("_array", "_count")

    def __init__(self, values: ArrayLike, dtype: DTypeLike) -> None:
        self._array: NDArray[Item] = np.array(values, dtype)
        self._count = len(self._array)

    def values(self, most: int | None = None) -> NDArray[Item]:
        """Return the values there are, or the first `most` of them."""
        count = self._count
        return self._array[: count if most is None else min(count, most)]

    def extend(self, values: ArrayLike) -> None:
        """Add values at the end."""
        more = np.asarray(values, self._array.dtype)
        self._array = appended(self._array, self._count, more)
        self._count += len(more)

    def truncate(self, count: int) -> None:
        """Drop what comes after the first `count`."""
        if count < self._count:
            # A copy: a reader may still look at what follows.
            self._array = self._array[:count].copy()
            self._count = count

    def __len__(self) -> int:
        """How many values there are."""
        return self._count

    @property
    def size_bytes(self) -> int:
        """What the values take."""
        return self._count * self._array.itemsize * int(np.prod(self._array.shape[1:]))
