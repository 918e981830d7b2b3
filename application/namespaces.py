"""Namespaces: list them, see what one holds, set its policy, erase a subtree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from application.forget import Erase
from application.show import check_limit
from domain.draft import Page
from domain.errors import InvalidInput, NamespaceNotFound
from domain.namespace import (
    Namespace,
    NamespacePolicy,
    NamespaceStats,
    Scope,
    ScopeKind,
    parse_namespace,
)
from domain.ports import CanonicalStore, EventBus
from domain.ranking import tuned

ERASE_CHUNK = 500
DURATION_MAX = 1e10


@dataclass(frozen=True, kw_only=True)
class ListNamespaces:
    """List namespaces in path order, everywhere or in a subtree."""

    store: CanonicalStore

    async def __call__(
        self, *, under: Namespace | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[NamespaceStats]:
        """Return one page."""
        check_limit(limit)
        scope = Scope(under, ScopeKind.SUBTREE) if under else None
        after = None if cursor is None else _after(cursor)
        async with self.store.reading() as tx:
            found = await tx.namespaces.stats(scope, limit=limit + 1, after=after)
        page = tuple(found[:limit])
        return Page(page, page[-1].path if len(found) > limit else None)


@dataclass(frozen=True, kw_only=True)
class ShowNamespace:
    """Return what one namespace holds. Raises `NamespaceNotFound`."""

    store: CanonicalStore

    async def __call__(self, path: Namespace) -> NamespaceStats:
        """Return counts, head, lag and own policy."""
        async with self.store.reading() as tx:
            found = await tx.namespaces.stats(Scope(path), limit=1)
        if not found:
            raise NamespaceNotFound(path)
        return found[0]


@dataclass(frozen=True, kw_only=True)
class SetPolicy:
    """Replace a namespace's own policy; it is created when absent. Raises `InvalidInput`."""

    store: CanonicalStore
    show: ShowNamespace

    async def __call__(
        self, path: Namespace, policy: NamespacePolicy, *, actor: str
    ) -> NamespaceStats:
        """Return the namespace with its new policy."""
        _check_policy(policy)
        async with self.store.writing() as tx:
            await tx.feed.lock([path])
            await tx.namespaces.set_policy(path, policy)
        return await self.show(path)


@dataclass(frozen=True, kw_only=True)
class EraseNamespace:
    """Erase every memory of a subtree, forgotten ones too, part by part.

    An interrupted run is taken up by the next.

    Counters stay, so that sequence numbers never start again.
    """

    store: CanonicalStore
    erase: Erase
    bus: EventBus

    async def __call__(self, path: Namespace, *, actor: str) -> int:
        """Return how many memories were erased. Raises `NamespaceNotFound`."""
        erased = 0
        found = False
        after: Namespace | None = None
        while True:
            async with self.store.reading() as tx:
                scope = Scope(path, ScopeKind.SUBTREE)
                heads = await tx.feed.heads(scope, limit=1000, after=after)
            if not heads:
                break
            found = True
            for namespace in heads:
                erased += await self._erase_one(namespace, actor)
                after = namespace
        if not found:
            raise NamespaceNotFound(path)
        return erased

    async def _erase_one(self, namespace: Namespace, actor: str) -> int:
        erased = 0
        while True:
            async with self.store.writing() as tx:
                ids = await tx.memories.not_erased(namespace, limit=ERASE_CHUNK)
                if not ids:
                    return erased
                await self.erase.erase_all(tx, namespace, ids, actor=actor)
            self.erase.known.drop(ids)
            await self.erase.discard_copies(namespace)
            await self.bus.publish([namespace])
            erased += len(ids)


def _after(cursor: str) -> Namespace:
    try:
        return parse_namespace(cursor)
    except InvalidInput as error:
        raise InvalidInput("cursor", "is not a cursor of this list") from error


def _check_policy(policy: NamespacePolicy) -> None:
    tuned(
        [(policy.weights, policy.signals)],
        half_life_days=None,
        now=datetime.min.replace(tzinfo=UTC),
    )
    for name, value in (
        ("half_life_days", policy.half_life_days),
        ("default_ttl_seconds", policy.default_ttl_seconds),
    ):
        if value is not None and not 0 < value < DURATION_MAX:
            raise InvalidInput(name, f"must be above 0 and below {DURATION_MAX:.0f}")
