"""Decide what each draft becomes: a new memory, a new version of a known one, or nothing new."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from application.indexing.models import Models
from domain.draft import Draft, Remembered
from domain.errors import DimensionMismatch, InvalidInput, TooLarge
from domain.memory import Limits, Memory, MemoryId
from domain.namespace import Namespace, NamespacePolicy
from domain.ports import GIVEN, Embedding, IdempotencyRecord, Transaction
from domain.revision import Checks, changed_fields, new_memory, stored_again, text_changed
from domain.vector import EmbeddingModel, Role, Vector, unit_vector

Coordinate = tuple[float, ...]


@dataclass
class Plan:
    """What one transaction will write, and what it will answer."""

    order: list[MemoryId] = field(default_factory=list)
    known: list[bool] = field(default_factory=list)
    added: dict[MemoryId, Memory] = field(default_factory=dict)
    replaced: dict[MemoryId, Memory] = field(default_factory=dict)
    unchanged: dict[MemoryId, Memory] = field(default_factory=dict)
    changed: dict[MemoryId, tuple[str, ...]] = field(default_factory=dict)
    vectors: dict[MemoryId, Vector] = field(default_factory=dict)
    unindexed: list[MemoryId] = field(default_factory=list)
    namespaces: set[Namespace] = field(default_factory=set)
    model: EmbeddingModel | None = None

    @classmethod
    def replayed(cls, memories: Sequence[Memory], pending: list[MemoryId]) -> Plan:
        """Return the plan of a request that was carried out before: nothing to write."""
        return cls(
            order=[m.id for m in memories],
            known=[False] * len(memories),
            unchanged={m.id: m for m in memories},
            unindexed=pending,
        )

    def memory(self, id: MemoryId) -> Memory:
        """Return a memory as it will be."""
        return self.added.get(id) or self.replaced.get(id) or self.unchanged[id]

    def settle(self, memory: Memory, *, new: bool) -> None:
        """Put the final form of a memory in its place."""
        (self.added if new else self.replaced)[memory.id] = memory

    def rewritten(self) -> dict[MemoryId, Memory]:
        """Return the memories whose indexed text is new."""
        revised = {id: m for id, m in self.replaced.items() if text_changed(self.changed[id])}
        return {**self.added, **revised}

    def divided(self, sizes: Sequence[int]) -> list[Plan]:
        """Return the plan of each of several requests that were planned as one."""
        parts, start = [], 0
        for size in sizes:
            chosen = slice(start, start + size)
            part = replace(self, order=self.order[chosen], known=self.known[chosen])
            parts.append(part)
            start += size
        return parts

    def receipt(self, request_hash: str) -> IdempotencyRecord:
        """Return what an idempotency key will stand for."""
        versions = tuple(self.memory(id).version for id in self.order)
        return IdempotencyRecord(request_hash, tuple(self.order), versions)

    def results(self, *, indexed: bool) -> list[Remembered]:
        """Return the answers, in the order of the drafts."""
        missing = set() if indexed else set(self.unindexed)
        return [
            Remembered(self.memory(id), id not in missing, known)
            for id, known in zip(self.order, self.known, strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class Planner:
    """Coordinate beats content: a place is one memory; else equal content is one memory."""

    models: Models
    new_id: Callable[[], MemoryId]
    limits: Limits

    async def model(self, tx: Transaction) -> EmbeddingModel:
        """Return the model that given vectors must match."""
        return (await self.models.serving(tx)).model

    async def plan(self, tx: Transaction, drafts: Sequence[Draft], at: datetime) -> Plan:
        """Check all drafts and look up what they repeat; counters must be locked."""
        checks = Checks(self.limits, at)
        policies = {}
        for path in dict.fromkeys(Namespace(d.namespace) for d in drafts):
            policies[path] = await tx.namespaces.policy(path)
        given = any(draft.vector is not None for draft in drafts)
        model = await self.model(tx) if given else None
        checked = [
            self._checked(index, draft, _Rules(checks, policies[Namespace(draft.namespace)], model))
            for index, draft in enumerate(drafts)
        ]
        plan = Plan(model=model)
        lookup = await _Known.read(tx, [candidate for candidate, _ in checked], drafts)
        for draft, (candidate, vector) in zip(drafts, checked, strict=True):
            rules = _Rules(checks, policies[candidate.namespace], model)
            settled = self._place(plan, lookup, draft, candidate, rules)
            if vector is not None:
                plan.vectors[settled.id] = vector
        return plan

    def given_embeddings(self, plan: Plan) -> list[Embedding]:
        """Return the vectors that callers brought along."""
        model = "" if plan.model is None else plan.model.id
        return [
            Embedding(id, plan.memory(id).version, Role.OWN, model, GIVEN, vector)
            for id, vector in plan.vectors.items()
        ]

    def _checked(self, index: int, draft: Draft, rules: _Rules) -> tuple[Memory, Vector | None]:
        try:
            vector = None
            if draft.vector is not None and rules.model is not None:
                vector = checked_vector(draft.vector, rules.model)
            memory = new_memory(draft, id=self.new_id(), checks=rules.checks, policy=rules.policy)
            return memory, vector
        except (InvalidInput, TooLarge) as error:
            raise error.within(f"memories[{index}]") from error

    def _place(
        self,
        plan: Plan,
        lookup: _Known,
        draft: Draft,
        candidate: Memory,
        rules: _Rules,
    ) -> Memory:
        stored = lookup.find(draft, candidate)
        if stored is None:
            plan.added[candidate.id] = candidate
            settled = candidate
        else:
            settled = self._again(plan, lookup, stored, draft, rules)
        lookup.keep(settled)
        plan.order.append(settled.id)
        plan.known.append(stored is not None)
        return settled

    @staticmethod
    def _again(
        plan: Plan,
        lookup: _Known,
        stored: Memory,
        draft: Draft,
        rules: _Rules,
    ) -> Memory:
        merged = stored_again(stored, draft, checks=rules.checks, policy=rules.policy)
        if stored.id in plan.added:
            # Twice in one batch: the transaction is one version, whatever it took to write it.
            plan.added[stored.id] = _at_version(merged, 1)
            return plan.added[stored.id]
        original = lookup.originals[stored.id]
        changed = changed_fields(original, merged)
        if not changed:
            plan.replaced.pop(stored.id, None)
            plan.unchanged[stored.id] = original
            return original
        plan.changed[stored.id] = changed
        plan.replaced[stored.id] = _at_version(merged, original.version + 1)
        return plan.replaced[stored.id]


@dataclass(frozen=True, slots=True)
class _Rules:
    """What one draft is measured against."""

    checks: Checks
    policy: NamespacePolicy
    model: EmbeddingModel | None


@dataclass
class _Known:
    """Live memories that drafts may repeat, kept current while a batch is planned."""

    by_content: dict[tuple[Namespace, str], Memory]
    by_coordinate: dict[tuple[Namespace, Coordinate], Memory]
    originals: dict[MemoryId, Memory]
    keys: dict[MemoryId, tuple[Namespace, str]]

    @classmethod
    async def read(
        cls, tx: Transaction, candidates: Sequence[Memory], drafts: Sequence[Draft]
    ) -> _Known:
        known = cls({}, {}, {}, {})
        hashes: dict[Namespace, list[str]] = {}
        places: dict[Namespace, list[Coordinate]] = {}
        for memory, draft in zip(candidates, drafts, strict=True):
            if memory.coordinate is not None:
                places.setdefault(memory.namespace, []).append(memory.coordinate)
            elif draft.deduplicate:
                hashes.setdefault(memory.namespace, []).append(memory.content_hash)
        for path, wanted in hashes.items():
            for content, memory in (await tx.memories.by_content(path, wanted)).items():
                known.by_content[path, content] = memory
                known.keys[memory.id] = (path, content)
                known.originals[memory.id] = memory
        for path, coordinates in places.items():
            for place, memory in (await tx.memories.by_coordinate(path, coordinates)).items():
                known.by_coordinate[path, place] = memory
                known.originals[memory.id] = memory
        return known

    def find(self, draft: Draft, candidate: Memory) -> Memory | None:
        if candidate.coordinate is not None:
            return self.by_coordinate.get((candidate.namespace, candidate.coordinate))
        if not draft.deduplicate:
            return None
        return self.by_content.get((candidate.namespace, candidate.content_hash))

    def keep(self, memory: Memory) -> None:
        """Let later drafts of the batch see `memory` as it will be."""
        key = (memory.namespace, memory.content_hash)
        before = self.keys.get(memory.id)
        if before is not None and before != key:
            self.by_content.pop(before, None)
        if self.by_content.setdefault(key, memory).id == memory.id:
            self.by_content[key] = memory
            self.keys[memory.id] = key
        if memory.coordinate is not None:
            self.by_coordinate[memory.namespace, memory.coordinate] = memory


def _at_version(memory: Memory, version: int) -> Memory:
    return replace(memory, version=version)


def checked_vector(values: Sequence[float], model: EmbeddingModel) -> Vector:
    """Return a given vector at unit length; raise when it has not the model's dimension."""
    if len(values) != model.dimension:
        raise DimensionMismatch("vector", expected=model.dimension, actual=len(values))
    return unit_vector(values)
