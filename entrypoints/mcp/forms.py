"""Results as text for a model: the useful first, and no more than the budget allows."""

from __future__ import annotations

from collections.abc import Sequence

from domain.context_block import token_estimate
from entrypoints.mcp.results import (
    Explored,
    FoundLink,
    FoundMemory,
    NamespaceCounts,
    Recalled,
    Stats,
)

#: What is kept for the first and the last line of a list.
_FRAME_TOKENS = 30
_CUT = " ... (cut)"
_BYTES_PER_TOKEN = 4


def fitting(lines: Sequence[str], budget_tokens: int) -> list[str]:
    """Return as many lines as fit, at least one: the first is cut rather than left out."""
    left = budget_tokens - _FRAME_TOKENS
    kept: list[str] = []
    for line in lines:
        cost = token_estimate(line + "\n")
        if cost > left:
            return kept or [cut(line, left)]
        kept.append(line)
        left -= cost
    return kept


def cut(text: str, budget_tokens: int) -> str:
    """Return a text that fits, and say so where something is missing."""
    room = max(1, budget_tokens) * _BYTES_PER_TOKEN
    data = text.encode()
    if len(data) <= room:
        return text
    return data[: max(0, room - len(_CUT))].decode(errors="ignore") + _CUT


def recalled_lines(recalled: Recalled) -> list[str]:
    """Return a line per hit, best first."""
    return [
        f"{place}. (relevance {hit.relevance:.2f}) {described(hit.memory)}"
        for place, hit in enumerate(recalled.hits, start=1)
    ]


def explored_lines(explored: Explored) -> list[str]:
    """Return a line per memory: nearest first, or along the path."""
    if explored.path:
        links = {(link.source, link.target): link for link in explored.links}
        lines = [f"1. {described(explored.path[0])}"]
        for place, (one, other) in enumerate(
            zip(explored.path, explored.path[1:], strict=False), start=2
        ):
            link = links.get((one.id, other.id))
            lines.append(f"{place}. {f'-{link.type}-> ' if link else ''}{described(other)}")
        return lines
    return [
        f"{place}. ({near.depth} hops, {_types(near.links)}) {described(near.memory)}"
        for place, near in enumerate(explored.neighbors, start=1)
    ]


def stats_lines(stats: Stats) -> list[str]:
    """Return a line per namespace."""
    return [_counted(counts) for counts in stats.namespaces]


def described(memory: FoundMemory) -> str:
    """Return a memory in one line: what it says, then what is known about it."""
    notes = [memory.kind]
    if memory.source.actor:
        notes.append(f"by {memory.source.actor}")
    if memory.occurred_at is not None:
        notes.append(f"{memory.occurred_at:%Y-%m-%d %H:%M}")
    if memory.valid_to is not None:
        notes.append(f"true until {memory.valid_to:%Y-%m-%d}")
    if memory.tags:
        notes.append("tags " + ", ".join(memory.tags))
    content = " ".join(memory.content.split())
    return f"{content} [{'; '.join(notes)}; id {memory.id}]"


def listed(title: str, lines: Sequence[str], omitted: int) -> str:
    """Join a title and its lines; what did not fit is said."""
    more = [f"({omitted} more did not fit into the budget)"] if omitted else []
    return "\n".join([title, *lines, *more])


def _types(links: Sequence[FoundLink]) -> str:
    return ", ".join(dict.fromkeys(link.type for link in links))


def _counted(counts: NamespaceCounts) -> str:
    waiting = f", {counts.pending_vectors} vectors pending" if counts.pending_vectors else ""
    return f"{counts.path}: {counts.memories} memories, {counts.links} links{waiting}"
