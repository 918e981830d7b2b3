"""Every use case as one principal may carry it out: the only way from a door to the core."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path as FilePath
from typing import TypeVar

from application.access.lasting import while_confirmed
from application.access.permits import Operation, permit
from application.transfer.as_jobs import LinesAfter
from application.upkeep.maintain import Check
from application.use_cases import UseCases
from domain.access import ApiKey, CreatedKey, Permission, Principal
from domain.draft import Changes, Draft, Page, Remembered, Wait
from domain.errors import Forbidden
from domain.events import Event, FeedPosition
from domain.filter import Filter
from domain.job import Job, JobKind, JobState
from domain.link import Direction, Link, Neighbor, Path
from domain.memory import Memory, MemoryId, MemoryVersion
from domain.namespace import Namespace, NamespacePolicy, NamespaceStats, Scope
from domain.recall import RecallAnswer, RecallQuery
from domain.transfer import ExportRecord, ImportLine, ImportReport

T = TypeVar("T")

#: How often a stream asks whether its key still works: the answer is known without a statement.
CONFIRMED_EVERY = 100
#: How often a stream that may wait for long asks: with what the keyring keeps, less than 5 s. All
#: streams of a key together cost the statement by which the keyring knows it anew.
CONFIRMED_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Guard:
    """Stands between doors and use cases: gives each principal what they may do."""

    use_cases: UseCases

    def __call__(self, principal: Principal) -> Guarded:
        """Return the use cases for one principal."""
        return Guarded(self.use_cases, principal)


@dataclass(frozen=True, slots=True)
class Guarded:
    """The use cases for one principal. Every method raises `Forbidden` before it does anything.

    What lies outside the principal's subtree is refused where it is named by its namespace, and
    unknown where it is named by an id. Methods take and raise what the use cases do.
    """

    use_cases: UseCases
    principal: Principal

    @property
    def home(self) -> Namespace:
        """Where a request goes that names no namespace."""
        return self.principal.home

    def require(self, operation: Operation, *namespaces: str) -> None:
        """Raise `Forbidden` unless the principal may do this in these namespaces."""
        permit(self.principal, operation, *namespaces)

    # --- Memories --------------------------------------------------------------------------------

    async def remember(
        self, draft: Draft, *, wait: Wait = Wait.INDEXED, idempotency_key: str | None = None
    ) -> Remembered:
        """Store one memory."""
        self.require(Operation.REMEMBER, draft.namespace)
        return await self.use_cases.remember(
            draft,
            wait=wait,
            actor=self.principal.name,
            idempotency_key=idempotency_key,
            within=self.principal.within,
        )

    async def remember_batch(
        self,
        drafts: Sequence[Draft],
        *,
        wait: Wait = Wait.INDEXED,
        idempotency_key: str | None = None,
    ) -> list[Remembered]:
        """Store many memories, or none."""
        self.require(Operation.REMEMBER, *dict.fromkeys(draft.namespace for draft in drafts))
        return await self.use_cases.remember_batch(
            drafts,
            wait=wait,
            actor=self.principal.name,
            idempotency_key=idempotency_key,
            within=self.principal.within,
        )

    async def recall(self, query: RecallQuery) -> RecallAnswer:
        """Answer a question."""
        self.require(Operation.RECALL, query.scope.namespace)
        return await self.use_cases.recall(query, within=self.principal.within)

    async def show(self, id: MemoryId, *, known_at: datetime | None = None) -> Memory:
        """Show one memory."""
        self.require(Operation.SHOW)
        return await self.use_cases.show(id, known_at=known_at, within=self.principal.within)

    async def list_memories(
        self,
        *,
        scope: Scope,
        filter: Filter,
        as_of: datetime | None = None,
        include_expired: bool = False,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Memory]:
        """List memories of a scope."""
        self.require(Operation.LIST_MEMORIES, scope.namespace)
        return await self.use_cases.list_memories(
            scope=scope,
            filter=filter,
            as_of=as_of,
            include_expired=include_expired,
            limit=limit,
            cursor=cursor,
        )

    async def history(
        self, id: MemoryId, *, limit: int = 100, cursor: str | None = None
    ) -> Page[MemoryVersion]:
        """List the versions of a memory."""
        self.require(Operation.HISTORY)
        return await self.use_cases.history(
            id, limit=limit, cursor=cursor, within=self.principal.within
        )

    async def revise(
        self,
        id: MemoryId,
        changes: Changes,
        *,
        expected_version: int | None = None,
        wait: Wait = Wait.INDEXED,
    ) -> Remembered:
        """Change fields of a memory."""
        self.require(Operation.REVISE)
        return await self.use_cases.revise(
            id,
            changes,
            expected_version=expected_version,
            wait=wait,
            actor=self.principal.name,
            within=self.principal.within,
        )

    async def forget(self, id: MemoryId) -> None:
        """Hide a memory for good."""
        self.require(Operation.FORGET)
        await self.use_cases.forget(id, actor=self.principal.name, within=self.principal.within)

    async def erase(self, id: MemoryId) -> None:
        """Remove every trace of a memory's content."""
        self.require(Operation.ERASE)
        await self.use_cases.erase(id, actor=self.principal.name, within=self.principal.within)

    # --- Links -----------------------------------------------------------------------------------

    async def connect(
        self,
        *,
        source: MemoryId,
        target: MemoryId,
        type: str,
        weight: float = 1.0,
        properties: Mapping[str, object] | None = None,
    ) -> Link:
        """Link two memories."""
        self.require(Operation.CONNECT)
        return await self.use_cases.connect(
            source=source,
            target=target,
            type=type,
            weight=weight,
            properties=properties,
            actor=self.principal.name,
            within=self.principal.within,
        )

    async def disconnect(self, *, source: MemoryId, target: MemoryId, type: str) -> None:
        """Remove a link."""
        self.require(Operation.DISCONNECT)
        await self.use_cases.disconnect(
            source=source,
            target=target,
            type=type,
            actor=self.principal.name,
            within=self.principal.within,
        )

    async def neighbors(
        self,
        id: MemoryId,
        *,
        type: str | None = None,
        direction: Direction = Direction.BOTH,
        depth: int = 1,
        limit: int = 100,
    ) -> tuple[Neighbor, ...]:
        """Return what is linked to a memory."""
        self.require(Operation.NEIGHBORS)
        return await self.use_cases.neighbors(
            id,
            type=type,
            direction=direction,
            depth=depth,
            limit=limit,
            within=self.principal.within,
        )

    async def find_path(
        self,
        *,
        source: MemoryId,
        target: MemoryId,
        type: str | None = None,
        weighted: bool = False,
    ) -> Path:
        """Return the shortest path between two memories."""
        self.require(Operation.FIND_PATH)
        return await self.use_cases.find_path(
            source=source,
            target=target,
            type=type,
            weighted=weighted,
            within=self.principal.within,
        )

    # --- Namespaces and their feeds --------------------------------------------------------------

    async def list_namespaces(
        self, *, under: Namespace | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[NamespaceStats]:
        """List namespaces, at most those that the principal reaches."""
        root = under or self.principal.within
        self.require(Operation.LIST_NAMESPACES, *([root] if root else []))
        return await self.use_cases.list_namespaces(under=root, limit=limit, cursor=cursor)

    async def show_namespace(self, path: Namespace) -> NamespaceStats:
        """Show what a namespace holds."""
        self.require(Operation.SHOW_NAMESPACE, path)
        return await self.use_cases.show_namespace(path)

    async def set_policy(self, path: Namespace, policy: NamespacePolicy) -> NamespaceStats:
        """Replace a namespace's own policy."""
        self.require(Operation.SET_POLICY, path)
        return await self.use_cases.set_policy(path, policy, actor=self.principal.name)

    async def erase_namespace(self, path: Namespace) -> int:
        """Erase a subtree."""
        self.require(Operation.ERASE_NAMESPACE, path)
        return await self.use_cases.erase_namespace(path, actor=self.principal.name)

    def watch(
        self, namespace: Namespace, *, after: FeedPosition | None = None
    ) -> AsyncGenerator[tuple[str, Event] | None, None]:
        """Follow a change feed until the key ends."""
        self.require(Operation.WATCH, namespace)
        feed = self.use_cases.watch(namespace, after=after, within=self.principal.within)
        return while_confirmed(
            feed,
            partial(self.use_cases.confirm, self.principal),
            every_seconds=CONFIRMED_SECONDS,
        )

    def export(
        self, scope: Scope, *, vectors: bool = False, after: str | None = None
    ) -> AsyncGenerator[ExportRecord, None]:
        """Stream the memories of a scope; breaks off with `AccessDenied` when the key ends."""
        self.require(Operation.EXPORT, scope.namespace)
        records = self.use_cases.export(scope, vectors=vectors, after=after, caller=self.principal)
        return self._while_admitted(records, every=CONFIRMED_EVERY)

    async def import_lines(
        self, lines: LinesAfter, *, wait: Wait = Wait.STORED, job: str | None = None
    ) -> ImportReport:
        """Load lines; those that would go outside are reported as wrong."""
        self.require(Operation.IMPORT_LINES)

        def admitted(after: int, digest: str) -> AsyncIterator[ImportLine]:
            return self._while_admitted(lines(after, digest), every=CONFIRMED_EVERY)

        return await self.use_cases.import_lines(admitted, wait=wait, caller=self.principal, id=job)

    # --- Keys ------------------------------------------------------------------------------------

    async def create_key(
        self,
        *,
        name: str,
        permission: Permission,
        namespace: Namespace | None = None,
        expires_at: datetime | None = None,
    ) -> CreatedKey:
        """Make a key; without a namespace it reaches as far as the principal."""
        root = namespace or self.principal.within
        self.require(Operation.CREATE_KEY, *([root] if root else []))
        if not self.principal.permission.includes(permission):
            raise Forbidden("a key cannot have more permissions than whoever makes it")
        return await self.use_cases.create_key(
            name=name,
            permission=permission,
            namespace=root,
            expires_at=expires_at,
            actor=self.principal.name,
        )

    async def list_keys(self, *, limit: int = 100, cursor: str | None = None) -> Page[ApiKey]:
        """List the keys bound inside the principal's subtree."""
        self.require(Operation.LIST_KEYS)
        return await self.use_cases.list_keys(
            within=self.principal.within, limit=limit, cursor=cursor
        )

    async def revoke_key(self, id: str) -> None:
        """End a key bound inside the principal's subtree."""
        self.require(Operation.REVOKE_KEY)
        await self.use_cases.revoke_key(id, within=self.principal.within, actor=self.principal.name)

    # --- Running it ------------------------------------------------------------------------------

    async def diagnose(self) -> list[Check]:
        """Ask everything Soma depends on whether it works."""
        self.require(Operation.DIAGNOSE)
        return await self.use_cases.diagnose()

    def shown_settings(self) -> Mapping[str, object]:
        """Return the settings in force, secrets masked."""
        self.require(Operation.DIAGNOSE)
        return self.use_cases.shown_settings

    async def pending(self, scope: Scope | None = None) -> int:
        """Count the vectors that are missing."""
        self.require(Operation.PENDING)
        return await self.use_cases.pending(scope)

    async def reindex(self, model: str | None = None, *, wait: bool = True) -> Job:
        """Queue every vector that is missing."""
        self.require(Operation.REINDEX)
        return await self.use_cases.reindex(model, wait=wait, actor=self.principal.name)

    async def reconcile(self, *, check: bool, wait: bool = True) -> Job:
        """Compare what is derived with the truth."""
        self.require(Operation.RECONCILE)
        return await self.use_cases.reconcile(check=check, wait=wait, actor=self.principal.name)

    async def backup(self, to: FilePath) -> Job:
        """Copy the whole store to a folder of this machine."""
        self.require(Operation.BACKUP)
        return await self.use_cases.backup(to, actor=self.principal.name)

    async def list_jobs(
        self,
        *,
        kind: JobKind | None = None,
        state: JobState | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Job]:
        """List the jobs of everybody."""
        self.require(Operation.LIST_JOBS)
        return await self.use_cases.list_jobs(kind=kind, state=state, limit=limit, cursor=cursor)

    async def show_job(self, id: str) -> Job:
        """Show a job of anybody."""
        self.require(Operation.SHOW_JOB)
        return await self.use_cases.show_job(id)

    async def cancel_job(self, id: str) -> Job:
        """Cancel a job of anybody."""
        self.require(Operation.CANCEL_JOB)
        return await self.use_cases.cancel_job(id)

    async def _while_admitted(
        self, items: AsyncIterator[T], *, every: int
    ) -> AsyncGenerator[T, None]:
        """Pass items on for as long as the principal's key works."""
        passed = 0
        try:
            async for item in items:
                if passed % every == 0:
                    await self.use_cases.confirm(self.principal)
                passed += 1
                yield item
        finally:
            if isinstance(items, AsyncGenerator):
                await items.aclose()
