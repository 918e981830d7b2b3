"""The comparison of one shape: all systems side by side, each measure in turns."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from benchmarks.comparison.contestant import Contestant, Failed
from benchmarks.comparison.facts import facts
from benchmarks.comparison.filling import fill
from benchmarks.comparison.plan import Plan
from benchmarks.comparison.records import DONE, LEFT_OUT, Records
from benchmarks.comparison.shapes import EVERYTHING, Shape, keep_named
from benchmarks.comparison.workload import Workload
from benchmarks.measuring import percentile
from benchmarks.peers.system import BY_VECTOR

_WARM_UP = 5
_CROWD_ROUNDS = 2

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class _Asked:
    """What one system answered in one way with one filter."""

    ms: list[float] = field(default_factory=list)
    found: dict[int, list[int]] = field(default_factory=dict)

    def note(self, asked: Iterable[int], answer: dict[str, Any]) -> None:
        self.ms += answer["ms"]
        # A turn that ran out of time answers the first of its questions.
        self.found.update(zip(asked, answer["found"], strict=False))


class Race:
    """Runs one shape and records what it finds."""

    def __init__(
        self,
        plan: Plan,
        shape: Shape,
        folder: Path,
        records: Records,
        *,
        postgres_url: str | None,
    ) -> None:
        self._plan = plan
        self._shape = shape
        self._folder = folder
        self._records = records
        self._postgres_url = postgres_url
        self._workload = Workload(folder / "workload", shape)
        self._running: list[Contestant] = []
        self._exact: dict[str, list[list[int]]] = {}

    def run(self) -> None:
        """Measure every system that is not settled yet."""
        wanted = [
            name
            for name in self._plan.systems
            if not self._records.is_settled(str(self._shape), name)
        ]
        if not wanted:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        self._workload.make(self._plan.questions, self._plan.singles)
        self._records.add("machine", str(self._shape), "", **facts())
        limits = {name: value for name, value in asdict(self._plan).items() if name != "shapes"}
        self._records.add("plan", str(self._shape), "", options=limits)
        try:
            self._start(wanted)
            self._measure()
        finally:
            for contestant in self._running:
                contestant.stop()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _measure(self) -> None:
        self._fill()
        steps = {
            "single": self._store_singly,
            "reopen": self._reopen,
            "recall": self._recall,
            "crowd": self._crowds,
            "size": self._sizes,
        }
        for name in self._plan.measures:
            self._note(f"{self._shape}: {name}")
            steps[name]()
        for contestant in self._running:
            self._record(DONE, contestant)

    def _start(self, names: list[str]) -> None:
        for name in names:
            try:
                contestant = Contestant(
                    name, self._shape, self._folder, self._workload.folder, self._postgres_url
                )
            except Failed as failure:
                self._leave_out(name, str(failure))
                continue
            contestant.discard()
            self._running.append(contestant)
            opened = self._try(contestant, Contestant.start, self._plan.patience_seconds)
            if opened is not None:
                self._record("version", contestant, **opened["versions"])

    def _fill(self) -> None:
        self._note(f"{self._shape}: store")
        progress = fill(self._running, self._shape, self._plan, self._folder, self._drop)
        for contestant in list(self._running):
            state = progress[contestant.name]
            settled = self._ask(contestant, "settle")
            if settled is not None:
                self._record(
                    "store",
                    contestant,
                    memories=state.stored,
                    per_second=state.rate,
                    last_per_second=state.rates[-1],
                    loaded=state.loaded,
                    settle_seconds=settled["seconds"],
                    durable=contestant.durable,
                )

    def _store_singly(self) -> None:
        times: dict[str, list[float]] = {contestant.name: [] for contestant in self._running}
        for begin, count in _parts(self._plan.singles, self._plan.rounds):
            for contestant in list(self._running):
                first = self._shape.total + begin
                done = self._ask(contestant, "store_singly", first=first, count=count)
                times[contestant.name] += [] if done is None else done["ms"]
        for contestant in self._running:
            self._record("single", contestant, **_spread(times[contestant.name]))

    def _reopen(self) -> None:
        """Ask once, which may build what was put off; then start the process again, and ask."""
        durable = [contestant for contestant in self._running if contestant.durable]
        patience = self._plan.patience_seconds
        for contestant in durable:
            first = self._try(contestant, self._answers, BY_VECTOR, EVERYTHING, [0], patience)
            runs = []
            for _ in range(self._plan.reopens if first else 0):
                if (times := self._try(contestant, self._started_again)) is None:
                    break
                runs.append(times)
            if first and runs:
                middle = {name: percentile([run[name] for run in runs], 0.5) for name in runs[0]}
                self._record("reopen", contestant, n=len(runs), built_ms=first["ms"][0], **middle)

    def _started_again(self, contestant: Contestant) -> dict[str, float]:
        contestant.stop()
        started = time.perf_counter()
        opened = contestant.start(self._plan.patience_seconds)
        answer = self._answers(contestant, BY_VECTOR, EVERYTHING, [0], self._plan.patience_seconds)
        return {
            "cold_seconds": time.perf_counter() - started,
            "open_seconds": opened["seconds"],
            "first_ms": answer["ms"][0],
        }

    def _recall(self) -> None:
        """Ask in every way with every filter; where there are many namespaces, first the cold."""
        if self._shape.namespaces > 1:
            self._ask_all(BY_VECTOR, EVERYTHING, warm=False)
        ways = dict.fromkeys(way for contestant in self._running for way in contestant.ways)
        for way in ways:
            for keep in self._plan.keeps:
                self._ask_all(way, keep, warm=True)

    def _ask_all(self, way: str, keep: str, *, warm: bool) -> None:
        asked = {c.name: _Asked() for c in self._running if way in c.ways}
        seconds = self._plan.recall_seconds / self._plan.rounds
        for turn, (begin, count) in enumerate(_parts(self._plan.questions, self._plan.rounds)):
            numbers = list(range(begin, begin + count))
            for contestant in [c for c in self._running if way in c.ways]:
                if warm and turn == 0:
                    self._try(contestant, self._answers, way, keep, numbers[:_WARM_UP], seconds)
            for contestant in [c for c in self._running if way in c.ways]:
                answer = self._try(contestant, self._answers, way, keep, numbers, seconds)
                if answer is not None:
                    asked[contestant.name].note(numbers, answer)
        for contestant in [c for c in self._running if way in c.ways]:
            given = asked[contestant.name]
            found = self._share_found(keep, given.found)
            which = {"way": way, "keep": keep, "warm": warm}
            self._record("recall", contestant, **which, **_spread(given.ms), recall_at_k=found)

    def _answers(
        self, contestant: Contestant, way: str, keep: str, numbers: list[int], seconds: float
    ) -> dict[str, Any]:
        return contestant.ask(
            "recall",
            seconds + self._plan.patience_seconds,
            way=way,
            keep=keep,
            asked=numbers,
            k=self._plan.k,
            seconds=seconds,
        )

    def _crowds(self) -> None:
        """Let several clients ask at once, without a filter and with the narrowest."""
        for keep in self._plan.keeps[:2]:
            for clients in self._plan.clients:
                self._crowd({"way": BY_VECTOR, "keep": keep, "clients": clients})

    def _crowd(self, which: dict[str, object]) -> None:
        answers = {contestant.name: 0 for contestant in self._running}
        spent = {contestant.name: 0.0 for contestant in self._running}
        seconds = self._plan.crowd_seconds / _CROWD_ROUNDS
        for _ in range(_CROWD_ROUNDS):
            for contestant in list(self._running):
                done = self._ask(contestant, "crowd", **which, k=self._plan.k, seconds=seconds)
                if done is not None:
                    answers[contestant.name] += done["answers"]
                    spent[contestant.name] += done["seconds"]
        for contestant in self._running:
            rate = answers[contestant.name] / spent[contestant.name]
            self._record("crowd", contestant, **which, per_second=rate)

    def _sizes(self) -> None:
        for contestant in list(self._running):
            size = self._ask(contestant, "size")
            if size is not None:
                self._record("size", contestant, **size)

    def _share_found(self, keep: str, found: dict[int, list[int]]) -> float | None:
        """Return the share of the true nearest that was found; None where there is none."""
        if keep not in self._exact:
            among = self._shape.total
            if "single" in self._plan.measures:
                among += self._plan.singles
            self._exact[keep] = self._workload.exact(
                self._workload.questions(), keep_named(keep), self._plan.k, among
            )
        pairs = [(set(self._exact[keep][number]), set(hits)) for number, hits in found.items()]
        wanted = sum(len(true) for true, _ in pairs)
        return sum(len(true & hits) for true, hits in pairs) / wanted if wanted else None

    def _ask(self, contestant: Contestant, do: str, **arguments: object) -> dict[str, Any] | None:
        """Have a command carried out; None when that failed."""

        def ask(told: Contestant) -> dict[str, Any]:
            return told.ask(do, self._plan.patience_seconds, **arguments)

        return self._try(contestant, ask)

    def _try(
        self,
        contestant: Contestant,
        work: Callable[Concatenate[Contestant, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T | None:
        """Return what the work returns, or None after dropping a contestant that failed."""
        try:
            return work(contestant, *args, **kwargs)
        except Failed as failure:
            self._drop(contestant, str(failure))
            return None

    def _drop(self, contestant: Contestant, reason: str) -> None:
        self._running.remove(contestant)
        contestant.kill()
        contestant.discard()
        self._leave_out(contestant.name, reason)

    def _leave_out(self, name: str, reason: str) -> None:
        self._records.add(LEFT_OUT, str(self._shape), name, reason=reason)
        self._note(f"{self._shape}: {name} is left out: {reason}")

    def _record(self, measure: str, contestant: Contestant, **values: object) -> None:
        self._records.add(measure, str(self._shape), contestant.name, **values)

    @staticmethod
    def _note(text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def _parts(total: int, rounds: int) -> list[tuple[int, int]]:
    """Divide into at most so many (first, count)."""
    size = -(-total // rounds)
    return [(begin, min(size, total - begin)) for begin in range(0, total, size)]


def _spread(ms: list[float]) -> dict[str, object]:
    """Return how many there are and their percentiles."""
    shares = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
    return {"n": len(ms), **{name: percentile(ms, share) for name, share in shares.items()}}
