"""Read messages into the bodies of the REST API, so that both doors check and refuse alike."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from domain.errors import InvalidInput
from entrypoints.decoding import decoded, refusal

if TYPE_CHECKING:
    from google.protobuf.message import Message

T = TypeVar("T")

_JSON = "_json"


def read(message: Message, wanted: type[T], *, leave: frozenset[str] = frozenset()) -> T:
    """Return a message as a body; raise `InvalidInput` naming the field as REST names it.

    Fields named by `leave` are not part of the body.
    """
    values = {name: value for name, value in fields_of(message).items() if name not in leave}
    return converted(values, wanted)


def converted(values: dict[str, object], wanted: type[T], *, within: str = "") -> T:
    """Check values by the rules of a body; raise `InvalidInput` naming the field."""
    try:
        return msgspec.convert(values, wanted)
    except msgspec.ValidationError as error:
        raise refusal(str(error), within) from error


def fields_of(message: Message, within: str = "") -> dict[str, object]:
    """Return the fields that are present, by the names of REST."""
    return {
        field.name.removesuffix(_JSON): _value(field, value, f"{within}{field.name}")
        for field, value in message.ListFields()
        if not _is_unspecified(field, value)
    }


def moment(value: Timestamp, at: str) -> datetime:
    """Return a time in UTC; raise `InvalidInput` when there is no such time."""
    try:
        return value.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(at, "is out of range") from error


def _value(field: FieldDescriptor, value: Any, at: str) -> object:
    if field.name.endswith(_JSON):
        name = at.removesuffix(_JSON)
        return decoded(value, dict[str, object], within=name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return dict(value)
    if field.is_repeated:
        return [_single(field, item, f"{at}[{index}]") for index, item in enumerate(value)]
    return _single(field, value, at)


def _single(field: FieldDescriptor, value: Any, at: str) -> object:
    if field.enum_type is not None:
        return _enum_name(field, value, at)
    if isinstance(value, Timestamp):
        return moment(value, at)
    if field.message_type is not None:
        return fields_of(value, f"{at}.")
    return value


def _enum_name(field: FieldDescriptor, number: int, at: str) -> str:
    """Return the name as REST spells it: `KIND_EPISODIC` is `episodic`."""
    kind = field.enum_type
    assert kind is not None
    known = kind.values_by_number.get(number)
    if known is None or not number:
        raise InvalidInput(at, f"is not a {kind.name.lower()} that Soma knows")
    return str(known.name).removeprefix(f"{kind.name.upper()}_").lower()


def _is_unspecified(field: FieldDescriptor, value: Any) -> bool:
    """Tell whether an enum says no more than if it were absent."""
    return field.enum_type is not None and not field.is_repeated and value == 0
