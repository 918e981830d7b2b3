"""Reflection: what the service looks like, for those who may read the REST document too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

from grpc_reflection.v1alpha import reflection, reflection_pb2

from application.access.permits import Operation

if TYPE_CHECKING:
    from entrypoints.grpc.admission import Context, Gate


class GuardedReflection(reflection.aio.ReflectionServicer):  # type: ignore[misc]
    """Answers reflection to whoever may read the schema."""

    def __init__(self, gate: Gate, names: Iterable[str]) -> None:
        super().__init__(names)
        self._gate = gate

    async def ServerReflectionInfo(
        self,
        request_iterator: AsyncIterator[reflection_pb2.ServerReflectionRequest],
        context: Context,
    ) -> AsyncIterator[reflection_pb2.ServerReflectionResponse]:
        """Answer each question of a stream."""
        async with self._gate.stream(context, Operation.READ_SCHEMA):
            async for response in super().ServerReflectionInfo(request_iterator, context):
                yield response
