"""`soma migrate`: what a deployment runs before the new version serves."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from domain.errors import ConfigurationError
from entrypoints.cli.ownership import opened
from entrypoints.cli.printing import say, show_json

if TYPE_CHECKING:
    from container import OpenableStore


async def migrate(options: argparse.Namespace) -> int:
    """Open the store, which brings its schema up to date, and print the version it has then.

    Every process that opens a store does the same. Alone it has a time of its own: before a new
    version serves, and with its own exit code.
    """
    from container import build

    settings = options.settings
    if options.url is not None:
        raise ConfigurationError("a server migrates its own store: leave --url out")
    store = build(settings).store()
    if settings.profile == "server":
        version = await _opened(store)
    else:
        async with opened(settings) as directory:
            directory.alone()
            version = await _opened(store)
    if options.json:
        show_json({"schema_version": version})
    else:
        say(f"the schema has version {version}")
    return 0


async def _opened(store: OpenableStore) -> int:
    """Open and close the store; return the version of its schema in between."""
    await store.open()
    try:
        return await store.schema_version()
    finally:
        await store.close()
