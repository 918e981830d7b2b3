"""Which loops a worker runs: what follows from the servers that are configured."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from application.ingest import Ingest
from application.jobs import Job
from application.projecting import FollowEvents
from application.repeating import Repeating
from domain.messaging import EVENTS_TOPIC, INGEST_TOPIC
from entrypoints.worker.drafts import read_draft

if TYPE_CHECKING:
    from container import Container
    from entrypoints.worker.observing import Observer

Loop = Callable[[], Awaitable[None]]

RELAY_IDLE_SECONDS = 0.1
PROJECT_IDLE_SECONDS = 1.0
UNCACHE_IDLE_SECONDS = 5.0
JOBS_IDLE_SECONDS = 30.0
TOPICS_IDLE_SECONDS = 60.0


def loops_of(container: Container, observe: Callable[[str], Observer]) -> dict[str, Loop]:
    """Return the loops by name; each runs until it is cancelled."""
    settings = container.settings()
    loops: dict[str, Loop] = {"jobs": _jobs(container, observe("jobs"))}
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


def jobs_of(container: Container) -> list[Job]:
    """Return what is to be done by the clock."""
    jobs = []
    if container.settings().embedder != "none":
        jobs.append(Job(name="requeue_vectors", every=HOURLY, run=container.requeue_vectors()))
    if container.settings().qdrant_url is not None:
        jobs.append(Job(name="repair_vector_index", every=DAILY, run=container.repair_index()))
    return jobs


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


def _jobs(container: Container, observer: Observer) -> Loop:
    return _repeated(container.run_jobs(jobs=jobs_of(container)), JOBS_IDLE_SECONDS, observer)


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
        guarded=container.guarded,
        source=container.message_source(),
        dead_letters=container.dead_letters(),
        read=read_draft,
        report=observer.failed,
        done=observer.done,
        topic=INGEST_TOPIC,
        group="ingest",
    )
