"""The commands on API keys: keys create, keys list, keys revoke."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta

from entrypoints.cli.client import Json, connected
from entrypoints.cli.failure import Failure
from entrypoints.cli.memories import segment
from entrypoints.cli.printing import moment, note, say, show_json, show_table

PAGE = 1000
EVERYWHERE = "(everywhere)"


async def create(options: argparse.Namespace) -> int:
    """Make a key and print its token, which nobody can show again."""
    if (options.namespace is None) is not options.everywhere:
        raise Failure("say what the key reaches: --namespace PATH, or --everywhere")
    body: Json = {"name": options.name, "permission": options.permission}
    if options.namespace is not None:
        body["namespace"] = options.namespace
    if options.ttl is not None:
        body["expires_at"] = _after(options.ttl).isoformat()
    async with connected(options) as api:
        answer = await api.send("POST", "/v1/keys", body=body, repeatable=False)
        if options.json:
            show_json(answer)
        else:
            say(answer["token"])
            note(
                "Keep it now: it is not shown again. From now on every network caller needs a key."
            )
    return 0


async def listing(options: argparse.Namespace) -> int:
    """List keys, revoked and expired ones too."""
    async with connected(options) as api:
        keys: list[Json] = []
        cursor = None
        while True:
            page = await api.get("/v1/keys", limit=PAGE, cursor=cursor)
            keys += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        if options.json:
            show_json({"items": keys, "next_cursor": None})
            return 0
        columns = ("id", "permission", "namespace", "state", "last used", "name")
        show_table(columns, [_row(key, datetime.now(UTC)) for key in keys])
    return 0


async def revoke(options: argparse.Namespace) -> int:
    """Revoke a key for good."""
    async with connected(options) as api:
        await api.send("DELETE", f"/v1/keys/{segment(options.id)}")
        if options.json:
            show_json({"id": options.id, "revoked": True})
        else:
            say(f"revoked {options.id}")
    return 0


def _after(seconds: float) -> datetime:
    try:
        return datetime.now(UTC) + timedelta(seconds=seconds)
    except OverflowError as error:
        raise Failure("--ttl: is too large") from error


def _row(key: Json, now: datetime) -> list[str]:
    used = key["last_used_at"]
    return [
        key["id"],
        key["permission"],
        key["namespace"] or EVERYWHERE,
        _state(key, now),
        "never" if used is None else moment(used),
        key["name"],
    ]


def _state(key: Json, now: datetime) -> str:
    if key["revoked_at"] is not None:
        return "revoked"
    if key["expires_at"] is None:
        return "works"
    if datetime.fromisoformat(key["expires_at"]) <= now:
        return "expired"
    return f"until {moment(key['expires_at'])}"
