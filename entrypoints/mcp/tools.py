"""The tools: each is one call of the REST API, its answer in two forms."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from application.permits import Operation
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
from entrypoints.mcp.rest import Json, Rest

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
        arguments = decoded(json.dumps(given), self.arguments)
        return await self.run(rest, arguments)


async def _remember(rest: Rest, given: RememberArguments) -> Said:
    body = msgspec.to_builtins(given)
    source = {name: body.pop(name) for name in ("actor", "session") if name in body}
    if source:
        body["source"] = source
    stored = _read(await rest.ask("/v1/memories", body), results.Remembered)
    verb = "already known as" if stored.deduplicated else "remembered as"
    return stored, f"{verb} {stored.memory.id}: {forms.cut(stored.memory.content, 50)}"


async def _recall(rest: Rest, given: RecallArguments) -> Said:
    body = msgspec.to_builtins(given)
    budget = body.pop("budget_tokens", given.budget_tokens)
    body["k"] = given.k
    recalled = _read(await rest.ask("/v1/recall", body), results.Recalled)
    lines = forms.fitting(forms.recalled_lines(recalled), budget)
    recalled.omitted = len(recalled.hits) - len(lines)
    recalled.hits = recalled.hits[: len(lines)]
    if not recalled.hits:
        return recalled, "nothing is remembered about that"
    title = f"{len(lines)} memories, best first:"
    if recalled.degraded:
        title = f"{title} (not asked: {', '.join(recalled.degraded)})"
    return recalled, forms.listed(title, lines, recalled.omitted)


async def _get(rest: Rest, given: GetArguments) -> Said:
    known_at = None if given.known_at is None else given.known_at.isoformat()
    found = await rest.get(f"/v1/memories/{_part(given.id)}", known_at=known_at)
    memory = _read(found, results.FoundMemory)
    return memory, forms.cut(forms.described(memory), given.budget_tokens)


async def _forget(rest: Rest, given: ForgetArguments) -> Said:
    await rest.delete(f"/v1/memories/{_part(given.id)}", erase=given.erase)
    what = "erased" if given.erase else "forgotten"
    return results.Forgotten(given.id, given.erase), f"{what}: {given.id}"


async def _link(rest: Rest, given: LinkArguments) -> Said:
    body = {name: getattr(given, name) for name in given.__struct_fields__}
    link = _read(await rest.ask("/v1/links", body), results.FoundLink)
    return link, f"linked: {link.source} -{link.type}-> {link.target}"


async def _explore(rest: Rest, given: ExploreArguments) -> Said:
    if given.to is not None:
        found = await rest.get("/v1/paths", source=given.id, target=given.to, type=given.type)
        explored = results.Explored(
            path=_read(found["memories"], list[results.FoundMemory]),
            links=_read(found["links"], list[results.FoundLink]),
        )
    else:
        found = await rest.get(
            f"/v1/memories/{_part(given.id)}/neighbors",
            type=given.type,
            direction=given.direction,
            depth=given.depth,
            limit=given.limit,
        )
        explored = results.Explored(neighbors=_read(found["items"], list[results.Neighbor]))
    lines = forms.fitting(forms.explored_lines(explored), given.budget_tokens)
    explored.omitted = max(len(explored.neighbors), len(explored.path)) - len(lines)
    explored.neighbors = explored.neighbors[: len(lines)]
    explored.path = explored.path[: len(lines)]
    if not lines:
        return explored, "nothing is linked to it"
    title = "the path:" if given.to is not None else "linked, nearest first:"
    return explored, forms.listed(title, lines, explored.omitted)


async def _stats(rest: Rest, given: StatsArguments) -> Said:
    found = await rest.get("/v1/namespaces", under=given.namespace, limit=given.limit)
    stats = results.Stats(
        namespaces=_read(found["items"], list[results.NamespaceCounts]),
        more=found["next_cursor"] is not None,
    )
    lines = forms.fitting(forms.stats_lines(stats), given.budget_tokens)
    stats.omitted = len(stats.namespaces) - len(lines)
    stats.namespaces = stats.namespaces[: len(lines)]
    if not lines:
        return stats, "nothing is remembered yet"
    return stats, forms.listed("namespaces:", lines, stats.omitted)


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
        description="Show one memory by its id, in full, as it is or as it was known at a time.",
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
