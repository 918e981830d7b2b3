"""What a process knows of memories never differs from what the store says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from application.recalling.knowing import TURN_SECONDS, Held, Known
from domain.events import FeedPosition
from domain.memory import Memory, MemoryId
from domain.namespace import Namespace, NamespacePolicy, Scope, ScopeKind
from domain.ports import Standing
from tests.contracts.store_fixtures import HOME, a_memory, exactly

SCOPES = (Scope(HOME), Scope(Namespace("acme/bob")), Scope(Namespace("acme"), ScopeKind.SUBTREE))


@dataclass
class Clock:
    """A clock that is set by hand."""

    now: float = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@dataclass
class Store:
    """Live memories and heads, as a store has them."""

    live: dict[MemoryId, Memory] = field(default_factory=dict)
    heads: dict[Namespace, int] = field(default_factory=dict)
    epoch: str = "first"
    bodies_read: int = 0

    def move(self, namespace: Namespace) -> None:
        """Note an event."""
        self.heads[namespace] = self.heads.get(namespace, 0) + 1

    def position(self, scope: Scope) -> FeedPosition:
        """Return the sum of the heads."""
        return FeedPosition(
            self.epoch, sum(head for path, head in self.heads.items() if scope.contains(path))
        )

    def standing(self, scope: Scope, held: Held) -> Standing:
        """Hold a claim against what there is."""
        now, claim = self.position(scope), held.claim
        asked = dict(claim.others) if now == claim.seen_at else {**claim.sure, **claim.others}
        there = {
            id: self.live[id]
            for id in asked
            if id in self.live and scope.contains(self.live[id].namespace)
        }
        changed = {id: one for id, one in there.items() if one.version != asked[id]}
        self.bodies_read += len(changed)
        return Standing(
            position=now,
            versions={id: one.version for id, one in there.items()},
            changed=changed,
            policy=NamespacePolicy(),
            fact=None,
        )


class KnowingMachine(RuleBasedStateMachine):
    """Changes memories and asks for them, several questions under way at once."""

    @initialize(budget=st.sampled_from([0, 4000, 1_000_000]))
    def begin(self, budget: int) -> None:
        """Start with a few memories."""
        self.clock, self.store = Clock(), Store()
        self.known = Known(self.clock, budget_bytes=budget)
        self.ids: list[MemoryId] = []
        self.under_way: list[tuple[Scope, Held, Standing, dict[MemoryId, Memory]]] = []
        for path in (HOME, Namespace("acme/bob")):
            for _ in range(3):
                self.add(path)

    @rule(path=st.sampled_from([HOME, Namespace("acme/bob")]))
    def add(self, path: Namespace) -> None:
        """Store a memory."""
        memory = a_memory(namespace=path)
        self.store.live[memory.id] = memory
        self.ids.append(memory.id)
        self.store.move(path)

    @rule(data=st.data(), erase=st.booleans())
    def remove(self, data: st.DataObject, erase: bool) -> None:
        """Forget or erase a memory."""
        id = data.draw(st.sampled_from(self.ids))
        memory = self.store.live.pop(id, None)
        if memory is not None:
            self.store.move(memory.namespace)
        if erase:
            self.known.drop([id])

    @rule(data=st.data())
    def revise(self, data: st.DataObject) -> None:
        """Make a new version."""
        id = data.draw(st.sampled_from(self.ids))
        memory = self.store.live.get(id)
        if memory is not None:
            self.store.live[id] = replace(memory, version=memory.version + 1, content="new")
            self.store.move(memory.namespace)

    @rule(seconds=st.sampled_from([1.0, TURN_SECONDS, 3 * TURN_SECONDS]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now += seconds

    @rule()
    def restore(self) -> None:
        """Begin another epoch."""
        self.store.epoch += "'"

    @rule(scope=st.sampled_from(SCOPES), data=st.data())
    def ask(self, scope: Scope, data: st.DataObject) -> None:
        """Begin a question; the store answers at once, and what was true then is noted."""
        ids = data.draw(st.lists(st.sampled_from(self.ids), unique=True, max_size=6))
        held = self.known.held(scope, ids)
        truth = {
            id: self.store.live[id]
            for id in ids
            if id in self.store.live and scope.contains(self.store.live[id].namespace)
        }
        self.under_way.append((scope, held, self.store.standing(scope, held), truth))

    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        """End one of the questions, in any order."""
        if not self.under_way:
            return
        place = data.draw(st.integers(0, len(self.under_way) - 1))
        scope, held, standing, truth = self.under_way.pop(place)
        assert self.known.verified(scope, held, standing) == truth

    @invariant()
    def gives_what_the_store_has(self) -> None:
        """Asked now, it answers as the store does."""
        for scope in SCOPES:
            held = self.known.held(scope, self.ids)
            found = self.known.verified(scope, held, self.store.standing(scope, held))
            assert found == {
                id: memory
                for id, memory in self.store.live.items()
                if scope.contains(memory.namespace)
            }


TestKnowing = KnowingMachine.TestCase


def asking(known: Known, store: Store) -> Callable[[MemoryId], dict[MemoryId, Memory]]:
    """Return how to ask for one memory of the usual scope."""

    def ask(id: MemoryId) -> dict[MemoryId, Memory]:
        held = known.held(exactly(), [id])
        return known.verified(exactly(), held, store.standing(exactly(), held))

    return ask


def test_reads_a_memory_once_while_it_stays_as_it_is() -> None:
    clock, store, memory = Clock(), Store(), a_memory()
    store.live[memory.id] = memory
    ask = asking(Known(clock, budget_bytes=1_000_000), store)

    for _ in range(5):
        assert ask(memory.id) == {memory.id: memory}
        store.move(HOME)

    assert store.bodies_read == 1


def test_lets_go_of_what_nobody_asks_for() -> None:
    clock, store = Clock(), Store()
    asked, left = a_memory("asked"), a_memory("left")
    store.live.update({asked.id: asked, left.id: left})
    known = Known(clock, budget_bytes=1_000_000)
    ask = asking(known, store)
    ask(left.id)
    ask(asked.id)

    for _ in range(3):
        clock.now += TURN_SECONDS
        ask(asked.id)

    assert known.held(exactly(), [asked.id, left.id]).memories == {asked.id: asked}


def test_does_not_take_back_what_was_erased_while_the_store_was_asked() -> None:
    store, memory = Store(), a_memory()
    store.live[memory.id] = memory
    known = Known(Clock(), budget_bytes=1_000_000)
    held = known.held(exactly(), [memory.id])
    standing = store.standing(exactly(), held)

    known.drop([memory.id])

    assert known.verified(exactly(), held, standing) == {memory.id: memory}
    assert known.held(exactly(), [memory.id]).memories == {}


def test_keeps_no_more_than_its_budget() -> None:
    store = Store()
    known = Known(Clock(), budget_bytes=20_000)
    ask = asking(known, store)
    memories = [a_memory(f"memory {number}") for number in range(100)]
    for memory in memories:
        store.live[memory.id] = memory
        ask(memory.id)

    assert len(known.held(exactly(), [one.id for one in memories]).memories) * 1500 <= 20_000
