"""The commands and their options. Standard library only: this is all that `--help` loads."""

from __future__ import annotations

import argparse
from pathlib import Path

from entrypoints.cli.values import box, header, json_object, numbers, seconds, signal, weight

Commands = argparse._SubParsersAction  # argparse has no public name for it


def build_parser() -> argparse.ArgumentParser:
    """Describe every command; `options.command` is `module:function` of what runs it."""
    parser = argparse.ArgumentParser(
        prog="soma",
        description="A memory for AI agents: remember, recall, link, correct, forget.",
        epilog="Without --url a command works on a data directory (--data, SOMA_DATA_DIR).",
    )
    commands = parser.add_subparsers(metavar="command", required=True)
    _add_remember(commands)
    _add_revise(commands)
    _add_recall(commands)
    _add_reading(commands)
    _add_links(commands)
    _add_transfer(commands)
    _add_keys(commands)
    _add_operations(commands)
    _add_jobs(commands)
    _add_backups(commands)
    return parser


def _add(
    commands: Commands[argparse.ArgumentParser], name: str, runs: str, summary: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary, description=summary)
    command.set_defaults(command=runs)
    where = command.add_argument_group("where")
    where.add_argument("-n", "--namespace", metavar="PATH", help="such as acme/support/alice")
    where.add_argument("--json", action="store_true", help="print what the API answers")
    place = where.add_mutually_exclusive_group()
    place.add_argument("--data", type=Path, metavar="DIR", help="data directory")
    place.add_argument("--url", help="a Soma server, such as http://127.0.0.1:8420")
    where.add_argument("--key", help="API key of that server")
    return command


def _add_remember(commands: Commands[argparse.ArgumentParser]) -> None:
    command = _add(commands, "remember", "memories:remember", "store a memory")
    command.add_argument("text", help="what to remember, or - to read it from standard input")
    _add_fields(command)
    command.add_argument("--actor", help="who said or did it")
    command.add_argument("--session", help="the session it belongs to")
    _add_wait(command, "indexed")
    command.add_argument(
        "--idempotency-key", type=header, metavar="KEY", help="makes a repetition harmless"
    )
    command.add_argument(
        "--no-deduplicate", action="store_true", help="store it even if it is already known"
    )


def _add_revise(commands: Commands[argparse.ArgumentParser]) -> None:
    command = _add(commands, "revise", "memories:revise", "change fields of a memory")
    command.add_argument("id")
    command.add_argument("--content", metavar="TEXT", help="new text, or - for standard input")
    _add_fields(command)
    command.add_argument("--unpinned", dest="pinned", action="store_false", help="undo --pinned")
    command.add_argument(
        "--clear", action="append", default=[], metavar="FIELD", help="empty a field (repeat)"
    )
    command.add_argument(
        "--if-version", type=int, metavar="N", help="only if the memory is still at version N"
    )
    _add_wait(command, "indexed")


def _add_fields(command: argparse.ArgumentParser) -> None:
    fields = command.add_argument_group("fields")
    fields.add_argument("--kind", choices=("episodic", "semantic", "procedural"))
    fields.add_argument(
        "--tag", dest="tags", action="append", metavar="TAG", help="repeat for more"
    )
    fields.add_argument("--payload", type=json_object, metavar="JSON", help="a JSON object")
    fields.add_argument(
        "--coordinate", type=numbers, metavar="X,Y,...", help="--coordinate=-1,2 when negative"
    )
    fields.add_argument("--importance", type=float, metavar="X", help="0 or more, default 1")
    fields.add_argument("--pinned", action="store_true", default=None)
    fields.add_argument("--occurred-at", metavar="TIME", help="such as 2026-01-31T12:00:00Z")
    fields.add_argument("--valid-from", metavar="TIME")
    fields.add_argument("--valid-to", metavar="TIME")
    fields.add_argument(
        "--ttl", dest="ttl_seconds", type=seconds, metavar="TIME", help="life: 90, 15m, 12h, 7d"
    )


def _add_recall(commands: Commands[argparse.ArgumentParser]) -> None:
    command = _add(commands, "recall", "memories:recall", "find memories by meaning and words")
    command.add_argument("query", help="what to look for, or - to read it from standard input")
    command.add_argument("-k", type=int, default=10, metavar="N", help="how many hits, default 10")
    _add_filters(command)
    command.add_argument("--min-relevance", type=float, metavar="X", help="0 to 1")
    command.add_argument(
        "--where",
        type=json_object,
        metavar="JSON",
        help='on the payload: {"city": {"eq": "Rome"}}',
    )
    command.add_argument(
        "--box", type=box, metavar="MIN:MAX", help="coordinates such as --box=0,0:9,9"
    )
    command.add_argument("--expand", type=int, metavar="HOPS", help="follow links from the hits")
    command.add_argument("--explain", action="store_true", help="show the parts of every score")
    command.add_argument(
        "--budget-tokens", type=int, metavar="N", help="also print a context block of this size"
    )
    ranking = command.add_argument_group("ranking (docs/recall.md names parts and signals)")
    judged = "have the best judged, or not; else as the namespace says"
    ranking.add_argument("--rerank", action=argparse.BooleanOptionalAction, help=judged)
    ranking.add_argument(
        "--weight",
        dest="weights",
        type=weight,
        action="append",
        metavar="PART=X",
        help="of a part of the score, such as lexical=0.6 (repeat)",
    )
    ranking.add_argument(
        "--signal",
        dest="signals",
        type=signal,
        action="append",
        metavar="NAME=on|off",
        help="whether a signal counts, such as speaker=off (repeat)",
    )


def _add_filters(command: argparse.ArgumentParser) -> None:
    filters = command.add_argument_group("filters")
    _add_scope(filters)
    filters.add_argument("--kind", dest="kinds", action="append", help="repeat for more")
    filters.add_argument("--tag", dest="tags", action="append", help="all of them (repeat)")
    filters.add_argument("--any-tag", dest="tags_any", action="append", help="any of them (repeat)")
    filters.add_argument("--occurred-after", metavar="TIME")
    filters.add_argument("--occurred-before", metavar="TIME")
    filters.add_argument("--level", type=int, metavar="N", help="0 is what was stored")
    filters.add_argument("--actor", help="who said or did it")
    filters.add_argument("--session")
    filters.add_argument("--as-of", metavar="TIME", help="what was valid then, instead of now")
    filters.add_argument("--include-expired", action="store_true", help="whatever its validity")


def _add_reading(commands: Commands[argparse.ArgumentParser]) -> None:
    get = _add(commands, "get", "memories:get", "show one memory")
    get.add_argument("id")
    get.add_argument("--known-at", metavar="TIME", help="as Soma knew it then")
    listing = _add(commands, "list", "memories:listing", "list memories, newest first")
    _add_filters(listing)
    _add_page(listing)
    forget = _add(commands, "forget", "memories:forget", "forget memories for good")
    forget.add_argument("ids", nargs="+", metavar="id")
    forget.add_argument("--erase", action="store_true", help="also remove content and history")
    history = _add(commands, "history", "memories:history", "show every version of a memory")
    history.add_argument("id")
    _add_page(history)


def _add_links(commands: Commands[argparse.ArgumentParser]) -> None:
    link = _add(commands, "link", "links:link", "link two memories")
    link.add_argument("source")
    link.add_argument("target")
    link.add_argument("--type", default="related", help="default: related")
    link.add_argument("--weight", type=float, default=1.0, metavar="X", help="strength, default 1")
    link.add_argument("--properties", type=json_object, metavar="JSON")
    unlink = _add(commands, "unlink", "links:unlink", "remove a link")
    unlink.add_argument("source")
    unlink.add_argument("target")
    unlink.add_argument("--type", default="related", help="default: related")
    neighbors = _add(commands, "neighbors", "links:neighbors", "show what is linked to a memory")
    neighbors.add_argument("id")
    neighbors.add_argument("--type", help="only links of this type")
    neighbors.add_argument("--direction", choices=("out", "in", "both"), default="both")
    neighbors.add_argument("--depth", type=int, default=1, metavar="HOPS")
    neighbors.add_argument("--limit", type=int, default=100, metavar="N")
    path = _add(commands, "path", "links:path", "find the shortest path between two memories")
    path.add_argument("source")
    path.add_argument("target")
    path.add_argument("--type", help="only links of this type")
    path.add_argument("--weighted", action="store_true", help="prefer strong links to few links")


def _add_transfer(commands: Commands[argparse.ArgumentParser]) -> None:
    importing = _add(commands, "import", "transfer:import_file", "load memories from NDJSON")
    importing.add_argument("file", help="a file, or - for standard input")
    _add_wait(importing, None)
    importing.add_argument("--resume", metavar="JOB", help="go on with an import of the same file")
    export = _add(commands, "export", "transfer:export_file", "write memories as NDJSON")
    export.add_argument("file", nargs="?", default="-", help="a file (default: standard output)")
    _add_scope(export, "subtree")
    export.add_argument("--vectors", action="store_true", help="with their embedding vectors")
    export.add_argument("--resume", action="store_true", help="go on with what broke off")


def _add_keys(commands: Commands[argparse.ArgumentParser]) -> None:
    keys = _add(commands, "keys", "keys:listing", "make, list and revoke API keys")
    actions = keys.add_subparsers(metavar="action")
    create = _add(actions, "create", "keys:create", "make a key; its token is shown once")
    create.add_argument("name", help="who will use it, such as support-bot")
    create.add_argument(
        "--permission",
        choices=("read", "write", "admin"),
        required=True,
        help="each includes those before it",
    )
    create.add_argument("--everywhere", action="store_true", help="not bound to a namespace")
    create.add_argument("--ttl", type=seconds, metavar="TIME", help="life: 12h, 7d, 52w")
    _add(actions, "list", "keys:listing", "list keys, never their tokens")
    revoke = _add(actions, "revoke", "keys:revoke", "revoke a key for good")
    revoke.add_argument("id", help="as `soma keys list` shows it")


def _add_operations(commands: Commands[argparse.ArgumentParser]) -> None:
    _add(commands, "stats", "operations:stats", "show what the namespaces hold")
    reindexing = _add(commands, "reindex", "operations:reindex", "compute missing vectors")
    reindexing.add_argument("--model", help="change to this embedder (bge-small or openai)")
    reconcile = _add(
        commands, "reconcile", "operations:reconcile", "compare what is derived with the truth"
    )
    reconcile.add_argument("--check", action="store_true", help="only report, repair nothing")
    _add(commands, "doctor", "doctor:doctor", "check the installation, show the settings")
    _add(commands, "migrate", "migrating:migrate", "bring the schema of the store up to date")
    serve = _add(commands, "serve", "operations:serve", "serve the REST API")
    serve.add_argument("--host", help="default 127.0.0.1")
    serve.add_argument("--port", type=int, help="default 8420")
    grpc = _add(commands, "grpc", "operations:grpc", "serve gRPC, and nothing else")
    grpc.add_argument("--grpc-host", help="default 127.0.0.1")
    grpc.add_argument("--grpc-port", type=int, help="default 8422")
    _add(commands, "mcp", "operations:mcp", "offer the memory as MCP tools over stdin and stdout")
    worker = _add(commands, "worker", "operations:worker", "relay, index, ingest and repair")
    worker.add_argument("--worker-host", help="address of health and metrics, default 127.0.0.1")
    worker.add_argument("--worker-port", type=int, help="default 8421")
    replay = _add(
        commands,
        "replay-dead-letters",
        "operations:replay_dead_letters",
        "send parked messages back to their topic",
    )
    replay.add_argument("--topic", default="memory.ingest", help="default: memory.ingest")
    replay.add_argument("--limit", type=int, default=1000, metavar="N", help="at most N messages")
    _add(commands, "demo", "demo:demo", "show everything on a small conversation")


def _add_backups(commands: Commands[argparse.ArgumentParser]) -> None:
    backup = _add(commands, "backup", "backups:backup", "copy the whole store to a new folder")
    what = backup.add_mutually_exclusive_group(required=True)
    what.add_argument("--to", type=Path, metavar="PATH", help="the folder to make")
    what.add_argument("--verify", type=Path, metavar="PATH", help="check a backup instead")
    restore = _add(commands, "restore", "backups:restore", "put a backup in the store's place")
    restore.add_argument("--from", dest="source", type=Path, required=True, metavar="PATH")
    restore.add_argument(
        "--replace", action="store_true", help="even if the store holds memories: they are lost"
    )
    restore.add_argument(
        "--ledger",
        dest="ledgers",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="erasures of another installation, not to come back (repeat)",
    )


def _add_jobs(commands: Commands[argparse.ArgumentParser]) -> None:
    jobs = _add(commands, "jobs", "jobs:jobs", "list, show or cancel jobs")
    jobs.add_argument("action", nargs="?", choices=("list", "show", "cancel"), default="list")
    jobs.add_argument("id", nargs="?", help="which job to show or cancel")
    jobs.add_argument("--kind", help="such as reindex, reconcile, backup, import, export")
    jobs.add_argument("--state", help="queued, running, succeeded, failed or cancelled")
    _add_page(jobs)


def _add_scope(command: argparse._ActionsContainer, default: str = "exact") -> None:
    command.add_argument(
        "--scope", choices=("exact", "subtree"), default=default, help=f"default: {default}"
    )


def _add_page(command: argparse.ArgumentParser) -> None:
    command.add_argument("--limit", type=int, default=50, metavar="N", help="up to 1000")
    command.add_argument("--cursor", help="continue a list where it ended")


def _add_wait(command: argparse.ArgumentParser, default: str | None) -> None:
    command.add_argument(
        "--wait", choices=("indexed", "stored"), default=default, help="come back when it is so"
    )
