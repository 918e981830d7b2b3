"""Events as JSON: what is published is what the documentation promises."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import msgspec
import pytest
from jsonschema import Draft202012Validator, ValidationError

from adapters.event_json import encode_event
from domain.events import EventType
from domain.memory import MemoryId
from tests.contracts.event_logs import an_event

DOCS = Path(__file__).parents[2] / "docs"
LINKS = (EventType.LINKED, EventType.UNLINKED)


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    """Give the published schema."""
    document = json.loads((DOCS / "events.schema.json").read_text())
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document, format_checker=Draft202012Validator.FORMAT_CHECKER)


@pytest.mark.parametrize("type", EventType)
def test_every_event_is_as_the_schema_says(schema: Draft202012Validator, type: EventType) -> None:
    event = replace(an_event("acme/a"), type=type, changed=("content", "tags"), trace="t")
    if type in LINKS:
        event = replace(event, link_target=event.memory_id, link_type="follows", changed=())

    schema.validate(json.loads(encode_event(event, "epoch")))


def test_an_event_holds_these_fields_and_no_others() -> None:
    event = replace(
        an_event("acme", 7), link_target=MemoryId("target"), link_type="follows", trace="t"
    )

    assert {
        "schema": 1,
        "id": event.id,
        "type": "memory.revised",
        "namespace": "acme",
        "seq": 7,
        "epoch": "here",
        "memory_id": event.memory_id,
        "version": 7,
        "at": "2026-03-04T05:06:14Z",
        "changed": ["content"],
        "link": {"target": "target", "type": "follows"},
    } == msgspec.json.decode(encode_event(event, "here"))


def test_times_are_utc_whatever_they_come_in() -> None:
    event = an_event()
    elsewhere = replace(event, at=event.at.astimezone(timezone(timedelta(hours=2))))

    assert encode_event(event, "e") == encode_event(elsewhere, "e")


def test_the_schema_refuses_content_and_strange_links(schema: Draft202012Validator) -> None:
    body = json.loads(encode_event(an_event(), "e"))

    for wrong in (
        {**body, "content": "secret"},
        {**body, "link": {"target": body["memory_id"], "type": "follows"}},
        {**body, "type": "memory.linked"},
        {**body, "seq": 0},
        {**body, "at": "2026-03-04T05:06:14+02:00"},
    ):
        with pytest.raises(ValidationError):
            schema.validate(wrong)


def test_the_example_in_the_documentation_is_an_event(schema: Draft202012Validator) -> None:
    text = (DOCS / "events.md").read_text()
    section = text.split("## An event")[1].split("\n## ")[0]
    example = "\n".join(line for line in section.splitlines() if line.startswith("    "))

    schema.validate(json.loads(example))
    for event_type in EventType:
        assert f"`{event_type.value}`" in section
