"""Routes that store, show, change and forget memories."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from litestar import Response, delete, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody

from application.access.permits import Operation
from domain.draft import Page, Remembered
from domain.errors import InvalidInput
from domain.memory import Memory, MemoryId, MemoryVersion
from domain.namespace import Scope, parse_namespace
from entrypoints.http import shapes
from entrypoints.http.access import needs
from entrypoints.http.problems import BODY, documented
from entrypoints.http.requests import Soma
from entrypoints.http.schemas import RememberBatchBody, RememberBody, ReviseBody
from entrypoints.http.schemas_recall import (
    CursorParameter,
    LimitParameter,
    ListParameters,
    TimeParameter,
)

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description="the same key with the same body is stored once; with another body: 409",
        schema_extra=dict(shapes.IDEMPOTENCY_KEY),
    ),
]
IfMatch = Annotated[
    str | None,
    HeaderParameter(
        name="If-Match",
        description='the expected version in quotes, as in ETag: "3"',
        schema_extra=dict(shapes.VERSION_TAG),
    ),
]

_VERSION = re.compile(r'"([1-9][0-9]{0,17})"')


@dataclass(frozen=True, slots=True)
class RememberedBatch:
    """What became of each memory, in order."""

    results: list[Remembered]


@post(
    "/memories",
    opt=needs(Operation.REMEMBER),
    status_code=201,
    responses={
        **documented(400, 404, 409, *BODY),
        200: ResponseSpec(Remembered, description="It was known already", generate_examples=False),
    },
)
async def remember(
    data: JSONBody[RememberBody],
    soma: Soma,
    idempotency_key: IdempotencyKey = None,
) -> Response[Remembered]:
    """Store one memory, or return the one with the same content."""
    return stored(
        await soma.remember(data.draft(soma.home), wait=data.wait, idempotency_key=idempotency_key)
    )


@post(
    "/memories/batch",
    opt=needs(Operation.REMEMBER),
    status_code=200,
    responses=documented(400, 404, 409, *BODY),
)
async def remember_batch(
    data: JSONBody[RememberBatchBody],
    soma: Soma,
    idempotency_key: IdempotencyKey = None,
) -> RememberedBatch:
    """Store up to 1000 memories in one transaction, or none."""
    results = await soma.remember_batch(
        data.drafts(soma.home), wait=data.wait, idempotency_key=idempotency_key
    )
    return RememberedBatch(results)


@get(
    "/memories",
    opt=needs(Operation.LIST_MEMORIES),
    responses=documented(400),
    dependencies={"asked": Provide(ListParameters, sync_to_thread=False)},
)
async def list_memories(asked: NamedDependency[ListParameters], soma: Soma) -> Page[Memory]:
    """List memories, newest first."""
    namespace = soma.home if asked.namespace is None else asked.namespace
    return await soma.list_memories(
        scope=Scope(parse_namespace(namespace), asked.reach),
        filter=asked.filter(),
        as_of=asked.as_of,
        include_expired=asked.include_expired,
        limit=asked.limit,
        cursor=asked.cursor,
    )


@get("/memories/{memory_id:str}", opt=needs(Operation.SHOW), responses=documented(400, 404))
async def show(
    memory_id: FromPath[str], soma: Soma, known_at: TimeParameter = None
) -> Response[Memory]:
    """Show one memory, as it is or as Soma knew it at `known_at`."""
    memory = await soma.show(MemoryId(memory_id), known_at=known_at)
    return Response(memory, headers={"ETag": _etag(memory)})


@patch(
    "/memories/{memory_id:str}",
    opt=needs(Operation.REVISE),
    responses=documented(400, 404, 412, *BODY),
)
async def revise(
    memory_id: FromPath[str],
    data: JSONBody[ReviseBody],
    soma: Soma,
    if_match: IfMatch = None,
) -> Response[Remembered]:
    """Change fields; the version before stays in the history."""
    revised = await soma.revise(
        MemoryId(memory_id),
        data.changes(),
        expected_version=_expected(if_match),
        wait=data.wait,
    )
    return Response(revised, headers={"ETag": _etag(revised.memory)})


@delete("/memories/{memory_id:str}", opt=needs(Operation.FORGET), responses=documented(400, 404))
async def forget(memory_id: FromPath[str], soma: Soma, erase: FromQuery[bool] = False) -> None:
    """Forget a memory at once and for good; `erase` also removes its content and history."""
    use_case = soma.erase if erase else soma.forget
    await use_case(MemoryId(memory_id))


@get(
    "/memories/{memory_id:str}/history",
    opt=needs(Operation.HISTORY),
    responses=documented(400, 404),
)
async def history(
    memory_id: FromPath[str],
    soma: Soma,
    limit: LimitParameter = 100,
    cursor: CursorParameter = None,
) -> Page[MemoryVersion]:
    """List every version, newest first, also of a forgotten memory."""
    return await soma.history(MemoryId(memory_id), limit=limit, cursor=cursor)


def stored(remembered: Remembered) -> Response[Remembered]:
    """Answer 201, or 200 for what was known, with its address and version."""
    memory = remembered.memory
    return Response(
        remembered,
        status_code=200 if remembered.deduplicated else 201,
        headers={"Location": f"/v1/memories/{memory.id}", "ETag": _etag(memory)},
    )


def _etag(memory: Memory) -> str:
    return f'"{memory.version}"'


def _expected(if_match: str | None) -> int | None:
    """Read `If-Match`: one version in quotes, or `*` for any."""
    if if_match is None or if_match.strip() == "*":
        return None
    version = _VERSION.fullmatch(if_match.strip())
    if version is None:
        raise InvalidInput("If-Match", 'must be one version in quotes, such as "3"')
    return int(version[1])


ROUTES = [remember, remember_batch, list_memories, show, revise, forget, history]
