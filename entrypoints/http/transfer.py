"""Export and import: NDJSON, one streamed pass each way."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.datastructures import State
from litestar.openapi import spec
from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIType,
    RequestBody,
    Schema,
)
from litestar.params import QueryParameter
from litestar.response import Stream

from application.access.guarded import Guarded
from application.access.permits import Operation
from domain.draft import Wait
from domain.errors import InvalidInput
from domain.namespace import Namespace, Scope, ScopeKind, parse_namespace
from domain.transfer import ExportRecord, ImportLine, ImportReport
from entrypoints.http.access import needs
from entrypoints.http.problems import documented
from entrypoints.http.requests import Soma
from entrypoints.http.schemas_recall import ScopeParameter, SpaceParameter
from entrypoints.http.schemas_transfer import read_line, written

NDJSON = "application/x-ndjson"
CHUNK_BYTES = 64 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@get("/export", opt=needs(Operation.EXPORT), media_type=NDJSON, responses=documented(400, 404))
async def export(
    soma: Soma,
    *,
    namespace: SpaceParameter = None,
    reach: ScopeParameter = ScopeKind.EXACT,
    vectors: Annotated[bool, QueryParameter(description="add each memory's own vector")] = False,
    after: Annotated[
        str | None,
        QueryParameter(
            description="go on after the memory of this id, or the link `source,target,type`"
        ),
    ] = None,
) -> Stream:
    """Stream live memories, their earlier versions and links, one JSON object per line."""
    scope = Scope(parse_namespace(soma.home if namespace is None else namespace), reach)
    records = soma.export(scope, vectors=vectors, after=after)
    first = await anext(records, None)
    return Stream(_chunks(first, records), media_type=NDJSON)


@dataclass
class ImportOperation(spec.Operation):
    """Documents the body, which the handler reads as a stream."""

    def __post_init__(self) -> None:
        """Add the body."""
        line = Schema(
            type=OpenAPIType.STRING,
            description="one JSON object per line; lines are limited, the body is not",
            examples=['{"content": "Alice prefers e-mail to calls.", "namespace": "acme"}'],
        )
        # No body is a body without lines: nothing to import.
        self.request_body = RequestBody({NDJSON: OpenAPIMediaType(line)}, required=False)


@post(
    "/import",
    opt=needs(Operation.IMPORT_LINES),
    status_code=200,
    request_max_body_size=None,
    operation_class=ImportOperation,
    responses=documented(400, 408, 409, 415),
)
async def import_lines(
    request: Request[Any, Guarded, State],
    soma: Soma,
    wait: Annotated[Wait, QueryParameter(description="`stored`: vectors follow")] = Wait.STORED,
    job: Annotated[
        str | None,
        QueryParameter(
            description="an id of your own: the same lines again with the same id go on "
            "where an interrupted import stopped"
        ),
    ] = None,
) -> ImportReport:
    """Load NDJSON: lines of an export, or bodies of POST /v1/memories. Bad lines are reported."""
    line_bytes_max, home = request.app.state.import_line_bytes_max, soma.home

    def lines(after: int, digest: str) -> AsyncIterator[ImportLine]:
        return _import_lines(request.stream(), line_bytes_max, home, after, digest)

    return await soma.import_lines(lines, wait=wait, job=job)


async def split_lines(
    chunks: AsyncIterator[bytes], line_bytes_max: int
) -> AsyncIterator[tuple[int, bytes | None]]:
    """Yield numbered lines; None stands for one that is too long, which is never held whole."""
    number = 1
    held = bytearray()
    skipping = False
    async for chunk in chunks:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            held += end
            too_long = skipping or len(held) > line_bytes_max
            yield number, None if too_long else bytes(held)
            held.clear()
            skipping = False
            number += 1
        held += rest
        if len(held) > line_bytes_max:
            skipping = True
            held.clear()
    if held or skipping:
        yield number, None if skipping else bytes(held)


async def _import_lines(
    chunks: AsyncIterator[bytes],
    line_bytes_max: int,
    home: Namespace,
    after: int,
    digest: str,
) -> AsyncIterator[ImportLine]:
    """Yield the lines beyond `after`; raise `InvalidInput` when those before are not the same."""
    seen = hashlib.sha256()
    number = 0
    async for number, line in split_lines(chunks, line_bytes_max):
        seen.update(b"\n" if line is None else line + b"\n")
        if number <= after:
            if number == after and seen.hexdigest() != digest:
                raise InvalidInput("job", "began with other lines")
            continue
        if line is None:
            detail = f"is longer than {line_bytes_max} bytes"
            yield ImportLine(number, None, detail, seen.hexdigest())
            continue
        text = line.removeprefix(_BYTE_ORDER_MARK).strip() if number == 1 else line.strip()
        if text:
            yield replace(read_line(number, text, home), digest=seen.hexdigest())
    if number < after:
        raise InvalidInput("job", "began with other lines")


async def _chunks(
    first: ExportRecord | None, records: AsyncIterator[ExportRecord]
) -> AsyncIterator[bytes]:
    """Join lines to chunks of a size that is worth sending."""
    if first is None:
        return
    chunk = bytearray(written(first))
    async for record in records:
        chunk += written(record)
        if len(chunk) >= CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    yield bytes(chunk)


ROUTES = [export, import_lines]
