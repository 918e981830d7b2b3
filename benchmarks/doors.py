"""Two ways into Soma for the benchmarks: the use cases in this process, or a server."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import httpx

from adapters.environment import load_settings
from benchmarks.conversations import Turn
from container import Container, build, running
from domain.draft import Draft, Wait
from domain.errors import NamespaceNotFound
from domain.memory import Source
from domain.namespace import Scope, ScopeKind, parse_namespace
from domain.recall import RecallQuery

ONE_NAMESPACE = "locomo/together"
#: Storing is not what is measured, and the machine may be busy.
PATIENT = {"embed_wait_seconds": 600.0}


@dataclass(frozen=True, slots=True)
class How:
    """How to ask: how many hits, with which weights, and whether they are judged again.

    `rerank` None leaves that to the defaults.
    """

    k: int
    weights: Mapping[str, float]
    rerank: bool | None = None


class Door(Protocol):
    """A way into Soma."""

    async def count(self, namespace: str) -> int:
        """Return how many memories a namespace holds."""

    async def remember(self, namespace: str, turns: Sequence[Turn]) -> None:
        """Store turns and wait until they are indexed."""

    async def recall(self, namespace: str, question: str, how: How) -> tuple[str, ...]:
        """Return the turn ids of the best k."""


class Together:
    """All conversations in one namespace, each with sessions of its own."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._stored: dict[str, int] = {}

    async def count(self, namespace: str) -> int:
        """Return how many memories of a conversation were stored here."""
        return self._stored.get(namespace, 0)

    async def remember(self, namespace: str, turns: Sequence[Turn]) -> None:
        """Store turns of one conversation among those of the others."""
        told_apart = [
            replace(
                turn,
                session=f"{namespace} {turn.session}",
                dia_id=f"{namespace} {turn.dia_id}",
            )
            for turn in turns
        ]
        await self._door.remember(ONE_NAMESPACE, told_apart)
        self._stored[namespace] = await self.count(namespace) + len(turns)

    async def recall(self, namespace: str, question: str, how: How) -> tuple[str, ...]:
        """Return the turn ids of the best k; those of other conversations keep their prefix."""
        found = await self._door.recall(ONE_NAMESPACE, question, how)
        return tuple(id.removeprefix(f"{namespace} ") for id in found)


class InProcess:
    """The use cases themselves."""

    def __init__(self, container: Container) -> None:
        self._container = container

    async def count(self, namespace: str) -> int:
        """Return how many memories a namespace holds."""
        try:
            stats = await self._container.show_namespace()(parse_namespace(namespace))
        except NamespaceNotFound:
            return 0
        return int(stats.memories)

    async def remember(self, namespace: str, turns: Sequence[Turn]) -> None:
        """Store turns and wait until they are indexed."""
        drafts = [
            Draft(
                content=turn.content,
                namespace=namespace,
                source=Source(actor=turn.speaker, session=turn.session),
                payload=_payload(turn),
                occurred_at=turn.at,
                deduplicate=False,
            )
            for turn in turns
        ]
        stored = await self._container.remember_batch()(
            drafts, wait=Wait.INDEXED, actor="benchmark"
        )
        if not all(result.indexed for result in stored):
            raise SystemExit("the embedder did not keep up")

    async def recall(self, namespace: str, question: str, how: How) -> tuple[str, ...]:
        """Return the turn ids of the best k."""
        scope = Scope(parse_namespace(namespace), ScopeKind.EXACT)
        query = RecallQuery(
            text=question, scope=scope, k=how.k, weights=how.weights, rerank=how.rerank
        )
        answer = await self._container.recall()(query)
        _check_whole(answer.degraded)
        return tuple(str(hit.memory.payload["dia_id"]) for hit in answer.hits)


class OverHttp:
    """The REST API of a running server."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def count(self, namespace: str) -> int:
        """Return how many memories a namespace holds."""
        answer = await self._client.get(f"/v1/namespaces/{namespace}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return 0
        return int(answer.raise_for_status().json()["memories"])

    async def remember(self, namespace: str, turns: Sequence[Turn]) -> None:
        """Store turns and wait until they are indexed."""
        memories = [
            {
                "content": turn.content,
                "namespace": namespace,
                "source": {"actor": turn.speaker, "session": turn.session},
                "payload": _payload(turn),
                "occurred_at": turn.at.isoformat(),
                "deduplicate": False,
            }
            for turn in turns
        ]
        body = {"memories": memories, "wait": "indexed"}
        results = await self._post("/v1/memories/batch", body)
        if not all(result["indexed"] for result in results["results"]):
            raise SystemExit("the embedder did not keep up")

    async def recall(self, namespace: str, question: str, how: How) -> tuple[str, ...]:
        """Return the turn ids of the best k."""
        body: dict[str, object] = {
            "query": question,
            "namespace": namespace,
            "k": how.k,
            "weights": dict(how.weights),
            "rerank": how.rerank,
        }
        answer = await self._post("/v1/recall", body)
        _check_whole(answer["degraded"])
        return tuple(hit["memory"]["payload"]["dia_id"] for hit in answer["hits"])

    async def _post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        answer = await self._client.post(path, json=body)
        decoded: dict[str, Any] = answer.raise_for_status().json()
        return decoded


def _check_whole(degraded: Sequence[str]) -> None:
    if degraded:
        raise SystemExit(f"answered without {', '.join(degraded)}")


def _payload(turn: Turn) -> dict[str, object]:
    return {"dia_id": turn.dia_id, "speaker": turn.speaker, "session": turn.session}


@asynccontextmanager
async def opened(
    url: str | None, key: str | None, data: Path | None, **settings: object
) -> AsyncIterator[Door]:
    """Open the door: a server at `url`, or the use cases over `data` or a folder for this run."""
    if url is not None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=120) as client:
            yield OverHttp(client)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = data or Path(temporary)
        async with running(
            build(load_settings({}, {"data_dir": folder, **PATIENT, **settings}))
        ) as container:
            yield InProcess(container)
