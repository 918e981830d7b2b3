"""The commands on links: link, unlink, neighbors, path."""

from __future__ import annotations

import argparse

from entrypoints.cli.client import connected
from entrypoints.cli.memories import segment
from entrypoints.cli.printing import note, say, show_json, show_table


async def link(options: argparse.Namespace) -> int:
    """Link two memories, or change the weight and properties of their link."""
    body = {
        "source": options.source,
        "target": options.target,
        "type": options.type,
        "weight": options.weight,
        "properties": options.properties or {},
    }
    async with connected(options) as api:
        answer = await api.send("POST", "/v1/links", body=body)
        if options.json:
            show_json(answer)
        else:
            say(f"linked {options.source} --{options.type}--> {options.target}")
    return 0


async def unlink(options: argparse.Namespace) -> int:
    """Remove one link."""
    edge = {"source": options.source, "target": options.target, "type": options.type}
    async with connected(options) as api:
        await api.send("DELETE", "/v1/links", **edge)
        if options.json:
            show_json({**edge, "unlinked": True})
        else:
            say(f"unlinked {options.source} --{options.type}--> {options.target}")
    return 0


async def neighbors(options: argparse.Namespace) -> int:
    """Show what is reached from a memory along links, nearest first."""
    async with connected(options) as api:
        answer = await api.get(
            f"/v1/memories/{segment(options.id)}/neighbors",
            type=options.type,
            direction=options.direction,
            depth=options.depth,
            limit=options.limit,
        )
        if options.json:
            show_json(answer)
            return 0
        rows = [
            (
                item["depth"],
                ", ".join(sorted({edge["type"] for edge in item["links"]})),
                item["memory"]["id"],
                item["memory"]["content"],
            )
            for item in answer["items"]
        ]
        if rows:
            show_table(("depth", "links", "id", "content"), rows, below=("id",))
        else:
            note("no neighbors")
    return 0


async def path(options: argparse.Namespace) -> int:
    """Show the shortest path from one memory to another."""
    async with connected(options) as api:
        answer = await api.get(
            "/v1/paths",
            source=options.source,
            target=options.target,
            type=options.type,
            weighted=options.weighted,
        )
        if options.json:
            show_json(answer)
            return 0
        edges = ["", *(f"{edge['type']} {edge['weight']:g}" for edge in answer["links"])]
        rows = [
            (edge, memory["id"], memory["content"])
            for edge, memory in zip(edges, answer["memories"], strict=True)
        ]
        show_table(("link", "id", "content"), rows, below=("id",))
    return 0
