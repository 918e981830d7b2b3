"""What the OpenAPI document says of values beyond their type, as parts of JSON Schema.

The domain checks; the document repeats it for those who generate clients, and the fuzzed test of
the document finds where it repeats it wrongly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Meta

from application.namespaces import DURATION_MAX
from application.recall import BUDGET_TOKENS_MAX
from application.remember import BATCH_MAX
from application.storing.request import IDEMPOTENCY_KEY_LENGTH_MAX
from domain.access import NAME_LENGTH_MAX
from domain.memory import COORDINATE_AXES_MAX, TAG_LENGTH_MAX, TAGS_MAX
from domain.namespace import SEGMENTS_MAX
from domain.ranking import SIGNALS, WEIGHT_MAX, WEIGHTS
from domain.recall import HOPS_MAX, K_MAX
from domain.revision import SOURCE_LENGTH_MAX

Shape = Mapping[str, Any]

# A segment is neither `.` nor `..`, said without looking ahead: not every reader of patterns can.
_FIRST, _ANY = "[A-Za-z0-9_@:+=-]", "[A-Za-z0-9_.@:+=-]"
_SEGMENT = rf"(?:{_FIRST}{_ANY}{{0,127}}|\.{_FIRST}{_ANY}{{0,126}}|\.\.{_ANY}{{1,126}})"
_NUMBER = r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?"

NAMESPACE: Shape = {"pattern": f"^{_SEGMENT}(?:/{_SEGMENT}){{0,{SEGMENTS_MAX - 1}}}$"}
NOT_BLANK: Shape = {"pattern": r"\S"}
LINK_TYPE: Shape = {"pattern": "^[A-Za-z0-9_.:-]{1,64}$"}
VERSION_TAG: Shape = {"pattern": r'^(?:\*|"[1-9][0-9]{0,17}")$', "examples": ['"3"']}
FEED_POSITION: Shape = {"pattern": "^.+:[0-9]{1,18}$"}
NUMBERS: Shape = {"pattern": rf"^{_NUMBER}(?:,{_NUMBER}){{0,{COORDINATE_AXES_MAX - 1}}}$"}
KEY_NAME: Shape = {"pattern": rf"^[A-Za-z0-9 _.@+=/-]{{1,{NAME_LENGTH_MAX}}}$"}
IDEMPOTENCY_KEY: Shape = {"minLength": 1, "maxLength": IDEMPOTENCY_KEY_LENGTH_MAX}
SOURCE_NAME: Shape = {"minLength": 1, "maxLength": SOURCE_LENGTH_MAX}

POSITIVE: Shape = {"exclusiveMinimum": 0}
NOT_NEGATIVE: Shape = {"minimum": 0}
# Litestar knows this one key only by its own name.
DURATION: Shape = {"exclusiveMinimum": 0, "exclusive_maximum": DURATION_MAX}
FRACTION: Shape = {"minimum": 0, "maximum": 1}
K: Shape = {"minimum": 1, "maximum": K_MAX}
HOPS: Shape = {"minimum": 0, "maximum": HOPS_MAX}
BUDGET: Shape = {"minimum": 1, "maximum": BUDGET_TOKENS_MAX}

FILTER_TAGS: Shape = {"items": {"type": "string", "minLength": 1, "maxLength": TAG_LENGTH_MAX}}
TAGS: Shape = {**FILTER_TAGS, "maxItems": TAGS_MAX}
COORDINATE: Shape = {"minItems": 1, "maxItems": COORDINATE_AXES_MAX}
BATCH: Shape = {"minItems": 1, "maxItems": BATCH_MAX}
WEIGHT_BY_PART: Shape = {
    "propertyNames": {"enum": sorted(WEIGHTS)},
    "additionalProperties": {"type": "number", "minimum": 0, "maximum": WEIGHT_MAX},
}
SWITCH_BY_SIGNAL: Shape = {"propertyNames": {"enum": sorted(SIGNALS)}}


def shaped(
    shape: Shape, description: str | None = None, *, examples: Sequence[Any] | None = None
) -> Meta:
    """Describe a field of a body; the shape is told, not checked."""
    return Meta(
        description=description,
        examples=None if examples is None else list(examples),
        extra_json_schema={"extra": dict(shape)},  # what Litestar lays over its own schema
    )
