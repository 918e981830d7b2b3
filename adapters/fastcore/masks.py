"""The masks of filters over one view: who asks again asks mostly with the same filter."""

from __future__ import annotations

from dataclasses import replace

from adapters.fastcore.facts import Columns, Mask
from domain.filter import Filter

_KEPT_MAX = 4


class Masks:
    """Which rows of one view pass the last few filters, their validity aside.

    A view never changes, so neither does what is kept: the next view begins with nothing.
    """

    def __init__(self) -> None:
        self._kept: dict[str, Mask] = {}

    def has(self, filter: Filter) -> bool:
        """Tell whether it need not be worked out."""
        return _key(filter) in self._kept

    def of(self, facts: Columns, filter: Filter, count: int) -> Mask:
        """Return which of the first `count` rows pass; the caller must not change it."""
        key = _key(filter)
        mask = self._kept.get(key)
        if mask is None:
            mask = facts.mask(filter, count)
            # Replaced as a whole: others may be reading it in their threads.
            latest = list(self._kept.items())[1 - _KEPT_MAX :]
            self._kept = {**dict(latest), key: mask}
        return mask


def _key(filter: Filter) -> str:
    """Spell a filter: as values, `true` and 1 would be the same."""
    return repr(replace(filter, valid_at=None))
