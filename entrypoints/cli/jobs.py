"""The commands about jobs: list them, show one, cancel one."""

from __future__ import annotations

import argparse
from urllib.parse import quote

from domain.errors import ConfigurationError
from entrypoints.cli.client import Json, connected
from entrypoints.cli.printing import moment, say, show_fields, show_json, show_table


async def jobs(options: argparse.Namespace) -> int:
    """List jobs, or show or cancel one."""
    if options.action == "list":
        return await _list(options)
    if options.id is None:
        raise ConfigurationError(f"jobs {options.action} needs the id of a job")
    return await (_show if options.action == "show" else _cancel)(options)


async def _list(options: argparse.Namespace) -> int:
    async with connected(options) as api:
        page = await api.get(
            "/v1/jobs",
            kind=options.kind,
            state=options.state,
            limit=options.limit,
            cursor=options.cursor,
        )
    if options.json:
        show_json(page)
        return 0
    columns = ("kind", "state", "done", "created", "id")
    show_table(
        columns,
        [
            (job["kind"], _state(job), _done(job), moment(job["created_at"]), job["id"])
            for job in page["items"]
        ],
    )
    if page["next_cursor"]:
        say(f"more: --cursor {page['next_cursor']}")
    return 0


async def _show(options: argparse.Namespace) -> int:
    async with connected(options) as api:
        job = await api.get(f"/v1/jobs/{_segment(options.id)}")
    if options.json:
        show_json(job)
    else:
        show_fields({**job, "state": _state(job), "done": _done(job), "total": None})
    return 0


async def _cancel(options: argparse.Namespace) -> int:
    async with connected(options) as api:
        job = await api.send("DELETE", f"/v1/jobs/{_segment(options.id)}")
    if options.json:
        show_json(job)
    elif job["finished_at"] is None:
        say(f"{job['kind']} {job['id']} ends at its next step")
    else:
        say(f"{job['kind']} {job['id']}: {job['state']}")
    return 0


def _segment(id: str) -> str:
    return quote(id, safe="", errors="replace")


def _state(job: Json) -> str:
    if job["stuck"]:
        return "stuck"
    return "cancelling" if job["cancel_requested"] and not job["finished_at"] else job["state"]


def _done(job: Json) -> str:
    return str(job["done"]) if job["total"] is None else f"{job['done']}/{job['total']}"
