"""Store what several callers bring at the same time in one transaction."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from application.remember import RememberBatch
from application.storing.planning import Plan
from application.storing.request import Request
from application.storing.retrying import Retried
from domain.draft import Draft, Remembered, Wait
from domain.errors import ChangeCollided, InvalidInput, SomaError, StoreUnavailable, TooLarge
from domain.namespace import Namespace

_PLACE = re.compile(r"memories\[(\d+)\]")


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A request that came while another one was being stored."""

    request: Request
    answer: asyncio.Future[list[Remembered]]


def one_lane(_: Request) -> Hashable:
    """Let everything wait for everything: the store has one writer."""
    return None


def by_namespaces(request: Request) -> Hashable:
    """Let those wait for each other who would wait for the same counters."""
    return frozenset(draft.namespace for draft in request.drafts)


class RememberTogether:
    """As `RememberBatch`; requests that would have to queue for the store share a transaction.

    Nobody waits for company: who finds the lane free stores at once, and who comes meanwhile is
    stored with all others that came. Each request is whole or absent on its own: where one of a
    group is refused, it is asked alone for the reason, and the others are stored without it.
    """

    def __init__(self, batch: RememberBatch, lane: Callable[[Request], Hashable]) -> None:
        self._batch = batch
        self._lane = lane
        self._store = Retried(batch.stored)
        self._lanes: dict[Hashable, deque[_Waiting]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

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
        request = self._batch.request(
            drafts, wait=wait, actor=actor, idempotency_key=idempotency_key, within=within
        )
        lane = self._lane(request)
        if lane in self._lanes:
            waiting = _Waiting(request, asyncio.get_running_loop().create_future())
            self._lanes[lane].append(waiting)
            return await waiting.answer
        self._lanes[lane] = deque()
        try:
            plans = await self._store([request])
        finally:
            self._go_on(lane)
        return (await self._batch.finished([request], plans))[0]

    def _go_on(self, lane: Hashable) -> None:
        """Store the next group of those who wait, or leave the lane free."""
        group = _taken(self._lanes[lane], self._batch.batch_max)
        if not group:
            del self._lanes[lane]
            return
        task = asyncio.create_task(self._serve(lane, group))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, group))

    async def _serve(self, lane: Hashable, group: list[_Waiting]) -> None:
        try:
            outcomes = await self._each(group)
        finally:
            self._go_on(lane)
        done = []
        for one, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, Plan):
                done.append((one, outcome))
            elif not one.answer.done():
                one.answer.set_exception(outcome)
        if done:
            waiting, plans = zip(*done, strict=True)
            answers = await self._batch.finished([one.request for one in waiting], plans)
            for one, answer in zip(waiting, answers, strict=True):
                if not one.answer.done():
                    one.answer.set_result(answer)

    def _ended(self, task: asyncio.Task[None], group: list[_Waiting]) -> None:
        """Let nobody wait for ever, whatever the group has ended with."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        for one in group:
            if not one.answer.done():
                if error is None:
                    one.answer.cancel()
                else:
                    one.answer.set_exception(error)

    async def _each(self, group: list[_Waiting]) -> list[Plan | SomaError]:
        """Store a group and return the plan of each, or what each is refused with."""
        outcomes: dict[_Waiting, Plan | SomaError] = {}
        left = list(group)
        while len(left) > 1:
            try:
                plans = await self._store([one.request for one in left])
            except (InvalidInput, TooLarge) as error:
                culprit = _culprit(left, error.field)
                if culprit is None:
                    break
                outcomes[culprit] = await self._alone(culprit)
                left.remove(culprit)
            except ChangeCollided:
                break
            except StoreUnavailable as error:
                return [outcomes.get(one, error) for one in group]
            except SomaError:
                break
            else:
                outcomes.update(zip(left, plans, strict=True))
                left = []
        for one in left:
            outcomes[one] = await self._alone(one)
        return [outcomes[one] for one in group]

    async def _alone(self, one: _Waiting) -> Plan | SomaError:
        try:
            return (await self._store([one.request]))[0]
        except SomaError as error:
            return error


def _taken(waiting: deque[_Waiting], drafts_max: int) -> list[_Waiting]:
    """Take as many from the front as can be stored as if one came after the other."""
    group: list[_Waiting] = []
    taken: set[tuple[str, str]] = set()
    count = 0
    while waiting:
        one = waiting[0]
        if one.answer.done():
            # Its caller has gone.
            waiting.popleft()
            continue
        request = one.request
        own = {(draft.namespace, draft.content) for draft in request.drafts}
        if request.key is not None:
            own.add((request.actor, f"key {request.key}"))
        if group and not (
            _go_together(group[0].request, request)
            and count + len(request.drafts) <= drafts_max
            and taken.isdisjoint(own)
        ):
            break
        group.append(waiting.popleft())
        taken |= own
        count += len(request.drafts)
    return group


def _go_together(first: Request, other: Request) -> bool:
    """Tell whether two requests may share a plan: a place may be taken twice, contents are told."""
    alike = (first.actor, first.wait, first.within) == (other.actor, other.wait, other.within)
    return alike and not any(
        draft.coordinate is not None for one in (first, other) for draft in one.drafts
    )


def _culprit(group: Sequence[_Waiting], field: str) -> _Waiting | None:
    """Return whose memory a refusal names."""
    place = _PLACE.match(field)
    if place is None:
        return None
    index = int(place[1])
    for one in group:
        index -= len(one.request.drafts)
        if index < 0:
            return one
    return None
