"""Levels that are read when somebody asks.

Those that cannot be read are left out: an old number would look like a present one.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from application.projecting.relay import RELAY
from domain.errors import SomaError

if TYPE_CHECKING:
    from container import Container

Levels = dict[str, dict[tuple[str, ...], float]]

#: How long a dependency may take to be asked for a scrape, which itself is given up after 10 s.
PATIENCE_SECONDS = 3.0


async def read_levels(container: Container, *, backlogs: bool) -> Levels:
    """Ask for everything that is not counted as it happens."""
    settings = container.settings()
    build = (_version(), platform.python_version(), settings.profile)
    levels = _fastcore(container)
    levels["build"] = {build: 1.0}
    diagnose = container.diagnose()
    asked = {"store": diagnose.store.ping, **diagnose.servers}
    answers = await asyncio.gather(*(_answers(ping) for ping in asked.values()))
    levels["dependency_up"] = {
        (name,): float(answer) for name, answer in zip(asked, answers, strict=True)
    }
    return {**levels, **await _backlogs(container)} if backlogs else levels


async def _answers(ping: Callable[[], Awaitable[None]]) -> bool:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await ping()
    except (SomaError, TimeoutError):
        return False
    return True


async def _backlogs(container: Container) -> Levels:
    """Read how far behind everything is, where this process is the one that works it off."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            lags, pending = await container.backlogs()()
            jobs = await container.count_jobs()()
    except (SomaError, TimeoutError):
        return {}
    levels: Levels = {
        "projection_lag": {(name,): lag for name, lag in lags.items()},
        "pending_vectors": {(): pending},
        "jobs": {(one.kind, one.state): one.count for one in jobs.counts},
        "stuck_jobs": {(): jobs.stuck},
    }
    if RELAY in lags:
        levels["outbox"] = {(): lags[RELAY]}
    return levels


def _fastcore(container: Container) -> Levels:
    budget = container.budget()
    vectors, words = container.fast_core(), container.fast_words()
    # The vectors of a model that is being filled beside the chosen one count too.
    used = (
        ("vectors", budget.used_bytes - budget.used_by(words)),
        ("words", budget.used_by(words)),
    )
    rows = (("vectors", vectors.rows), ("words", words.rows))
    namespaces = (("vectors", vectors.namespaces), ("words", words.namespaces))
    return {
        "fastcore_bytes": {(part,): size for part, size in used},
        "fastcore_rows": {(part,): count for part, count in rows},
        "fastcore_namespaces": {(part,): count for part, count in namespaces},
        "fastcore_limit": {(): budget.limit_bytes},
        "fastcore_evictions": {(): budget.evictions},
    }


def _version() -> str:
    try:
        return version("somafractalmemory")
    except PackageNotFoundError:
        return "0"
