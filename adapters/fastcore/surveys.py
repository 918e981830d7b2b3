"""Which namespaces a subtree has, as last seen."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from domain.namespace import Namespace, Scope, ScopeKind
from domain.ports import CanonicalStore

_PAGE = 2000
_SUBTREES_MAX = 256


class Surveys:
    """Remembers the namespaces of subtrees, the least recently used forgotten first.

    A namespace that has come since is missing here; the sum of the heads then exceeds the sum of
    the watermarks, and the caller's catching up surveys anew.
    """

    def __init__(self, store: CanonicalStore) -> None:
        self._store = store
        self._known: OrderedDict[Namespace, tuple[str, tuple[Namespace, ...]]] = OrderedDict()

    async def of(self, scope: Scope) -> tuple[str | None, Sequence[Namespace]]:
        """Return the namespaces and the epoch they were seen in (None: nobody had to look)."""
        if scope.kind is ScopeKind.EXACT:
            return None, (scope.namespace,)
        if scope.namespace not in self._known:
            await self.renew(scope)
        self._known.move_to_end(scope.namespace)
        return self._known[scope.namespace]

    def seen(self, scope: Scope) -> Sequence[Namespace] | None:
        """Return the namespaces as last seen; None when nobody has looked yet."""
        if scope.kind is ScopeKind.EXACT:
            return (scope.namespace,)
        known = self._known.get(scope.namespace)
        return None if known is None else known[1]

    async def renew(self, scope: Scope) -> tuple[str, dict[Namespace, int]]:
        """Look again; return the epoch and every head of the subtree."""
        heads: dict[Namespace, int] = {}
        last: Namespace | None = None
        async with self._store.reading() as tx:
            epoch = (await tx.feed.position(scope)).epoch
            while page := await tx.feed.heads(scope, limit=_PAGE, after=last):
                heads.update(page)
                last = list(page)[-1]
                if len(page) < _PAGE:
                    break
        self._known[scope.namespace] = (epoch, tuple(heads))
        self._known.move_to_end(scope.namespace)
        if len(self._known) > _SUBTREES_MAX:
            self._known.popitem(last=False)
        return epoch, heads

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()
