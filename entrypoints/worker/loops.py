"""Which loops a worker runs: what follows from the servers that are configured."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from application.ingest import Ingest
from application.projecting.vectors import FollowEvents
from application.upkeep.repeating import Repeating
from domain.job import JobKind
from domain.messaging import EVENTS_TOPIC, INGEST_TOPIC
from entrypoints.worker.drafts import read_draft

if TYPE_CHECKING:
    from container import Container
    from entrypoints.worker.observing import Observer

Loop = Callable[[], Awaitable[None]]

RELAY_IDLE_SECONDS = 0.1
PROJECT_IDLE_SECONDS = 1.0
UNCACHE_IDLE_SECONDS = 5.0
SCHEDULE_IDLE_SECONDS = 30.0
TOPICS_IDLE_SECONDS = 60.0


def loops_of(container: Container, observe: Callable[[str], Observer]) -> dict[str, Loop]:
    """Return the loops by name; each runs until it is cancelled."""
    settings = container.settings()
    loops: dict[str, Loop] = _jobs(container, observe("jobs"))
    if settings.embedder != "none":
        loops["embedding"] = container.background()
    if settings.qdrant_url is not None:
        loops["projecting"] = _repeated(
            container.project_models(), PROJECT_IDLE_SECONDS, observe("projecting")
        )
    if settings.body_cache != "none":
        loops["uncaching"] = _repeated(
            container.drop_bodies(), UNCACHE_IDLE_SECONDS, observe("uncaching")
        )
    if settings.kafka_servers is not None:
        loops["topics"] = _repeated(_topics_of(container), TOPICS_IDLE_SECONDS, observe("topics"))
        loops["relay"] = _repeated(container.relay(), RELAY_IDLE_SECONDS, observe("relay"))
        loops["ingest"] = _ingest(container, observe("ingest"))
        if settings.qdrant_url is not None:
            loops["following"] = _following(container, observe("following"))
    return loops


def schedule_of(container: Container) -> dict[JobKind, timedelta]:
    """Return what is to be done by the clock."""
    every = {}
    if container.settings().embedder != "none":
        every[JobKind.REQUEUE_VECTORS] = HOURLY
    if container.settings().qdrant_url is not None:
        every[JobKind.REPAIR_VECTOR_INDEX] = DAILY
    return every


HOURLY = timedelta(hours=1)
DAILY = timedelta(days=1)


def _repeated(step: Callable[[], Awaitable[int]], idle_seconds: float, observer: Observer) -> Loop:
    return Repeating(
        step=step, idle_seconds=idle_seconds, report=observer.failed, done=observer.done
    )


def _topics_of(container: Container) -> Callable[[], Awaitable[int]]:
    """Make the topics as soon as Kafka answers, and again should they have been lost."""

    async def create() -> int:
        await container.topics().create_topics()
        return 0

    return create


def _jobs(container: Container, observer: Observer) -> dict[str, Loop]:
    from container import job_lanes

    schedule = container.schedule_jobs(every=schedule_of(container))
    lanes = job_lanes(container, observer.failed, observer.done)
    return {
        "schedule": _repeated(schedule, SCHEDULE_IDLE_SECONDS, observer),
        **{f"jobs {number}": lane for number, lane in enumerate(lanes)},
    }


def _following(container: Container, observer: Observer) -> Loop:
    return FollowEvents(
        project=container.project_models(),
        source=container.message_source(),
        topic=EVENTS_TOPIC,
        group="index",
        report=observer.failed,
    )


def _ingest(container: Container, observer: Observer) -> Loop:
    return Ingest(
        access=container.access(),
        guarded=container.guarded(),
        source=container.message_source(),
        dead_letters=container.dead_letters(),
        read=read_draft,
        report=observer.failed,
        done=observer.done,
        topic=INGEST_TOPIC,
        group="ingest",
    )
