"""The official client of MCP, in both transports."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import mcp_types as types
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from tests.end_to_end.http_server import ROOT

TIMEOUT_SECONDS = 60.0


def stdio_parameters(data: Path | None, **variables: str) -> StdioServerParameters:
    """Return how to start `soma mcp` on a data directory, or as variables say."""
    where = [] if data is None else ["--data", str(data)]
    return StdioServerParameters(
        command=sys.executable,
        args=["-c", "from entrypoints.cli import main; main()", "mcp", *where],
        env={"PYTHONPATH": str(ROOT), "SOMA_EMBEDDER": "none", "PATH": "", **variables},
    )


@asynccontextmanager
async def over_stdio(data: Path | None, **variables: str) -> AsyncIterator[Client]:
    """Talk to a process of its own."""
    parameters = stdio_parameters(data, **variables)
    async with Client(parameters, read_timeout_seconds=TIMEOUT_SECONDS) as client:
        yield client


@asynccontextmanager
async def over_http(url: str, headers: Mapping[str, str]) -> AsyncIterator[Client]:
    """Talk to /mcp of a server."""
    async with httpx2.AsyncClient(headers=dict(headers), timeout=TIMEOUT_SECONDS) as http:
        transport = streamable_http_client(f"{url}/mcp", http_client=http)
        async with Client(transport, read_timeout_seconds=TIMEOUT_SECONDS) as client:
            yield client


async def called(client: Client, name: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool that must succeed and return its structured result."""
    result = await client.call_tool(name, arguments)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return dict(result.structured_content)


async def said(client: Client, name: str, **arguments: Any) -> str:
    """Call a tool and return its text."""
    return text_of(await client.call_tool(name, arguments))


def text_of(result: object) -> str:
    """Return the text of a result."""
    assert isinstance(result, types.CallToolResult), result
    [block] = result.content
    assert isinstance(block, types.TextContent)
    return block.text


def as_json(value: object) -> str:
    """Return a value as one string to look for words in."""
    return json.dumps(value)
