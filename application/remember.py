"""Store memories: check, find what is already known, and commit everything or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from application.indexing import Indexer
from application.planning import Plan, Planner
from application.sequencing import Sequencer
from application.subtree import seen_from
from domain.draft import Draft, NewLink, Remembered, Wait
from domain.errors import IdempotencyConflict, InvalidInput, MemoryNotFound, TooLarge
from domain.events import EventType
from domain.link import Link, check_link_type, check_weight
from domain.memory import Limits, Memory, MemoryId, check_payload, checked_text
from domain.namespace import Namespace, parse_namespace, root_of
from domain.ports import CanonicalStore, EventBus, Transaction

BATCH_MAX = 1000
LINKS_PER_MEMORY_MAX = 64
IDEMPOTENCY_KEY_LENGTH_MAX = 255


@dataclass(frozen=True, kw_only=True)
class RememberBatch:
    """Store up to `batch_max` memories in one transaction.

    Raises `InvalidInput` naming `memories[i].field`, `TooLarge`, `IdempotencyConflict`, and
    `MemoryNotFound` for the unknown end of a link. Then nothing is stored.
    """

    store: CanonicalStore
    planner: Planner
    indexer: Indexer
    bus: EventBus
    now: Callable[[], datetime]
    new_event_id: Callable[[], str]
    limits: Limits
    batch_max: int = BATCH_MAX

    async def __call__(
        self,
        drafts: Sequence[Draft],
        *,
        wait: Wait = Wait.INDEXED,
        actor: str,
        idempotency_key: str | None = None,
        within: Namespace | None = None,
    ) -> list[Remembered]:
        """Store drafts and return what became of each, in order; links reach `within` only."""
        if not 1 <= len(drafts) <= self.batch_max:
            raise InvalidInput("memories", f"must hold 1 to {self.batch_max} memories")
        request = Request(drafts, actor, check_idempotency_key(idempotency_key))
        async with seen_from(self.store, within).writing() as tx:
            plan = await self._replay(tx, request)
            if plan is None:
                plan = await self._record(tx, request, wait)
        await self.bus.publish(plan.namespaces)
        indexed = not plan.unindexed
        if wait is Wait.INDEXED and plan.unindexed:
            indexed = await self.indexer.fill(plan.unindexed)
        return plan.results(indexed=indexed)

    async def _replay(self, tx: Transaction, request: Request) -> Plan | None:
        """Return the earlier answer of an idempotency key that was used before."""
        if request.key is None:
            return None
        record = await tx.idempotency.find(request.actor, request.key)
        if record is None:
            return None
        if record.request_hash != request.fingerprint:
            raise IdempotencyConflict(request.key)
        memories = await tx.memories.get(record.memory_ids)
        for id in record.memory_ids:
            if id not in memories:
                raise MemoryNotFound(id)
        active = (await self.indexer.models.state(tx)).active
        pending = [
            id
            for id in dict.fromkeys(record.memory_ids)
            if await tx.embeddings.pending(active, [id])
        ]
        return Plan.replayed([memories[id] for id in record.memory_ids], pending)

    async def _record(self, tx: Transaction, request: Request, wait: Wait) -> Plan:
        at = self.now()
        targets = await self._targets(tx, request.drafts)
        locked = _namespaces(request.drafts) | {memory.namespace for memory in targets.values()}
        sequencer = Sequencer(await tx.feed.lock(locked), at, self.new_event_id)
        plan = await self.planner.plan(tx, request.drafts, at)
        revised = list(plan.replaced)
        before = await tx.memories.session_places(revised) if revised else {}
        self._sequence(plan, sequencer)
        if plan.added:
            await tx.memories.add(list(plan.added.values()), actor=request.actor)
        if plan.replaced:
            await tx.memories.replace(list(plan.replaced.values()), actor=request.actor)
        await self._link(tx, request.drafts, plan, targets, sequencer)
        plan.unindexed = await self.indexer.refresh(
            tx,
            sequencer,
            rewritten=plan.rewritten(),
            given=frozenset(plan.vectors),
            once_beside=[e for p in before.values() for e in (p.previous, p.next) if e],
            wait=wait,
        )
        if plan.vectors:
            await tx.embeddings.store(self.planner.given_embeddings(plan))
        await tx.feed.append(sequencer.events)
        if request.key is not None:
            await tx.idempotency.add(
                request.actor, request.key, plan.receipt(request.fingerprint), at=at
            )
        plan.namespaces = locked
        return plan

    @staticmethod
    def _sequence(plan: Plan, sequencer: Sequencer) -> None:
        for id, memory in plan.added.items():
            seq = sequencer.note(memory, EventType.REMEMBERED)
            plan.settle(replace(memory, seq=seq), new=True)
            assert id == memory.id
        for memory in plan.replaced.values():
            seq = sequencer.note(memory, EventType.REVISED, changed=plan.changed[memory.id])
            plan.settle(replace(memory, seq=seq), new=False)
        for id in plan.vectors:
            if id in plan.unchanged:
                sequencer.note(plan.unchanged[id], EventType.EMBEDDED, changed=("own",))

    @staticmethod
    async def _targets(tx: Transaction, drafts: Sequence[Draft]) -> dict[MemoryId, Memory]:
        wanted = list(dict.fromkeys(link.target for d in drafts for link in d.links))
        found = await tx.memories.get(wanted) if wanted else {}
        for id in wanted:
            if id not in found:
                raise MemoryNotFound(id)
        return found

    async def _link(
        self,
        tx: Transaction,
        drafts: Sequence[Draft],
        plan: Plan,
        targets: dict[MemoryId, Memory],
        sequencer: Sequencer,
    ) -> None:
        at = self.now()
        links = []
        for index, (draft, id) in enumerate(zip(drafts, plan.order, strict=True)):
            source = plan.memory(id)
            if len(draft.links) > LINKS_PER_MEMORY_MAX:
                raise InvalidInput(
                    f"memories[{index}].links", f"holds more than {LINKS_PER_MEMORY_MAX} links"
                )
            for place, new in enumerate(draft.links):
                target = targets[new.target]
                try:
                    link = self._checked_link(new, source, target, at)
                except (InvalidInput, TooLarge) as error:
                    raise error.within(f"memories[{index}].links[{place}]") from error
                seq = sequencer.note_link(link, source, target, EventType.LINKED)
                links.append(replace(link, seq=seq))
        if links:
            await tx.links.put(links)

    def _checked_link(self, new: NewLink, source: Memory, target: Memory, at: datetime) -> Link:
        if source.id == target.id:
            raise InvalidInput("target", "is the memory itself")
        check_same_root(source.namespace, target.namespace)
        return Link(
            source=source.id,
            target=target.id,
            type=check_link_type(new.type),
            weight=check_weight(new.weight),
            properties=check_payload(new.properties, self.limits, "properties"),
            created_at=at,
            seq=0,
        )


@dataclass(frozen=True, kw_only=True)
class Remember:
    """Store one memory. Raises as `RememberBatch` does, naming the bare field."""

    batch: RememberBatch

    async def __call__(
        self,
        draft: Draft,
        *,
        wait: Wait = Wait.INDEXED,
        actor: str,
        idempotency_key: str | None = None,
        within: Namespace | None = None,
    ) -> Remembered:
        """Store a draft and return what became of it."""
        try:
            results = await self.batch(
                (draft,),
                wait=wait,
                actor=actor,
                idempotency_key=idempotency_key,
                within=within,
            )
        except (InvalidInput, TooLarge) as error:
            raise error.without("memories[0]") from error
        return results[0]


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, by whom, under which idempotency key."""

    drafts: Sequence[Draft]
    actor: str
    key: str | None

    @property
    def fingerprint(self) -> str:
        """Return a hash that is equal for equal requests."""
        return hashlib.sha256(
            repr(list(self.drafts)).encode("utf-8", "backslashreplace")
        ).hexdigest()


def check_same_root(source: Namespace, target: Namespace) -> None:
    """Refuse a link between different tenants."""
    if root_of(source) != root_of(target):
        raise InvalidInput(
            "target", "is in another tenant (first namespace segment) than the source"
        )


def check_idempotency_key(key: str | None) -> str | None:
    """Return a key of 1 to 255 characters."""
    if (
        key is not None
        and not 1 <= len(checked_text(key, "Idempotency-Key")) <= IDEMPOTENCY_KEY_LENGTH_MAX
    ):
        raise InvalidInput(
            "Idempotency-Key", f"must have 1 to {IDEMPOTENCY_KEY_LENGTH_MAX} characters"
        )
    return key


def _namespaces(drafts: Sequence[Draft]) -> set[Namespace]:
    """Parse each namespace once; a problem names the first memory that has it."""
    first: dict[str, int] = {}
    for index, draft in enumerate(drafts):
        first.setdefault(draft.namespace, index)
    return {parse_namespace(path, f"memories[{index}].namespace") for path, index in first.items()}
