"""The MCP server: what it says of itself, and how a call becomes a tool's result."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import mcp_types as types
import msgspec
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from domain.errors import InvalidInput
from entrypoints.mcp.forms import cut
from entrypoints.mcp.rest import Refused, Rest
from entrypoints.mcp.tools import TOOLS, Tool

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

NAME = "soma"
#: A refusal names its field, and a model may have made up any name.
REFUSAL_TOKENS = 250
INSTRUCTIONS = (
    "Long-term memory. Recall before answering what may depend on earlier conversations; remember "
    "what will matter again, one statement at a time; forget what is wrong or unwanted."
)

RestOf = Callable[["ServerRequestContext[Any]"], Rest]


def create_server(version: str, rest_of: RestOf, *, namespace: str | None = None) -> Server[Any]:
    """Put the server together; `rest_of` says on whose behalf a request calls the memory.

    `namespace` stands where a call of `remember` or `recall` names none.
    """
    tools = {tool.name: tool for tool in TOOLS}
    described = types.ListToolsResult(tools=[_described(tool) for tool in TOOLS])

    async def list_tools(
        _: ServerRequestContext[Any], __: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return described

    async def call_tool(
        context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        tool = tools.get(params.name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, f"there is no tool {params.name!r}")
        given = dict(params.arguments or {})
        if namespace is not None and "namespace" in tool.arguments.__struct_fields__:
            given.setdefault("namespace", namespace)
        return await result_of(tool, rest_of(context), given)

    return Server(
        NAME,
        version=version,
        title="Soma Fractal Memory",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def result_of(tool: Tool, rest: Rest, given: dict[str, Any]) -> types.CallToolResult:
    """Call a tool; what it refuses is a result too."""
    try:
        result, text = await tool(rest, given)
    except (InvalidInput, Refused) as error:
        said = cut(f"refused: {error}", REFUSAL_TOKENS)
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=said)], is_error=True
        )
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)],
        structured_content=msgspec.to_builtins(result),
    )


def _described(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=schema_of(tool.arguments),
        output_schema=schema_of(tool.result),
        annotations=types.ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.read_only,
            destructive_hint=tool.destructive,
            # Storing, linking and forgetting twice is doing it once.
            idempotent_hint=True,
            open_world_hint=False,
        ),
    )


def schema_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return a JSON schema whose root is the object itself, as the protocol wants it."""
    (_,), definitions = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    root = dict(definitions.pop(kind.__name__))
    if definitions:
        root["$defs"] = definitions
    return root
