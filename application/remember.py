"""Store memories: check, find what is already known, and commit everything or nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from application.access.subtree import seen_from
from application.indexing.indexer import Indexer
from application.storing.planning import Plan, Planner
from application.storing.request import Request, check_idempotency_key, check_nesting
from application.storing.sequencing import Sequencer
from application.tracing import current_trace
from domain.draft import Draft, NewLink, Remembered, Wait
from domain.errors import IdempotencyConflict, InvalidInput, MemoryNotFound, TooLarge
from domain.events import EventType
from domain.link import Link, check_link_type, check_weight
from domain.memory import Limits, Memory, MemoryId, check_payload
from domain.namespace import Namespace, parse_namespace, root_of
from domain.ports import CanonicalStore, EventBus, Transaction

BATCH_MAX = 1000
LINKS_PER_MEMORY_MAX = 64


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
        request = self.request(
            drafts, wait=wait, actor=actor, idempotency_key=idempotency_key, within=within
        )
        return (await self.finished([request], await self.stored([request])))[0]

    def request(
        self,
        drafts: Sequence[Draft],
        *,
        wait: Wait,
        actor: str,
        idempotency_key: str | None,
        within: Namespace | None = None,
    ) -> Request:
        """Return what is asked; raise `InvalidInput` for what no store needs to be asked about."""
        if not 1 <= len(drafts) <= self.batch_max:
            raise InvalidInput("memories", f"must hold 1 to {self.batch_max} memories")
        key = check_idempotency_key(idempotency_key)
        if key is not None:  # and with it a fingerprint, before the drafts themselves are looked at
            check_nesting(drafts)
        return Request(drafts, actor, key, wait, current_trace(), within)

    async def stored(self, requests: Sequence[Request]) -> list[Plan]:
        """Store everything in one transaction, or nothing; return the plan of each request.

        The requests have actor, subtree and wait in common, and no two of them the same content. A
        refusal names `memories[i]`, counted over all of them.
        """
        async with seen_from(self.store, requests[0].within).writing() as tx:
            plans = [await self._replay(tx, request) for request in requests]
            new = [request for request, plan in zip(requests, plans, strict=True) if plan is None]
            if new:
                whole = await self._record(tx, new)
                recorded = iter(whole.divided([len(request.drafts) for request in new]))
                plans = [plan or next(recorded) for plan in plans]
                await self._keep_keys(tx, requests, plans)
        await self.bus.publish({path for plan in plans if plan for path in plan.namespaces})
        return [plan for plan in plans if plan]

    async def finished(
        self, requests: Sequence[Request], plans: Sequence[Plan]
    ) -> list[list[Remembered]]:
        """Wait for what the requests wait for, all together; return the answer to each."""
        missing = list(dict.fromkeys(id for plan in plans for id in plan.unindexed))
        indexed = not missing
        if missing and requests[0].wait is Wait.INDEXED:
            indexed = await self.indexer.fill(missing)
        return [plan.results(indexed=indexed) for plan in plans]

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

    async def _keep_keys(
        self, tx: Transaction, requests: Sequence[Request], plans: Sequence[Plan | None]
    ) -> None:
        """Note what each idempotency key stands for from now on."""
        at = self.now()
        for request, plan in zip(requests, plans, strict=True):
            if request.key is not None and plan is not None and plan.namespaces:
                receipt = plan.receipt(request.fingerprint)
                await tx.idempotency.add(request.actor, request.key, receipt, at=at)

    async def _record(self, tx: Transaction, requests: Sequence[Request]) -> Plan:
        at, actor = self.now(), requests[0].actor
        drafts = [draft for request in requests for draft in request.drafts]
        targets = await self._targets(tx, drafts)
        locked = _namespaces(drafts) | {memory.namespace for memory in targets.values()}
        sequencer = Sequencer(await tx.feed.lock(locked), at, self.new_event_id)
        plan = await self.planner.plan(tx, drafts, at)
        sequencer.traces = _traces(requests, plan)
        revised = list(plan.replaced)
        before = await tx.memories.session_places(revised) if revised else {}
        self._sequence(plan, sequencer)
        if plan.added:
            await tx.memories.add(list(plan.added.values()), actor=actor)
        if plan.replaced:
            await tx.memories.replace(list(plan.replaced.values()), actor=actor)
        await self._link(tx, drafts, plan, targets, sequencer)
        plan.unindexed = await self.indexer.refresh(
            tx,
            sequencer,
            rewritten=plan.rewritten(),
            given=frozenset(plan.vectors),
            once_beside=[e for p in before.values() for e in (p.previous, p.next) if e],
            wait=requests[0].wait,
        )
        if plan.vectors:
            await tx.embeddings.store(self.planner.given_embeddings(plan))
        await tx.feed.append(sequencer.events)
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

    batch: Callable[..., Awaitable[list[Remembered]]]

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


def check_same_root(source: Namespace, target: Namespace) -> None:
    """Refuse a link between different tenants."""
    if root_of(source) != root_of(target):
        raise InvalidInput(
            "target", "is in another tenant (first namespace segment) than the source"
        )


def _traces(requests: Sequence[Request], plan: Plan) -> dict[MemoryId, str | None]:
    """Say which trace each memory belongs to."""
    each = [request.trace for request in requests for _ in request.drafts]
    return dict(zip(plan.order, each, strict=True))


def _namespaces(drafts: Sequence[Draft]) -> set[Namespace]:
    """Parse each namespace once; a problem names the first memory that has it."""
    first: dict[str, int] = {}
    for index, draft in enumerate(drafts):
        first.setdefault(draft.namespace, index)
    return {parse_namespace(path, f"memories[{index}].namespace") for path, index in first.items()}
