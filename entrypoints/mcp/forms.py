"""Results as text for a model: a line for each thing, the useful first."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from entrypoints.mcp.results import FoundHit, FoundMemory, NamespaceCounts, Neighbor, Step

_CUT = " ... (cut)"
BYTES_PER_TOKEN = 4


def cut(text: str, budget_tokens: int) -> str:
    """Return a text that fits, and say so where something is missing."""
    room = max(1, budget_tokens) * BYTES_PER_TOKEN
    data = text.encode()
    if len(data) <= room:
        return text
    return data[: max(0, room - len(_CUT))].decode(errors="ignore") + _CUT


def hit_line(place: int, hit: FoundHit) -> str:
    """Return what a hit says, and how surely it answers."""
    return f"{place}. (relevance {hit.relevance:.2f}) {described(hit.memory)}"


def neighbor_line(place: int, near: Neighbor) -> str:
    """Return what a linked memory says, and how it is linked."""
    types = ", ".join(dict.fromkeys(link.type for link in near.links))
    return f"{place}. ({near.depth} hops{', ' if types else ''}{types}) {described(near.memory)}"


def step_line(place: int, step: Step) -> str:
    """Return what a memory of a path says, and what leads to it."""
    led = f"-{step.link.type}-> " if step.link else ""
    return f"{place}. {led}{described(step.memory)}"


def counts_line(_: int, counts: NamespaceCounts) -> str:
    """Return what a namespace holds."""
    waiting = f", {counts.pending_vectors} vectors pending" if counts.pending_vectors else ""
    return f"{counts.path}: {counts.memories} memories, {counts.links} links{waiting}"


def described(memory: FoundMemory) -> str:
    """Return a memory in one line: what it says, then what is known about it."""
    notes = [] if memory.kind is UNSET else [memory.kind]
    if memory.source and memory.source.actor:
        notes.append(f"by {memory.source.actor}")
    if memory.occurred_at is not None:
        notes.append(f"{memory.occurred_at:%Y-%m-%d %H:%M}")
    if memory.valid_to is not None:
        notes.append(f"true until {memory.valid_to:%Y-%m-%d}")
    if memory.tags:
        notes.append("tags " + ", ".join(memory.tags))
    content = " ".join(memory.content.split())
    return f"{content}{_CUT if memory.cut else ''} [{'; '.join([*notes, f'id {memory.id}'])}]"


def listed(title: str, lines: Sequence[str], omitted: int) -> str:
    """Join a title and its lines; what did not fit is said."""
    more = [f"({omitted} more did not fit into the budget)"] if omitted else []
    return "\n".join([title, *lines, *more])
