"""Make a change again that the store gave up in favour of another one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, ParamSpec, TypeVar

from domain.errors import ChangeCollided

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS_MAX = 4


@dataclass(frozen=True)
class Retried(Generic[P, T]):
    """Call a use case again when its change collided with another and left no trace.

    Only for use cases that let no `ChangeCollided` through once a change of theirs is committed.
    There is no pause: the other change goes on as soon as this one is given up. Raises what the
    last attempt raises.
    """

    use_case: Callable[P, Awaitable[T]]
    attempts_max: int = ATTEMPTS_MAX

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the first attempt without a collision returns."""
        for _ in range(self.attempts_max - 1):
            try:
                return await self.use_case(*args, **kwargs)
            except ChangeCollided:
                continue
        return await self.use_case(*args, **kwargs)
