"""Bad inputs that every door must refuse alike; data only.

What only one door can be given (JSON that is none, headers, lines of an import) stands in the tests
of that door.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from domain import errors
from domain.errors import SomaError
from domain.memory import NESTING_MAX

ID = "01999999-0000-7000-8000-000000000000"
OTHER = "01999999-1111-7111-8111-111111111111"
SURROGATE = "a\ud800"
NUL = "a\x00b"

REST, GRPC, MCP, CLI = "rest", "grpc", "mcp", "cli"
EVERY = frozenset({REST, GRPC, MCP, CLI})
#: Fields have types in protobuf, and commands have options: there it is the client that refuses.
JSON = frozenset({REST, MCP})
#: No process can be given a NUL or a lone surrogate as an argument.
NO_ARGUMENT = frozenset({REST, GRPC, MCP})
#: The client of MCP sends neither NaN nor a lone surrogate.
NOT_SENT = frozenset({REST, GRPC, CLI})
#: Models are not offered vectors, coordinates, batches.
NOT_MCP = frozenset({REST, GRPC, CLI})
PROGRAMS = frozenset({REST, GRPC})


@dataclass(frozen=True)
class BadInput:
    """One refusal: `field` as REST names it, `error` of the domain, through these doors."""

    name: str
    operation: str
    arguments: dict[str, Any]
    field: str
    doors: frozenset[str] = EVERY
    error: type[SomaError] = errors.InvalidInput


def nested(levels: int) -> dict[str, Any]:
    """Return an object with lists and objects inside one another, itself being the first."""
    inside: object = 1
    for level in range(levels - 1):
        inside = {"a": inside} if level % 2 else [inside]
    return {"a": inside}


def _remember(name: str, at: str, doors: frozenset[str] = EVERY, /, **arguments: Any) -> BadInput:
    return BadInput(name, "remember", {"content": "x", **arguments}, at, doors)


def negated(levels: int) -> dict[str, Any]:
    """Return a condition inside so many others."""
    return {"not": negated(levels - 1)} if levels > 1 else {"a": 1}


def _recall(name: str, at: str, doors: frozenset[str] = EVERY, /, **arguments: Any) -> BadInput:
    return BadInput(name, "recall", {"query": "x", **arguments}, at, doors)


def _link(name: str, at: str, doors: frozenset[str] = EVERY, /, **arguments: Any) -> BadInput:
    return BadInput(
        name, "link", {"source": ID, "target": OTHER, "type": "t", **arguments}, at, doors
    )


def _neighbors(name: str, at: str, doors: frozenset[str] = EVERY, /, **arguments: Any) -> BadInput:
    return BadInput(name, "neighbors", {"id": ID, **arguments}, at, doors)


BAD_INPUTS = (
    # What is remembered
    _remember("empty content", "content", content=""),
    _remember("blank content", "content", content=" \n\t"),
    _remember("NUL in content", "content", NO_ARGUMENT, content=NUL),
    _remember("a lone surrogate in content", "content", frozenset({REST}), content=SURROGATE),
    _remember("content that is a number", "content", JSON, content=5),
    _remember("content that is null", "content", JSON, content=None),
    _remember("an unknown field", "contents", JSON, contents="x"),
    _remember("an unknown kind", "kind", JSON, kind="vague"),
    _remember("NUL in a payload", "payload", payload={"a": ["\x00"]}),
    _remember("NUL in a key of a payload", "payload", payload={"\x00": 1}),
    _remember("a lone surrogate in a payload", "payload.a", NOT_SENT, payload={"a": "\ud800"}),
    _remember("NaN in a payload", "payload.a", NOT_SENT, payload={"a": float("nan")}),
    _remember("a payload nested too deeply", "payload", payload=nested(NESTING_MAX + 1)),
    _remember(
        "a payload nested deeper than most programs read", "payload", PROGRAMS, payload=nested(300)
    ),
    _remember("a payload that is a list", "payload", JSON, payload=[]),
    _remember("an empty tag", "tags[1]", tags=["ok", ""]),
    _remember("too long a tag", "tags[0]", tags=["t" * 129]),
    _remember("too many tags", "tags", tags=[f"t{number}" for number in range(65)]),
    _remember("NUL in a tag", "tags[0]", NO_ARGUMENT, tags=[NUL]),
    _remember("a tag that is a number", "tags[0]", JSON, tags=[1]),
    _remember("negative importance", "importance", importance=-1.0),
    _remember("NaN for importance", "importance", NOT_SENT, importance=float("nan")),
    _remember("infinite importance", "importance", NOT_SENT, importance=float("inf")),
    _remember("importance in a string", "importance", JSON, importance="1"),
    _remember("a number for a switch", "pinned", frozenset({REST}), pinned=1),
    _remember("no axes", "coordinate", frozenset({REST}), coordinate=[]),
    _remember("too many axes", "coordinate", NOT_MCP, coordinate=[0.5] * 17),
    _remember("NaN for an axis", "coordinate[1]", PROGRAMS, coordinate=[0.5, float("nan")]),
    _remember("an empty namespace", "namespace", namespace=""),
    _remember("an empty segment", "namespace", namespace="a//b"),
    _remember("a segment that goes up", "namespace", namespace="a/../b"),
    _remember("a segment that stays", "namespace", namespace="./a"),
    _remember("a slash at the end", "namespace", namespace="a/"),
    _remember("a space in a segment", "namespace", namespace="a b"),
    _remember("too long a segment", "namespace", namespace="s" * 129),
    _remember("too many segments", "namespace", namespace="/".join("s" * 17)),
    _remember("no time at all", "occurred_at", frozenset({REST, MCP, CLI}), occurred_at="soon"),
    _remember(
        "a day that is none",
        "occurred_at",
        frozenset({REST, MCP, CLI}),
        occurred_at="2026-02-31T12:00:00Z",
    ),
    _remember(
        "a time without an offset",
        "occurred_at",
        frozenset({REST, MCP, CLI}),
        occurred_at="2026-01-31T12:00:00",
    ),
    _remember("a number for a time", "occurred_at", JSON, occurred_at=1_700_000_000),
    _remember(
        "reversed validity",
        "valid_to",
        valid_from="2026-02-01T00:00:00Z",
        valid_to="2026-01-01T00:00:00Z",
    ),
    _remember("no life", "ttl_seconds", ttl_seconds=0),
    _remember("a life that ends after all time", "ttl_seconds", ttl_seconds=10**18),
    _remember(
        "two ends of life",
        "ttl_seconds",
        PROGRAMS,
        ttl_seconds=60,
        expires_at="2099-01-01T00:00:00Z",
    ),
    _remember("an actor without a name", "source.actor", source={"actor": ""}),
    _remember("too long a session", "source.session", source={"session": "s" * 513}),
    _remember("NUL in an actor", "source.actor", NO_ARGUMENT, source={"actor": NUL}),
    BadInput(
        "a vector of the wrong dimension",
        "remember",
        {"content": "x", "vector": [0.5, 0.5]},
        "vector",
        PROGRAMS,
        errors.DimensionMismatch,
    ),
    _remember("a vector without a direction", "vector", PROGRAMS, vector=[0.0] * 4),
    _remember("NaN in a vector", "vector", frozenset({GRPC}), vector=[float("nan")] * 4),
    BadInput(
        "too much content",
        "remember",
        {"content": "x" * 65_537},
        "content",
        frozenset({REST, GRPC, CLI}),
        errors.TooLarge,
    ),
    BadInput(
        "too much payload",
        "remember",
        {"content": "x", "payload": {"a": "x" * 262_145}},
        "payload",
        frozenset({REST, GRPC, MCP}),
        errors.TooLarge,
    ),
    # What is asked
    BadInput("neither words nor a vector", "recall", {}, "query", frozenset({REST, GRPC, MCP})),
    _recall("an empty question", "query", query=""),
    _recall("a blank question", "query", query=" "),
    _recall("NUL in a question", "query", NO_ARGUMENT, query=NUL),
    _recall("no hits", "k", k=0),
    _recall("negative hits", "k", k=-1),
    _recall("too many hits", "k", k=1001),
    _recall("more hits than any integer", "k", frozenset({REST, MCP, CLI}), k=10**20),
    _recall("hits in a string", "k", JSON, k="10"),
    _recall("half a hit", "k", JSON, k=1.5),
    _recall("an unknown question field", "limit", JSON, limit=3),
    _recall(
        "an unknown kind in a filter", "kinds[0]", frozenset({REST, MCP, CLI}), kinds=["vague"]
    ),
    _recall("an empty tag in a filter", "tags[0]", tags=[""]),
    _recall("too long a tag in a filter", "tags_any[1]", tags_any=["a", "t" * 129]),
    _recall("an empty condition", "where", where={}),
    _recall("conditions nested too deeply", f"where{'.not' * 8}", where=negated(9)),
    _recall("an unknown operator", "where.a.like", where={"a": {"like": "b"}}),
    _recall("an operator in vain", "where.a.in", where={"a": {"in": []}}),
    _recall("a crooked box", "box.max", NOT_MCP, box={"min": [1.0], "max": [0.0]}),
    _recall("a box of two shapes", "box.max", NOT_MCP, box={"min": [1.0], "max": [2.0, 2.0]}),
    _recall("a relevance above all", "min_relevance", min_relevance=1.5),
    _recall("NaN for a relevance", "min_relevance", NOT_SENT, min_relevance=float("nan")),
    _recall("too many hops", "expand", expand=4),
    _recall("a budget of nothing", "budget_tokens", budget_tokens=0),
    _recall("a level below the ground", "level", NOT_MCP, level=-1),
    _recall("an unknown weight", "weights.magic", PROGRAMS, weights={"magic": 1.0}),
    _recall("a negative weight", "weights.lexical", PROGRAMS, weights={"lexical": -1.0}),
    _recall("an unknown signal", "signals.magic", PROGRAMS, signals={"magic": True}),
    _recall("a namespace that goes up", "namespace", namespace=".."),
    BadInput(
        "a question by too short a vector",
        "recall",
        {"vector": [0.5]},
        "vector",
        PROGRAMS,
        errors.DimensionMismatch,
    ),
    # How memories are connected
    _link("a link to itself", "target", target=ID),
    _link("an empty type", "type", type=""),
    _link("a space in a type", "type", type="no spaces"),
    _link("too long a type", "type", type="t" * 65),
    _link("no weight", "weight", weight=0.0),
    _link("NaN for a weight", "weight", NOT_SENT, weight=float("nan")),
    _link("NUL in a property", "properties", PROGRAMS, properties={"a": "\x00"}),
    _link("properties nested too deeply", "properties", properties=nested(NESTING_MAX + 1)),
    _neighbors("no hops", "depth", depth=0),
    _neighbors("too far", "depth", depth=9),
    _neighbors("a negative limit", "limit", limit=-1),
    _neighbors("too many neighbours", "limit", limit=1001),
    _neighbors("a type that cannot be", "type", type="no spaces"),
)
