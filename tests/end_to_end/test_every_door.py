"""What is stored through one door is recalled through every other one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import grpc
import httpx
import pytest

from entrypoints.grpc.wire import memory_pb2 as wire
from entrypoints.grpc.wire.memory_pb2_grpc import MemoryServiceStub
from tests.end_to_end.http_server import ROOT, TIMEOUT_SECONDS, Served, served
from tests.end_to_end.mcp_client import called, over_http, over_stdio

SPACE = "acme/doors"
DOORS = ("REST", "gRPC", "MCP over HTTP", "MCP over stdio", "command line")

_ADDRESS = re.compile(r"127\.0\.0\.1:\d+")


def command(data: Path, *arguments: str) -> str:
    """Run a command on the data directory of the server, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", "from entrypoints.cli import main; main()", *arguments],
        env={"PATH": "", "PYTHONPATH": str(ROOT), "SOMA_DATA_DIR": str(data)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=True,
    )
    return done.stdout


async def store(door: str, server: Served, address: str, content: str) -> None:
    """Store a memory through a door."""
    if door == "REST":
        with server.client() as http:
            body = {"content": content, "namespace": SPACE, "wait": "stored"}
            assert http.post("/v1/memories", json=body).status_code == httpx.codes.CREATED
    elif door == "gRPC":
        async with grpc.aio.insecure_channel(address) as channel:
            draft = wire.Draft(content=content, namespace=SPACE)
            request = wire.StoreRequest(memory=draft, wait=wire.WAIT_STORED)
            await MemoryServiceStub(channel).Store(request)
    elif door == "MCP over HTTP":
        async with over_http(server.url, {}) as client:
            await called(client, "remember", content=content, namespace=SPACE)
    elif door == "MCP over stdio":
        async with over_stdio(server.data) as client:
            await called(client, "remember", content=content, namespace=SPACE)
    else:
        command(server.data, "remember", content, "--namespace", SPACE, "--wait", "stored")


async def recalled(door: str, server: Served, address: str, query: str) -> str:
    """Recall through a door, and return all that it says."""
    if door == "REST":
        with server.client() as http:
            body = {"query": query, "namespace": SPACE}
            return http.post("/v1/recall", json=body).text
    if door == "gRPC":
        async with grpc.aio.insecure_channel(address) as channel:
            request = wire.RecallRequest(query=query, namespace=SPACE)
            return str(await MemoryServiceStub(channel).Recall(request))
    if door == "MCP over HTTP":
        async with over_http(server.url, {}) as client:
            return str(await called(client, "recall", query=query, namespace=SPACE))
    if door == "MCP over stdio":
        async with over_stdio(server.data) as client:
            return str(await called(client, "recall", query=query, namespace=SPACE))
    return command(server.data, "recall", query, "--namespace", SPACE, "--json")


@pytest.mark.timeout(240)
async def test_each_door_recalls_what_each_other_door_has_stored(tmp_path: Path) -> None:
    with served(tmp_path, {"SOMA_GRPC_PORT": "0"}) as server:
        assert server.process.stdout is not None
        address = _ADDRESS.search(server.process.stdout.readline())
        assert address is not None
        for number, door in enumerate(DOORS):
            await store(door, server, address[0], f"kettle{number} is on the stove")

        answers = {
            door: await recalled(door, server, address[0], "which kettle is on the stove")
            for door in DOORS
        }

    missing = [
        (stored_through, door)
        for number, stored_through in enumerate(DOORS)
        for door, answer in answers.items()
        if f"kettle{number} is on the stove" not in answer
    ]
    assert missing == []
