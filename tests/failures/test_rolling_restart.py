"""Replicas are replaced one after the other, under load, and nobody notices.

As in a cluster, whoever shares out requests stops sending to a replica before it is told to end;
what it is answering by then it answers.
"""

from __future__ import annotations

import asyncio
import itertools
import time

import httpx

from entrypoints.http.server import GRACE_SECONDS
from tests.failures.cluster import Cluster
from tests.servers.server import ServerProcess

CLIENTS = 8
BETWEEN = 40


class Balancer:
    """Shares requests out among replicas that are in use."""

    def __init__(self, replicas: list[ServerProcess]) -> None:
        self.used = list(replicas)
        self.answered: list[int] = []
        self._turns = itertools.count()
        self._moved = asyncio.Condition()

    async def client(self, number: int, stopping: asyncio.Event) -> None:
        """Store and recall until told to stop; whatever fails ends the test."""
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(timeout=30, limits=limits) as http:
            for turn in itertools.count():
                if stopping.is_set():
                    return
                space = f"acme/client{number}"
                body = {"namespace": space, "content": f"note {turn}", "wait": "stored"}
                stored = await http.post(f"{self._next()}/v1/memories", json=body)
                question = {"namespace": space, "query": f"note {turn}"}
                found = await http.post(f"{self._next()}/v1/recall", json=question)
                self.answered += [stored.status_code, found.status_code]
                contents = [hit["memory"]["content"] for hit in found.json()["hits"]]
                assert f"note {turn}" in contents
                async with self._moved:
                    self._moved.notify_all()

    async def more(self, count: int) -> None:
        """Wait until so many more requests have been answered."""
        wanted = len(self.answered) + count
        async with asyncio.timeout(60), self._moved:
            await self._moved.wait_for(lambda: len(self.answered) >= wanted)

    def _next(self) -> str:
        return self.used[next(self._turns) % len(self.used)].url


async def test_replicas_are_replaced_under_load_without_a_failed_request(cluster: Cluster) -> None:
    replicas = [cluster.api(name, SOMA_EMBEDDER="none") for name in ("left", "right")]
    balancer = Balancer(replicas)
    stopping = asyncio.Event()
    seconds = []

    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(balancer.client(number, stopping))
        await balancer.more(BETWEEN)
        for replica in replicas:
            balancer.used.remove(replica)
            started = time.monotonic()
            await asyncio.to_thread(replica.stop)
            seconds.append(time.monotonic() - started)
            await balancer.more(BETWEEN)
            await asyncio.to_thread(replica.start)
            balancer.used.append(replica)
            await balancer.more(BETWEEN)
        stopping.set()

    assert set(balancer.answered) <= {200, 201}
    assert max(seconds) < GRACE_SECONDS + 2
