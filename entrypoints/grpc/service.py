"""The calls of MemoryService: read a message, call one use case, write the answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from application.access.permits import Operation
from domain.draft import Draft, Wait
from domain.errors import InvalidInput, TooLarge, TooSlow
from domain.events import FeedPosition
from domain.link import Direction
from domain.memory import MemoryId, check_time
from domain.namespace import Namespace, parse_namespace
from entrypoints.grpc import writing
from entrypoints.grpc.admission import Gate, idempotency_key
from entrypoints.grpc.reading import converted, fields_of, moment, read
from entrypoints.grpc.wire import memory_pb2 as wire
from entrypoints.grpc.wire.memory_pb2_grpc import MemoryServiceServicer
from entrypoints.http.feed import until
from entrypoints.http.schemas import DraftBody, LinkBody, RememberBody, ReviseBody
from entrypoints.http.schemas_recall import RecallBody

if TYPE_CHECKING:
    from entrypoints.grpc.admission import Context

#: What each call asks leave for; Forget asks for `ERASE` where it is told to erase.
OPERATIONS = {
    "Store": Operation.REMEMBER,
    "StoreBatch": Operation.REMEMBER,
    "Recall": Operation.RECALL,
    "Get": Operation.SHOW,
    "Revise": Operation.REVISE,
    "Forget": Operation.FORGET,
    "Link": Operation.CONNECT,
    "Neighbors": Operation.NEIGHBORS,
    "Path": Operation.FIND_PATH,
    "Watch": Operation.WATCH,
}
_SEQ_DIGITS_MAX = 18
_REVISE_EXTRA = frozenset({"id", "clear", "expected_version"})
_DEPTH = 1
_LIMIT = 100


class MemoryService(MemoryServiceServicer):
    """Soma's memory over gRPC. `stopping` ends streams that would not end by themselves."""

    def __init__(
        self,
        gate: Gate,
        stopping: asyncio.Event,
        *,
        batch_max: int,
        batch_bytes_max: int,
        batch_seconds: float,
    ) -> None:
        self._gate = gate
        self._stopping = stopping
        self._batch_max = batch_max
        self._batch_bytes_max = batch_bytes_max
        self._batch_seconds = batch_seconds

    async def Store(self, request: wire.StoreRequest, context: Context) -> wire.StoreResponse:
        """Store one memory, or return the one with the same content."""
        async with self._gate.unary(context, OPERATIONS["Store"]) as soma:
            values = fields_of(request.memory)
            if request.wait:
                values["wait"] = fields_of(request)["wait"]
            body = converted(values, RememberBody)
            remembered = await soma.remember(
                body.draft(soma.home), wait=body.wait, idempotency_key=idempotency_key(context)
            )
            return writing.stored_message(remembered)

    async def StoreBatch(
        self, requests: AsyncIterator[wire.StoreBatchRequest], context: Context
    ) -> wire.StoreBatchResponse:
        """Store what the client streams in one transaction, or none of it."""
        async with self._gate.unary(context, OPERATIONS["StoreBatch"]) as soma:
            drafts, wait = await self._in_time(requests, soma.home)
            results = await soma.remember_batch(
                drafts, wait=wait, idempotency_key=idempotency_key(context)
            )
            return wire.StoreBatchResponse(
                results=[writing.stored_message(result) for result in results]
            )

    async def Recall(self, request: wire.RecallRequest, context: Context) -> wire.RecallResponse:
        """Find the memories that answer a question."""
        async with self._gate.unary(context, OPERATIONS["Recall"]) as soma:
            query = read(request, RecallBody).asked(soma.home)
            return writing.answer_message(await soma.recall(query))

    async def Get(self, request: wire.GetRequest, context: Context) -> wire.GetResponse:
        """Show one memory, as it is or as Soma knew it at a time."""
        async with self._gate.unary(context, OPERATIONS["Get"]) as soma:
            known_at = (
                check_time(moment(request.known_at, "known_at"), "known_at")
                if request.HasField("known_at")
                else None
            )
            memory = await soma.show(MemoryId(request.id), known_at=known_at)
            return wire.GetResponse(memory=writing.memory_message(memory))

    async def Revise(self, request: wire.ReviseRequest, context: Context) -> wire.ReviseResponse:
        """Change fields of a memory."""
        async with self._gate.unary(context, OPERATIONS["Revise"]) as soma:
            body = _revision(request)
            expected = request.expected_version if request.HasField("expected_version") else None
            revised = await soma.revise(
                MemoryId(request.id), body.changes(), expected_version=expected, wait=body.wait
            )
            return wire.ReviseResponse(
                memory=writing.memory_message(revised.memory), indexed=revised.indexed
            )

    async def Forget(self, request: wire.ForgetRequest, context: Context) -> wire.ForgetResponse:
        """Forget a memory at once and for good, or erase it."""
        operation = Operation.ERASE if request.erase else OPERATIONS["Forget"]
        async with self._gate.unary(context, operation) as soma:
            use_case = soma.erase if request.erase else soma.forget
            await use_case(MemoryId(request.id))
            return wire.ForgetResponse()

    async def Link(self, request: wire.LinkRequest, context: Context) -> wire.LinkResponse:
        """Link two memories."""
        async with self._gate.unary(context, OPERATIONS["Link"]) as soma:
            body = read(request, LinkBody)
            link = await soma.connect(
                source=MemoryId(body.source),
                target=MemoryId(body.target),
                type=body.type,
                weight=body.weight,
                properties=body.properties,
            )
            return wire.LinkResponse(link=writing.link_message(link))

    async def Neighbors(
        self, request: wire.NeighborsRequest, context: Context
    ) -> wire.NeighborsResponse:
        """Return what is linked to a memory."""
        async with self._gate.unary(context, OPERATIONS["Neighbors"]) as soma:
            given = fields_of(request)
            found = await soma.neighbors(
                MemoryId(request.id),
                type=request.type if request.HasField("type") else None,
                direction=Direction(str(given.get("direction", Direction.BOTH))),
                depth=request.depth if request.HasField("depth") else _DEPTH,
                limit=request.limit if request.HasField("limit") else _LIMIT,
            )
            return writing.neighbors_message(found)

    async def Path(self, request: wire.PathRequest, context: Context) -> wire.PathResponse:
        """Return the shortest path between two memories."""
        async with self._gate.unary(context, OPERATIONS["Path"]) as soma:
            path = await soma.find_path(
                source=MemoryId(request.source),
                target=MemoryId(request.target),
                type=request.type if request.HasField("type") else None,
                weighted=request.weighted,
            )
            return writing.path_message(path)

    async def Watch(
        self, request: wire.WatchRequest, context: Context
    ) -> AsyncIterator[wire.WatchResponse]:
        """Follow the change feed of one exact namespace until the caller or the server stops."""
        async with self._gate.stream(context, OPERATIONS["Watch"]) as soma:
            namespace = request.namespace if request.HasField("namespace") else soma.home
            position = _position(request.after) if request.HasField("after") else None
            feed = soma.watch(parse_namespace(namespace), after=position)
            async with contextlib.aclosing(until(self._stopping, feed)) as items:
                async for item in items:
                    if item is not None:
                        yield writing.event_message(*item)

    async def _in_time(
        self, requests: AsyncIterator[wire.StoreBatchRequest], home: Namespace
    ) -> tuple[list[Draft], Wait]:
        """Read the stream; raise `TooSlow` when it takes longer than a body may."""
        try:
            async with asyncio.timeout(self._batch_seconds):
                return await self._collected(requests, home)
        except TimeoutError as error:
            raise TooSlow(self._batch_seconds) from error

    async def _collected(
        self, requests: AsyncIterator[wire.StoreBatchRequest], home: Namespace
    ) -> tuple[list[Draft], Wait]:
        """Read the stream as far as a batch may go; a refusal names the index."""
        drafts: list[Draft] = []
        wait = Wait.INDEXED
        left = self._batch_bytes_max
        async for request in requests:
            index = len(drafts)
            if index == self._batch_max:
                raise TooLarge("memories", limit=self._batch_max, unit="memories")
            left -= request.ByteSize()
            if left < 0:
                raise TooLarge("body", limit=self._batch_bytes_max, unit="bytes")
            if not index and request.wait:
                wait = Wait(str(fields_of(request)["wait"]))
            try:
                body = converted(fields_of(request.memory), DraftBody)
                drafts.append(body.draft(home))
            except InvalidInput as error:
                raise error.within(f"memories[{index}]") from error
        return drafts, wait


def _revision(request: wire.ReviseRequest) -> ReviseBody:
    values = fields_of(request)
    for name in values.pop("clear", []):  # type: ignore[attr-defined]
        if values.get(name) is not None:
            raise InvalidInput(f"clear.{name}", "is given a value as well")
        values[name] = None
    kept = {name: value for name, value in values.items() if name not in _REVISE_EXTRA}
    return converted(kept, ReviseBody)


def _position(text: str) -> FeedPosition:
    epoch, _, seq = text.rpartition(":")
    if not epoch or not seq.isascii() or not seq.isdigit() or len(seq) > _SEQ_DIGITS_MAX:
        raise InvalidInput("after", "must be `epoch:seq`, as an event's position")
    return FeedPosition(epoch, int(seq))
