"""The command that says how the installation is, also when the store is what fails."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from domain.errors import DataDirectoryError, SomaError, StoreUnavailable
from entrypoints.cli.client import Json, connected
from entrypoints.cli.printing import note, say, show_fields, show_json, show_table


async def doctor(options: argparse.Namespace) -> int:
    """Check the installation; 1 when something is not as it must be."""
    answer = await _diagnosis(options)
    checks = answer["checks"]
    if options.json:
        show_json(answer)
    else:
        rows = [("ok" if c["ok"] else "BAD", c["name"], c["detail"]) for c in checks]
        show_table(("", "check", "detail"), rows)
        say()
        show_fields(answer["settings"])
    bad = [check["name"] for check in checks if not check["ok"]]
    if bad:
        note(f"not well: {', '.join(bad)}")
    return 1 if bad else 0


async def _diagnosis(options: argparse.Namespace) -> Json:
    """Ask whoever serves the store; where nobody can, ask the rest from here."""
    try:
        async with connected(options) as api:
            return await api.get("/v1/doctor")
    except (StoreUnavailable, DataDirectoryError) as error:
        return await _without_store(options, error)


async def _without_store(options: argparse.Namespace, error: SomaError) -> Json:
    from container import beside_the_store, build

    async with beside_the_store(build(options.settings)) as container:
        checks = await container.diagnose().without_store(error)
    return {"checks": [asdict(check) for check in checks], "settings": options.settings.shown()}
