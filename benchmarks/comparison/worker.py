"""The process of one system: reads commands as JSON lines, answers each with one.

What a system prints goes to standard error, so that it cannot mix with the answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.comparison.shapes import Keep, keep_named, parse
from benchmarks.comparison.systems import SYSTEMS
from benchmarks.comparison.workload import Item, Question, Workload
from benchmarks.peers.system import Place, System

Answer = dict[str, Any]


class Worker:
    """Carries out commands on one system."""

    def __init__(self, system: System, workload: Workload, distribution: str) -> None:
        self._system = system
        names = (distribution, "numpy")
        self._versions = {"python": platform.python_version()} | {n: version(n) for n in names}
        self._workload = workload
        self._questions: list[Question] = []

    async def open(self) -> Answer:
        """Open the system and say what it is."""
        started = time.perf_counter()
        await self._system.open()
        seconds = time.perf_counter() - started
        self._questions = self._workload.questions()
        system = self._system
        return {
            "seconds": seconds,
            "durable": system.durable,
            "ways": list(system.ways),
            "has_loader": system.has_loader,
            "versions": self._versions,
        }

    async def store(self, first: int, count: int, batch: int) -> Answer:
        """Store memories in batches; only the calls are timed."""
        return await self._filled(self._system.store_batch, first, count, batch)

    async def load(self, first: int, count: int, batch: int) -> Answer:
        """Bring memories in past the interface."""
        return await self._filled(self._system.load, first, count, batch)

    async def _filled(
        self, call: Callable[[list[Item]], Awaitable[None]], first: int, count: int, batch: int
    ) -> Answer:
        seconds = 0.0
        for items in self._workload.items(first, count, batch):
            started = time.perf_counter()
            await call(items)
            seconds += time.perf_counter() - started
        return {"seconds": seconds}

    async def store_singly(self, first: int, count: int) -> Answer:
        """Store memories one by one."""
        times = []
        for (item,) in self._workload.items(first, count, 1):
            started = time.perf_counter()
            await self._system.store_one(item)
            times.append(1000 * (time.perf_counter() - started))
        return {"ms": times}

    async def settle(self) -> Answer:
        """Let the system do what follows a large load."""
        started = time.perf_counter()
        await self._system.settle()
        return {"seconds": time.perf_counter() - started}

    async def recall(
        self, way: str, keep: str, asked: Sequence[int], k: int, seconds: float
    ) -> Answer:
        """Ask one question after the other until all are asked or the time is up."""
        kept, times, names = keep_named(keep), [], []
        until = time.perf_counter() + seconds
        for number in asked:
            question = self._questions[number]
            started = time.perf_counter()
            names.append(await self._system.recall(question, kept, way=way, k=k))
            ended = time.perf_counter()
            times.append(1000 * (ended - started))
            if ended > until:
                break
        found = [await self._system.numbers(called) for called in names]
        return {"ms": times, "found": found}

    async def crowd(self, way: str, keep: str, clients: int, k: int, seconds: float) -> Answer:
        """Let so many clients ask at once for so long."""
        kept = keep_named(keep)
        started = time.perf_counter()
        ending = started + seconds
        if self._system.blocking:
            answers = await asyncio.to_thread(self._threads, way, kept, clients, k, ending)
        else:
            each = (self._client(way, kept, place, k, ending) for place in range(clients))
            answers = sum(await asyncio.gather(*each))
        return {"answers": answers, "seconds": time.perf_counter() - started}

    async def _client(self, way: str, keep: Keep | None, place: int, k: int, ending: float) -> int:
        answers = 0
        while time.perf_counter() < ending:
            # Neighbouring clients ask different questions.
            question = self._questions[(17 * place + answers) % len(self._questions)]
            await self._system.recall(question, keep, way=way, k=k)
            answers += 1
        return answers

    def _threads(self, way: str, keep: Keep | None, clients: int, k: int, ending: float) -> int:
        answers: list[int] = []

        def run(place: int) -> None:
            answers.append(asyncio.run(self._client(way, keep, place, k, ending)))

        threads = [threading.Thread(target=run, args=(place,)) for place in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if len(answers) < clients:
            raise RuntimeError(f"{clients - len(answers)} of {clients} clients failed")
        return sum(answers)

    async def size(self) -> Answer:
        """Say what the system occupies: memory that is not a mapped file, and disk."""
        resident = sum(_resident_bytes(process) for process in self._system.process_ids())
        return {"rss_mb": resident / 2**20, "disk_mb": self._system.disk_bytes() / 2**20}

    async def close(self) -> Answer:
        """Close the system."""
        await self._system.close()
        return {}


def _resident_bytes(process: int) -> int:
    """Return resident memory without mapped files: the workload is one, and caches are shared."""
    wanted = {"RssAnon:", "RssShmem:"}
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.split()[0] in wanted)


async def serve(worker: Worker, commands: Any, answers: Any) -> None:
    """Carry out commands until there are no more; then nothing of the system is left running."""
    while line := await asyncio.to_thread(commands.readline):
        command: Mapping[str, Any] = json.loads(line)
        try:
            answer = await getattr(worker, command["do"])(**command["with"])
        except Exception as error:  # noqa: BLE001 - a foreign system fails as it likes
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    await worker.close()


def main() -> None:
    """Read which system, and serve."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("system", choices=sorted(SYSTEMS))
    parser.add_argument("--shape", type=parse, required=True)
    parser.add_argument("--workload", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--postgres")
    options = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    place = Place(options.data, options.postgres, options.shape)
    known = SYSTEMS[options.system]
    workload = Workload(options.workload, options.shape)
    worker = Worker(known.build(place), workload, known.distribution)
    asyncio.run(serve(worker, sys.stdin, answers))


if __name__ == "__main__":
    main()
