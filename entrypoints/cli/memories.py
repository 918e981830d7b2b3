"""The commands on memories: remember, revise, recall, get, list, forget, history."""

from __future__ import annotations

import argparse
import asyncio
import sys
import uuid
from collections.abc import Sequence

from entrypoints.cli.client import Json, connected
from entrypoints.cli.failure import Failure
from entrypoints.cli.printing import (
    moment,
    note,
    one_line,
    say,
    show_fields,
    show_json,
    show_table,
)

FIELDS = (
    "kind",
    "tags",
    "payload",
    "coordinate",
    "importance",
    "pinned",
    "occurred_at",
    "valid_from",
    "valid_to",
    "ttl_seconds",
)
FILTERS = (
    "scope",
    "kinds",
    "tags",
    "tags_any",
    "occurred_after",
    "occurred_before",
    "level",
    "actor",
    "session",
    "as_of",
)


async def remember(options: argparse.Namespace) -> int:
    """Store one memory."""
    body = _given(options, FIELDS)
    body |= namespace_of(options)
    body["content"] = await _text_or_input(options.text)
    source = _given(options, ["actor", "session"])
    if source:
        body["source"] = source
    body["deduplicate"] = not options.no_deduplicate
    body["wait"] = options.wait
    # A key makes it safe to send the request again when the owner of the directory goes away.
    key = options.idempotency_key or str(uuid.uuid4())
    async with connected(options) as api:
        answer = await api.send("POST", "/v1/memories", body=body, headers={"idempotency-key": key})
        _show_remembered(
            answer, "already known" if answer["deduplicated"] else "remembered", options
        )
    return 0


async def revise(options: argparse.Namespace) -> int:
    """Change fields of one memory."""
    body = _given(options, FIELDS)
    if options.content is not None:
        body["content"] = await _text_or_input(options.content)
    body.update(dict.fromkeys(options.clear))
    body["wait"] = options.wait
    headers = {} if options.if_version is None else {"if-match": f'"{options.if_version}"'}
    async with connected(options) as api:
        answer = await api.send(
            "PATCH",
            f"/v1/memories/{segment(options.id)}",
            body=body,
            headers=headers,
            repeatable=options.if_version is None,
        )
        _show_remembered(answer, "revised", options)
    return 0


async def recall(options: argparse.Namespace) -> int:
    """Find memories and show why they were found."""
    body = _given(
        options,
        [*FILTERS, "min_relevance", "where", "box", "expand", "budget_tokens", "k", "rerank"],
    )
    body |= {name: dict(pairs) for name, pairs in _given(options, ["weights", "signals"]).items()}
    body["query"] = await _text_or_input(options.query)
    body |= namespace_of(options)
    body["include_expired"] = options.include_expired
    source = {name: body.pop(name) for name in ("actor", "session") if name in body}
    if source:
        body["source"] = source
    async with connected(options) as api:
        answer = await api.ask("/v1/recall", body)
        show_answer(answer, options)
    return 0


async def get(options: argparse.Namespace) -> int:
    """Show one memory."""
    async with connected(options) as api:
        memory = await api.get(f"/v1/memories/{segment(options.id)}", known_at=options.known_at)
        if options.json:
            show_json(memory)
        else:
            shown = {**memory, "source": one_line(_source(memory))}
            shown["content"] = shown.pop("content")
            show_fields(shown)
    return 0


async def listing(options: argparse.Namespace) -> int:
    """List memories, newest first."""
    filters = _given(options, FILTERS)
    async with connected(options) as api:
        page = await api.get(
            "/v1/memories",
            **namespace_of(options),
            include_expired=options.include_expired,
            limit=options.limit,
            cursor=options.cursor,
            **filters,
        )
        if options.json:
            show_json(page)
            return 0
        rows = [(m["id"], m["kind"], moment(_happened(m)), m["content"]) for m in page["items"]]
        show_table(("id", "kind", "when", "content"), rows, below=("id",))
        _show_continuation(page)
    return 0


async def forget(options: argparse.Namespace) -> int:
    """Forget, or erase, some memories."""
    async with connected(options) as api:
        for memory_id in options.ids:
            await api.send("DELETE", f"/v1/memories/{segment(memory_id)}", erase=options.erase)
            verb = "erased" if options.erase else "forgotten"
            if options.json:
                show_json({"id": memory_id, verb: True})
            else:
                say(f"{verb} {memory_id}")
    return 0


async def history(options: argparse.Namespace) -> int:
    """Show every version of one memory, newest first."""
    async with connected(options) as api:
        page = await api.get(
            f"/v1/memories/{segment(options.id)}/history",
            limit=options.limit,
            cursor=options.cursor,
        )
        if options.json:
            show_json(page)
            return 0
        rows = [
            (
                entry["version"],
                moment(entry["recorded_at"]),
                entry["recorded_by"],
                _validity(entry["memory"]) + (" forgotten" if entry.get("forgotten_at") else ""),
                entry["memory"]["content"],
            )
            for entry in page["items"]
        ]
        show_table(("version", "recorded", "by", "valid", "content"), rows)
        _show_continuation(page)
    return 0


def namespace_of(options: argparse.Namespace) -> Json:
    """Return the namespace to send; without one the server takes what the key is bound to."""
    given = options.settings.namespace
    return {} if given is None else {"namespace": given}


def show_answer(answer: Json, options: argparse.Namespace) -> None:
    """Show ranked hits, and the parts of their scores when asked to explain."""
    if options.json:
        show_json(answer)
        return
    columns = ["score", "relevance", "when", "id", "content"]
    rows = [
        [
            hit["score"],
            hit["relevance"],
            moment(_happened(hit["memory"])),
            hit["memory"]["id"],
            hit["memory"]["content"],
        ]
        for hit in answer["hits"]
    ]
    if options.explain:
        columns.insert(2, "parts")
        for row, hit in zip(rows, answer["hits"], strict=True):
            row.insert(2, parts(hit))
    if rows:
        show_table(columns, rows, below=("parts", "id"))
    else:
        note("nothing found")
    if answer.get("context"):
        say()
        say(answer["context"])
    if answer["degraded"]:
        note(f"answered without: {', '.join(answer['degraded'])}")


def parts(hit: Json) -> str:
    """Write the parts of a score, the weightiest first."""
    ordered = sorted(hit["parts"].items(), key=lambda part: -abs(part[1]))
    return " ".join(f"{name}={value:+.3f}" for name, value in ordered if value)


def _show_remembered(answer: Json, verb: str, options: argparse.Namespace) -> None:
    memory = answer["memory"]
    if options.json:
        show_json(answer)
    elif sys.stdout.isatty():
        say(f"{verb} {memory['id']} in {memory['namespace']} (version {memory['version']})")
    else:
        say(memory["id"])
    if options.wait == "indexed" and not answer["indexed"]:
        note("its meaning is not indexed yet: until then it is found by its words")


def _show_continuation(page: Json) -> None:
    if page["next_cursor"]:
        note(f"there is more: --cursor {page['next_cursor']}")


def _given(options: argparse.Namespace, names: Sequence[str]) -> Json:
    """Return the options that were given, under the names that the API has for them."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def segment(memory_id: str) -> str:
    """Return an id as a path segment; what is no id must not become another path."""
    if not memory_id or not all(part.isalnum() for part in memory_id.split("-")):
        raise Failure(f"no memory {memory_id}")
    return memory_id


def _happened(memory: Json) -> str:
    return str(memory.get("occurred_at") or memory["created_at"])


def _validity(memory: Json) -> str:
    begin, end = moment(memory.get("valid_from")), moment(memory.get("valid_to"))
    return f"{begin} to {end}".strip() if begin or end else "always"


def _source(memory: Json) -> str:
    source = memory.get("source") or {}
    return " ".join(f"{name}={value}" for name, value in source.items() if value is not None)


async def _text_or_input(text: str) -> str:
    """Return the text, or standard input for `-`, without its last line end."""
    if text != "-":
        return text
    data: bytes = await asyncio.to_thread(sys.stdin.buffer.read)
    try:
        return data.decode().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise Failure(f"standard input is not UTF-8 text: {error.reason}") from error
