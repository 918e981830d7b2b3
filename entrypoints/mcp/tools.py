"""The tools: each is one call of the REST API, its answer in two forms."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from application.access.permits import Operation
from domain.memory import NESTING_MAX, is_nested_deeper, nested_too_deeply
from entrypoints.decoding import decoded
from entrypoints.mcp import forms, results
from entrypoints.mcp.arguments import (
    Arguments,
    ExploreArguments,
    ForgetArguments,
    GetArguments,
    LinkArguments,
    RecallArguments,
    RememberArguments,
    StatsArguments,
)
from entrypoints.mcp.fitting import Room, alone, fitting, shortened, whole_or_nothing
from entrypoints.mcp.rest import Json, Rest

#: What `remember` says of a memory beside what became of it: the model knows the rest.
ECHO_TOKENS = 200

Said = tuple[msgspec.Struct, str]
Run = Callable[[Rest, Any], Awaitable[Said]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """What a model is told of a tool, and what the tool does."""

    name: str
    title: str
    description: str
    arguments: type[Arguments]
    result: type[msgspec.Struct]
    operations: tuple[Operation, ...]
    run: Run
    read_only: bool = False
    destructive: bool = False

    async def __call__(self, rest: Rest, given: dict[str, Any]) -> Said:
        """Run it; raise `InvalidInput` for arguments that are none, `Refused` by the memory."""
        # Through JSON, so that times and numbers are read as REST reads them. Not msgspec's: it
        # would write NaN as null, and what is refused elsewhere would be absent here.
        for name, value in given.items():
            if is_nested_deeper(value, NESTING_MAX):
                raise nested_too_deeply(name)
        arguments = decoded(json.dumps(given), self.arguments)
        return await self.run(rest, arguments)


async def _remember(rest: Rest, given: RememberArguments) -> Said:
    body = msgspec.to_builtins(given)
    source = {name: body.pop(name) for name in ("actor", "session") if name in body}
    if source:
        body["source"] = source
    stored = _read(await rest.ask("/v1/memories", body), results.Remembered)
    stored.memory = alone(stored.memory.identified(), ECHO_TOKENS)
    verb = "already known as" if stored.deduplicated else "remembered as"
    return stored, f"{verb} {stored.memory.id}: {forms.cut(stored.memory.content, 50)}"


async def _recall(rest: Rest, given: RecallArguments) -> Said:
    body = msgspec.to_builtins(given)
    body.pop("budget_tokens", None)
    body["k"] = given.k
    if rest.is_bound and given.namespace is None:
        # A model has not chosen the root of its key, and what it stored may lie anywhere below.
        body.setdefault("scope", "subtree")
    recalled = _read(await rest.ask("/v1/recall", body), results.Recalled)
    if not recalled.hits:
        return recalled, "nothing is remembered about that"
    asked = f" (not asked: {', '.join(recalled.degraded)})" if recalled.degraded else ""
    count = len(recalled.hits)
    frame = {"hits": [], "omitted": count, "degraded": recalled.degraded}
    room = Room.within(given.budget_tokens, frame, _best_first(count, asked))
    shown = fitting(recalled.hits, room, forms.hit_line, shortened)
    recalled.omitted = count - len(shown.items)
    recalled.hits = shown.items
    title = _best_first(len(shown.items), asked)
    return recalled, forms.listed(title, shown.lines, recalled.omitted)


def _best_first(count: int, asked: str) -> str:
    return f"{count} memories, best first:{asked}"


async def _get(rest: Rest, given: GetArguments) -> Said:
    known_at = None if given.known_at is None else given.known_at.isoformat()
    found = await rest.get(f"/v1/memories/{_part(given.id)}", known_at=known_at)
    memory = alone(_read(found, results.FoundMemory), given.budget_tokens)
    return memory, forms.described(memory)


async def _forget(rest: Rest, given: ForgetArguments) -> Said:
    await rest.delete(f"/v1/memories/{_part(given.id)}", erase=given.erase)
    what = "erased" if given.erase else "forgotten"
    return results.Forgotten(given.id, given.erase), f"{what}: {given.id}"


async def _link(rest: Rest, given: LinkArguments) -> Said:
    body = {name: getattr(given, name) for name in given.__struct_fields__}
    link = _read(await rest.ask("/v1/links", body), results.FoundLink)
    # Its properties were just given.
    said = f"linked: {link.source} -{link.type}-> {link.target}"
    return link.identified(), said


async def _explore(rest: Rest, given: ExploreArguments) -> Said:
    if given.to is not None:
        return await _path(rest, given, given.to)
    found = await rest.get(
        f"/v1/memories/{_part(given.id)}/neighbors",
        type=given.type,
        direction=given.direction,
        depth=given.depth,
        limit=given.limit,
    )
    near = _read(found["items"], list[results.Neighbor])
    if not near:
        return results.Explored(), "nothing is linked to it"
    title = "linked, nearest first:"
    room = Room.within(given.budget_tokens, {"neighbors": [], "omitted": len(near)}, title)
    shown = fitting(near, room, forms.neighbor_line, shortened)
    explored = results.Explored(neighbors=shown.items, omitted=len(near) - len(shown.items))
    return explored, forms.listed(title, shown.lines, explored.omitted)


async def _path(rest: Rest, given: ExploreArguments, to: str) -> Said:
    found = await rest.get("/v1/paths", source=given.id, target=to, type=given.type)
    memories = _read(found["memories"], list[results.FoundMemory])
    links = _read(found["links"], list[results.FoundLink])
    title = "the path:"
    frame = {"path": [], "links": [], "omitted": len(memories)}
    room = Room.within(given.budget_tokens, frame, title)
    steps = [results.Step(*pair) for pair in zip(memories, [None, *links], strict=True)]
    shown = fitting(steps, room, forms.step_line, shortened)
    explored = results.Explored(
        path=[step.memory for step in shown.items],
        links=[step.link for step in shown.items if step.link],
        omitted=len(steps) - len(shown.items),
    )
    return explored, forms.listed(title, shown.lines, explored.omitted)


async def _stats(rest: Rest, given: StatsArguments) -> Said:
    found = await rest.get("/v1/namespaces", under=given.namespace, limit=given.limit)
    stats = results.Stats(
        namespaces=_read(found["items"], list[results.NamespaceCounts]),
        more=found["next_cursor"] is not None,
    )
    count = len(stats.namespaces)
    if not count:
        return stats, "nothing is remembered yet"
    title = "namespaces:"
    frame = {"namespaces": [], "more": stats.more, "omitted": count}
    room = Room.within(given.budget_tokens, frame, title)
    shown = fitting(stats.namespaces, room, forms.counts_line, whole_or_nothing)
    stats.omitted = count - len(shown.items)
    stats.namespaces = shown.items
    return stats, forms.listed(title, shown.lines, stats.omitted)


def _read(answer: object, wanted: type[Any]) -> Any:
    """Take what a result has fields for; times come as text."""
    return msgspec.convert(answer, wanted)


def _part(id: str) -> str:
    return quote(id, safe="") or "%20"


TOOLS: tuple[Tool, ...] = (
    Tool(
        name="remember",
        title="Remember",
        description=(
            "Store one lasting fact, event or instruction so that later conversations can recall "
            "it. Use it when the user states a preference, a decision, a correction or something "
            "that happened and will matter again. Do not store small talk, secrets or what is in "
            "the conversation anyway. The same content is stored once. To correct a fact, remember "
            "the new one and forget the old one."
        ),
        arguments=RememberArguments,
        result=results.Remembered,
        operations=(Operation.REMEMBER,),
        run=_remember,
    ),
    Tool(
        name="recall",
        title="Recall",
        description=(
            "Find what is remembered about a question, best first, with a relevance from 0 to 1. "
            "Use it before you answer anything that may depend on earlier conversations, "
            "preferences or decisions. Only what is true now is returned, unless `as_of` asks for "
            "another time. Below a relevance of 0.5 a memory is probably about something else."
        ),
        arguments=RecallArguments,
        result=results.Recalled,
        operations=(Operation.RECALL,),
        run=_recall,
        read_only=True,
    ),
    Tool(
        name="get",
        title="Get a memory",
        description=(
            "Show one memory by its id, in full as far as the budget allows, as it is or as it was "
            "known at a time."
        ),
        arguments=GetArguments,
        result=results.FoundMemory,
        operations=(Operation.SHOW,),
        run=_get,
        read_only=True,
    ),
    Tool(
        name="forget",
        title="Forget a memory",
        description=(
            "Hide one memory for good, by its id; with `erase` its content and history are removed "
            "as well. It cannot be undone: use it when the user asks for it, or for what turned "
            "out to be wrong."
        ),
        arguments=ForgetArguments,
        result=results.Forgotten,
        operations=(Operation.FORGET, Operation.ERASE),
        run=_forget,
        destructive=True,
    ),
    Tool(
        name="link",
        title="Link two memories",
        description=(
            "Say how two memories are connected: cause, part, sequence, contradiction. Linking the "
            "same two with the same type again changes weight and properties."
        ),
        arguments=LinkArguments,
        result=results.FoundLink,
        operations=(Operation.CONNECT,),
        run=_link,
    ),
    Tool(
        name="explore",
        title="Explore links",
        description=(
            "Walk along links from a memory: what is connected to it, nearest first, or with `to` "
            "the shortest path to another memory along the direction of the links."
        ),
        arguments=ExploreArguments,
        result=results.Explored,
        operations=(Operation.NEIGHBORS, Operation.FIND_PATH),
        run=_explore,
        read_only=True,
    ),
    Tool(
        name="stats",
        title="Count memories",
        description="Tell which namespaces there are and how many memories and links each holds.",
        arguments=StatsArguments,
        result=results.Stats,
        operations=(Operation.LIST_NAMESPACES,),
        run=_stats,
        read_only=True,
    ),
)

__all__ = ["TOOLS", "Json", "Tool"]
