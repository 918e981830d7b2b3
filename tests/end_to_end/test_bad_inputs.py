"""The same bad input is refused alike through every door, in the door's own form."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from container import build, running
from entrypoints.cli.program import run
from entrypoints.errors import MISUSED, OUTCOMES, REFUSED
from entrypoints.grpc.server import grpc_served
from entrypoints.grpc.wire import memory_pb2 as wire
from entrypoints.grpc.wire.memory_pb2_grpc import MemoryServiceStub
from tests.end_to_end.bad_inputs import BAD_INPUTS, CLI, GRPC, MCP, REST, BadInput
from tests.end_to_end.embedded import settings_for
from tests.end_to_end.grpc_client import refusal_of
from tests.end_to_end.http_server import DIMENSION, Served, problem
from tests.end_to_end.mcp_client import over_http, text_of

#: What a refusal says: the name of the input, and what was seen.
Seen = dict[str, object]


def through(door: str) -> list[BadInput]:
    return [bad for bad in BAD_INPUTS if door in bad.doors]


def test_every_input_has_a_name_of_its_own() -> None:
    names = [bad.name for bad in BAD_INPUTS]

    assert sorted(set(names)) == sorted(names)


# --- REST ----------------------------------------------------------------------------------------


def _over_rest(http: httpx.Client, bad: BadInput) -> httpx.Response:
    if bad.operation == "neighbors":
        given = dict(bad.arguments)
        return http.get(f"/v1/memories/{given.pop('id')}/neighbors", params=given)
    path = {"remember": "/v1/memories", "recall": "/v1/recall", "link": "/v1/links"}[bad.operation]
    return http.post(path, content=json.dumps(bad.arguments))


@pytest.mark.parametrize("bad", through(REST), ids=lambda bad: bad.name)
def test_rest_answers_with_a_problem_that_names_the_field(
    http: httpx.Client, bad: BadInput
) -> None:
    answer = _over_rest(http, bad)

    outcome = OUTCOMES[bad.error]
    body = problem(answer, outcome.status)
    assert body["type"].endswith(f":{outcome.slug}")
    assert [bad.field] == [error["field"] for error in body["errors"]]


# --- gRPC ----------------------------------------------------------------------------------------


async def test_grpc_answers_with_a_status_that_names_the_field(tmp_path: Path) -> None:
    seen: Seen = {}
    settings = settings_for(tmp_path, embedder="none", vector_dimension=DIMENSION, grpc_port=0)
    async with (
        running(build(settings)) as container,
        grpc_served(container, asyncio.Event()) as address,
        grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel,
    ):
        for bad in through(GRPC):
            call, request = _grpc_call(MemoryServiceStub(channel), bad)
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call(request)
            refusal = refusal_of(raised.value)
            seen[bad.name] = (refusal.code.name, refusal.slug, list(refusal.fields))

    outcomes = {bad.name: OUTCOMES[bad.error] for bad in through(GRPC)}
    assert seen == {
        bad.name: (outcomes[bad.name].grpc, outcomes[bad.name].slug, [bad.field])
        for bad in through(GRPC)
    }


def _grpc_call(stub: MemoryServiceStub, bad: BadInput) -> tuple[Callable[[Message], Any], Message]:
    if bad.operation == "remember":
        request = wire.StoreRequest()
        _fill(request.memory, bad.arguments)
        return stub.Store, request
    call, message = {
        "recall": (stub.Recall, wire.RecallRequest()),
        "link": (stub.Link, wire.LinkRequest()),
        "neighbors": (stub.Neighbors, wire.NeighborsRequest()),
    }[bad.operation]
    _fill(message, bad.arguments)
    return call, message


def _fill(message: Message, values: Mapping[str, Any]) -> None:
    """Write values as a client would: an object as JSON text, a time as a Timestamp."""
    for name, value in values.items():
        known = message.DESCRIPTOR.fields_by_name
        if f"{name}_json" in known:
            setattr(message, f"{name}_json", json.dumps(value))
            continue
        kind: Any = known[name]
        there = getattr(message, name)
        if isinstance(there, Timestamp):
            there.FromJsonString(value)
        elif kind.is_repeated and kind.message_type is None:
            there.extend(value)
        elif kind.is_repeated and kind.message_type.GetOptions().map_entry:
            there.update(value)
        elif kind.is_repeated:
            for item in value:
                _fill(there.add(), item)
        elif isinstance(value, Mapping):
            _fill(there, value)
        else:
            setattr(message, name, value)


# --- MCP -----------------------------------------------------------------------------------------

TOOLS = {"remember": "remember", "recall": "recall", "link": "link", "neighbors": "explore"}


async def test_mcp_answers_with_an_error_of_the_tool_that_names_the_field(server: Served) -> None:
    seen: Seen = {}
    async with over_http(server.url, {}) as client:
        for bad in through(MCP):
            result = await client.call_tool(TOOLS[bad.operation], _tool_arguments(bad))
            said = text_of(result)
            if not result.is_error or not said.startswith(f"refused: {bad.field}: "):
                seen[bad.name] = said

    assert seen == {}


def _tool_arguments(bad: BadInput) -> dict[str, Any]:
    given = dict(bad.arguments)
    if bad.operation == "remember":  # actor and session stand beside the other arguments
        given |= given.pop("source", {})
    return given


# --- Command line --------------------------------------------------------------------------------

POSITIONAL = {
    "remember": ("content",),
    "recall": ("query",),
    "link": ("source", "target"),
    "neighbors": ("id",),
}
OPTIONS = {"tags": "tag", "tags_any": "any-tag", "kinds": "kind", "ttl_seconds": "ttl"}


def test_a_command_is_refused_in_one_line_that_names_the_field(
    server: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    missed = {}
    for bad in through(CLI):
        code = _run(server.data, bad)
        lines = capsys.readouterr().err.splitlines()
        if not _is_refused(bad, code, lines):
            missed[bad.name] = (code, lines)

    assert missed == {}


def _is_refused(bad: BadInput, code: object, lines: list[str]) -> bool:
    """Tell whether it was refused in one line, or as a mistake of use that names the option."""
    if len(lines) == 1:
        # By its option, where it is a setting: those are checked before anything is asked.
        named = (f"soma: {bad.field}: ", f"soma: --{bad.field}: ")
        return code in {REFUSED, MISUSED} and lines[0].startswith(named)
    option = bad.field.partition("[")[0].rpartition(".")[2]
    return code == MISUSED and f"--{OPTIONS.get(option, option).replace('_', '-')}" in lines[-1]


def _run(data: Path, bad: BadInput) -> object:
    """Run a command in this process; what a process adds, the tests of the command line show."""
    given = dict(bad.arguments)
    texts = [str(given.pop(name)) for name in POSITIONAL[bad.operation]]
    try:
        return run([bad.operation, f"--data={data}", *_options(given), "--", *texts])
    except SystemExit as left:  # how argparse tells of a mistake of use
        return left.code


def _options(given: Mapping[str, Any]) -> Iterator[str]:
    for name, value in given.items():
        flag = "-k" if name == "k" else f"--{OPTIONS.get(name, name).replace('_', '-')}"
        if name == "source":
            yield from _options(value)
        elif name == "box":
            yield f"--box={_joined(value['min'])}:{_joined(value['max'])}"
        elif name == "coordinate":
            yield f"--coordinate={_joined(value)}"
        elif isinstance(value, list):
            yield from (f"{flag}={item}" for item in value)
        elif isinstance(value, dict):
            yield f"{flag}={json.dumps(value)}"
        else:
            yield f"{flag}{'' if name == 'k' else '='}{value}"


def _joined(numbers: Iterable[float]) -> str:
    return ",".join(str(number) for number in numbers)
