"""Lines of an export and an import: one JSON object each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, assert_never

import msgspec
from msgspec import Meta, field

from domain.draft import Draft
from domain.errors import InvalidInput
from domain.link import Link
from domain.memory import Kind, Memory, MemoryId, MemoryVersion
from domain.namespace import Namespace
from domain.transfer import (
    ExportedLink,
    ExportedMemory,
    ExportedVersion,
    ExportRecord,
    ImportLine,
)
from entrypoints.decoding import decoded
from entrypoints.http.schemas import Body, DraftBody, SourceBody
from entrypoints.http.vectors import stored_vector, vector_text

Moment = Annotated[datetime, Meta(tz=True)]


class MemoryRecord(Body):
    """A memory as an export wrote it."""

    id: str
    namespace: str
    kind: Kind
    content: str
    content_hash: str
    created_at: Moment
    updated_at: Moment
    version: int
    seq: int = 0
    level: int = 0
    payload: dict[str, object] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    coordinate: list[float] | None = None
    importance: float = 1.0
    pinned: bool = False
    occurred_at: Moment | None = None
    valid_from: Moment | None = None
    valid_to: Moment | None = None
    expires_at: Moment | None = None
    source: SourceBody = field(default_factory=SourceBody)

    def memory(self) -> Memory:
        """Return it as the domain has it, with all times in UTC; the use case checks the rest."""
        return Memory(
            id=MemoryId(self.id),
            namespace=Namespace(self.namespace),
            kind=self.kind,
            content=self.content,
            content_hash=self.content_hash,
            created_at=_utc(self.created_at),
            updated_at=_utc(self.updated_at),
            version=self.version,
            seq=self.seq,
            level=self.level,
            payload=self.payload,
            tags=tuple(self.tags),
            coordinate=None if self.coordinate is None else tuple(self.coordinate),
            importance=self.importance,
            pinned=self.pinned,
            occurred_at=_utc_or_none(self.occurred_at),
            valid_from=_utc_or_none(self.valid_from),
            valid_to=_utc_or_none(self.valid_to),
            expires_at=_utc_or_none(self.expires_at),
            source=self.source.source(),
        )


class VersionRecord(Body):
    """One entry of a memory's history."""

    version: int
    recorded_at: Moment
    recorded_by: str
    memory: MemoryRecord
    forgotten_at: Moment | None = None


class LinkRecord(Body, kw_only=True):
    """A link as an export wrote it."""

    source: str
    target: str
    type: str
    weight: float = 1.0
    properties: dict[str, object] = field(default_factory=dict)
    created_at: Moment
    seq: int = 0


class MemoryLine(Body, tag_field="type", tag="memory"):
    """A live memory, with its own vector where that was asked for."""

    memory: MemoryRecord
    vector: list[float] | str | None = None

    def record(self) -> ExportedMemory:
        """Return it as the domain has it."""
        vector = None if self.vector is None else stored_vector(self.vector)
        return ExportedMemory(self.memory.memory(), vector)


class VersionLine(Body, tag_field="type", tag="version"):
    """An earlier version of a memory."""

    version: VersionRecord

    def record(self) -> ExportedVersion:
        """Return it as the domain has it."""
        entry = self.version
        return ExportedVersion(
            MemoryVersion(
                version=entry.version,
                recorded_at=_utc(entry.recorded_at),
                recorded_by=entry.recorded_by,
                memory=entry.memory.memory(),
                forgotten_at=_utc_or_none(entry.forgotten_at),
            )
        )


class LinkLine(Body, tag_field="type", tag="link"):
    """A link between two memories."""

    link: LinkRecord

    def record(self) -> ExportedLink:
        """Return it as the domain has it."""
        entry = self.link
        return ExportedLink(
            Link(
                source=MemoryId(entry.source),
                target=MemoryId(entry.target),
                type=entry.type,
                weight=entry.weight,
                properties=entry.properties,
                created_at=_utc(entry.created_at),
                seq=entry.seq,
            )
        )


class _Typed(msgspec.Struct):
    type: str | None = None


_LINES: dict[str, type[MemoryLine | VersionLine | LinkLine]] = {
    "memory": MemoryLine,
    "version": VersionLine,
    "link": LinkLine,
}


def read_line(number: int, line: bytes, home: Namespace) -> ImportLine:
    """Read one line; what cannot be read becomes a line that says why.

    `home` is where a draft goes that names no namespace.
    """
    try:
        return ImportLine(number, _record(line, home))
    except InvalidInput as error:
        return ImportLine(number, None, str(error))


def written(record: ExportRecord) -> bytes:
    """Write one record as a line."""
    match record:
        case ExportedMemory(memory, vector):
            line: dict[str, object] = {"type": "memory", "memory": memory}
            if vector is not None:
                line["vector"] = vector_text(vector)
        case ExportedVersion(version):
            line = {"type": "version", "version": version}
        case ExportedLink(link):
            line = {"type": "link", "link": link}
        case _:
            assert_never(record)
    return msgspec.json.encode(line) + b"\n"


def _record(line: bytes, home: Namespace) -> ExportRecord | Draft:
    kind = decoded(line, _Typed).type
    if kind is None:
        return decoded(line, DraftBody).draft(home)
    if kind not in _LINES:
        raise InvalidInput("type", f"{kind!r} is not one of {', '.join(_LINES)}")
    return decoded(line, _LINES[kind]).record()


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise InvalidInput("memory", "holds a time that is out of range") from error


def _utc_or_none(moment: datetime | None) -> datetime | None:
    return None if moment is None else _utc(moment)
