"""The commands for whoever runs Soma: stats, reindex, reconcile, serve."""

from __future__ import annotations

import argparse
from pathlib import Path

from domain.errors import DataDirectoryBusy
from entrypoints.cli.client import Json, connected
from entrypoints.cli.ownership import opened
from entrypoints.cli.printing import announce, note, say, show_json, show_table
from entrypoints.cli.watching import result_of

PAGE = 1000


async def stats(options: argparse.Namespace) -> int:
    """Show what each namespace holds (all of them, or those under --namespace)."""
    async with connected(options) as api:
        rows: list[Json] = []
        cursor = None
        while True:
            page = await api.get(
                "/v1/namespaces", under=options.namespace, limit=PAGE, cursor=cursor
            )
            rows += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        if options.json:
            show_json({"items": rows, "next_cursor": None})
            return 0
        columns = ("memories", "links", "head", "pending_vectors", "path")
        show_table(columns, [[row[column] for column in columns] for row in rows])
    return 0


async def reindex(options: argparse.Namespace) -> int:
    """Queue the vectors that are missing; with --model, those of another embedding model."""
    async with connected(options) as api:
        job = await api.send("POST", "/v1/maintenance/reindex", model=options.model, wait=False)
        answer = await result_of(api, job)
        if options.json:
            show_json(answer)
        else:
            say(f"queued {answer['queued']} vectors")
    return 0


async def reconcile(options: argparse.Namespace) -> int:
    """Compare everything derived with the canonical store; 1 when a check finds something."""
    settings = options.settings
    if not options.check and (settings.url is None or options.data is not None):
        async with opened(settings) as directory:
            if analysed := await directory.reanalyse():
                note(f"analysed {analysed} memories as {settings.language}")
    async with connected(options) as api:
        job = await api.send("POST", "/v1/maintenance/reconcile", check=options.check, wait=False)
        answer = await result_of(api, job)
        findings = answer["findings"]
        if options.json:
            show_json(answer)
        elif findings:
            show_table(("subject", "detail"), [(f["subject"], f["detail"]) for f in findings])
        else:
            say("everything agrees")
    return 1 if findings and options.check else 0


async def serve(options: argparse.Namespace) -> int:
    """Serve over HTTP until told to stop: the data directory, or the servers that are set."""
    from entrypoints.http.server import serve_http

    settings = options.settings
    if settings.profile == "server":
        # Replicas share the database: there is nothing here that one of them could own.
        from container import build, running

        async with running(build(settings)) as container:
            await serve_http(
                container,
                host=settings.host,
                port=settings.port,
                socket_path=None,
                ready=_announce,
                grpc_ready=_announce_grpc,
            )
        return 0
    async with opened(settings) as directory:
        owned = await directory.own()
        if owned is None:
            raise DataDirectoryBusy(f"{settings.data_dir} is owned by another process")
        # The path of the socket may be too long for the kernel: serve it through the short one.
        await serve_http(
            owned,
            host=settings.host,
            port=settings.port,
            socket_path=Path(directory.address),
            ready=_announce,
            grpc_ready=_announce_grpc,
        )
    return 0


async def grpc(options: argparse.Namespace) -> int:
    """Serve gRPC until told to stop; the socket of an embedded store is served beside it."""
    from container import build, running
    from entrypoints.grpc.server import serve_grpc
    from entrypoints.http.server import serve_socket

    settings = options.settings
    if settings.profile == "server":
        async with running(build(settings)) as container:
            await serve_grpc(container, ready=_announce_grpc)
        return 0
    async with opened(settings) as directory:
        owned = await directory.own()
        if owned is None:
            raise DataDirectoryBusy(
                f"{settings.data_dir} is owned by another process: set SOMA_GRPC_PORT there"
            )
        async with serve_socket(owned, Path(directory.address)):
            await serve_grpc(owned, ready=_announce_grpc)
    return 0


async def mcp(options: argparse.Namespace) -> int:
    """Speak MCP over stdin and stdout until stdin ends."""
    from entrypoints.mcp.stdio import serve_stdio

    await serve_stdio(options)
    return 0


async def worker(options: argparse.Namespace) -> int:
    """Relay, index, ingest and repair until told to stop; needs the server profile."""
    from container import build, running_worker
    from domain.errors import ConfigurationError
    from entrypoints.worker.program import run_worker

    settings = options.settings
    if settings.profile != "server":
        raise ConfigurationError("a worker needs SOMA_POSTGRES_URL: an embedded store has its own")
    async with running_worker(build(settings)) as container:
        await run_worker(container, ready=_announce_worker)
    return 0


async def replay_dead_letters(options: argparse.Namespace) -> int:
    """Send parked messages back to the topic they came from."""
    from container import build
    from domain.errors import ConfigurationError

    settings = options.settings
    if settings.kafka_servers is None:
        raise ConfigurationError("there is no event log: SOMA_KAFKA_SERVERS is not set")
    dead_letters = build(settings).dead_letters()
    try:
        sent = await dead_letters.replay(options.topic, limit=options.limit)
    finally:
        await dead_letters.close()
    if options.json:
        show_json({"sent": sent})
    else:
        say(f"sent {sent} messages back to {options.topic}")
    return 0


def _announce(url: str) -> None:
    announce(f"Soma listens on {url} (OpenAPI: {url}/schema)")


def _announce_grpc(address: str) -> None:
    announce(f"Soma listens on {address} (gRPC, soma.v1.MemoryService)")


def _announce_worker(url: str) -> None:
    announce(f"the worker works; health and metrics: {url}")
