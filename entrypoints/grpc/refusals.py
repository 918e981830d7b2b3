"""Every error as a gRPC status with google.rpc details, by the one table of outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from domain.errors import InvalidInput, RateLimited, SomaError, TooLarge, Unavailable
from entrypoints.errors import outcome_of

if TYPE_CHECKING:
    from google.protobuf.message import Message

ERROR_DOMAIN = "somafractalmemory"
RETRY_SECONDS = 1.0
#: Details travel in trailing metadata, of which clients take 8 KiB.
_TEXT_MAX = 512
_NANOS = 1_000_000_000


def status_of(error: SomaError) -> grpc.Status:
    """Return what an error becomes: its code, and details that name fields as REST does."""
    outcome = outcome_of(error)
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=outcome.slug, domain=ERROR_DOMAIN),
    ]
    if isinstance(error, InvalidInput | TooLarge):
        reason = (
            error.reason
            if isinstance(error, InvalidInput)
            else str(error).removeprefix(f"{error.field}: ")
        )
        details.append(_bad_field(error.field, reason))
    if isinstance(error, RateLimited):
        details.append(_retry(error.retry_seconds))
    elif isinstance(error, Unavailable):
        details.append(_retry(RETRY_SECONDS))
    return _status(grpc.StatusCode[outcome.grpc], str(error), details)


def overdue() -> grpc.Status:
    """Return what becomes of a call that took longer than its deadline."""
    return _status(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline has passed", [])


def internal() -> grpc.Status:
    """Return what becomes of what nobody expected: no internals."""
    message = "the server could not complete the request; its log says where"
    reason = error_details_pb2.ErrorInfo(reason="internal", domain=ERROR_DOMAIN)
    return _status(grpc.StatusCode.INTERNAL, message, [reason])


def _bad_field(field: str, reason: str) -> Message:
    violation = error_details_pb2.BadRequest.FieldViolation(
        field=_short(field), description=_short(reason)
    )
    bad: Message = error_details_pb2.BadRequest(field_violations=[violation])
    return bad


def _retry(seconds: float) -> Message:
    whole = int(seconds)
    delay = Duration(seconds=whole, nanos=int((seconds - whole) * _NANOS))
    retry: Message = error_details_pb2.RetryInfo(retry_delay=delay)
    return retry


def _status(code: grpc.StatusCode, message: str, details: list[Message]) -> grpc.Status:
    packed = []
    for detail in details:
        wrapped = AnyMessage()
        wrapped.Pack(detail)
        packed.append(wrapped)
    status = status_pb2.Status(code=code.value[0], message=_short(message), details=packed)
    answer: grpc.Status = rpc_status.to_status(status)
    return answer


def _short(text: str) -> str:
    if len(text) > _TEXT_MAX:
        text = f"{text[:_TEXT_MAX]}..."
    return text.encode("utf-8", "backslashreplace").decode()
