"""The composition root: the only place where adapters meet use cases."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from dependency_injector import containers, providers
from msgspec import structs

from adapters.backup_folder import BackupFolders
from adapters.cached_embedder import CachedEmbedder
from adapters.drawn_limits import DrawnRateLimiter
from adapters.environment import OPENAI_NEEDS, Settings, masked
from adapters.erasure_file import ErasureFile, NoErasureFile
from adapters.event_json import encode_event
from adapters.fallback.circuit import Circuit
from adapters.fallback.index import FallbackIndex
from adapters.fallback.text_index import FallbackTextIndex, FittingTextIndex
from adapters.fastcore.budget import Budget
from adapters.fastcore.fast_core import FastCore
from adapters.fastcore.room import Room
from adapters.fastcore.snapshots import Snapshots as CoreSnapshots
from adapters.fastcore.words import FastWords
from adapters.gathered_questions import GatheredQuestions
from adapters.given_embedder import GivenEmbedder
from adapters.http_reranker import HttpReranker
from adapters.identifiers import Uuid7Source
from adapters.inprocess.bus import InProcessBus
from adapters.inprocess.cache import InProcessCache
from adapters.inprocess.limits import InProcessRateLimiter
from adapters.inprocess.locks import InProcessLocks
from adapters.kafka.bus import KafkaBus
from adapters.kafka.connection import KafkaConnection
from adapters.kafka.dead_letters import KafkaDeadLetters
from adapters.kafka.publisher import KafkaPublisher
from adapters.kafka.source import KafkaSource, Membership
from adapters.kafka.topics import KafkaTopics
from adapters.late_interaction import LateInteraction
from adapters.layered_cache import LayeredCache
from adapters.networkx_graph import NetworkxGraph
from adapters.observation.log import Log
from adapters.observation.messages import TracedSource
from adapters.observation.meter import Meter, observed
from adapters.observation.ports import CountedCache, CountedLimiter, watched, watched_store
from adapters.observation.tallies import Tallies
from adapters.observation.tracing import TraceSettings, Tracing
from adapters.onnx_embedder import OnnxEmbedder
from adapters.openai_embedder import OpenaiEmbedder
from adapters.qdrant.collection import Collection
from adapters.qdrant.connection import QdrantConnection
from adapters.qdrant.index import QdrantIndex
from adapters.qdrant.layout import Layout
from adapters.qdrant.projection import QdrantProjection
from adapters.qdrant.text_index import QdrantTextIndex
from adapters.redis.cache import RedisCache
from adapters.redis.limits import RedisRateLimiter
from adapters.redis.locks import RedisLocks
from adapters.redis.server import RedisServer
from adapters.snowball.analyser import SnowballAnalyser
from adapters.sqlite.snapshots import SqliteSnapshots
from adapters.sqlite.store import SqliteStore
from adapters.store_locks import StoreLocks
from adapters.store_text_index import StoreTextIndex
from application.access.admission import Access, Failures, Rates
from application.access.guarded import Guard
from application.access.keyring import Keyring, KeyUsage
from application.access.keys import CreateKey, ListKeys, RevokeKey
from application.access.seats import Seats
from application.connect import Connect, Disconnect, FindPath, Neighbors
from application.forget import Erase, Forget
from application.indexing.background import BackgroundIndexing
from application.indexing.indexer import Indexer
from application.indexing.languages import OpenLanguage, Reanalyse
from application.indexing.models import Installed, Models, Outside, ProjectModels
from application.indexing.switching import OpenModel, SwitchModel
from application.jobs.control import CancelJob, CountJobs, ListJobs, ShowJob, StartJob
from application.jobs.handling import BackupJobs, MaintenanceJobs
from application.jobs.long_work import BackupAsJob, ReconcileAsJob, ReindexAsJob
from application.jobs.progress import Work
from application.jobs.running import RunJobs
from application.jobs.scheduling import Bell, ReviveJobs, ScheduleJobs
from application.namespaces import EraseNamespace, ListNamespaces, SetPolicy, ShowNamespace
from application.projecting.comparing import CompareVectors
from application.projecting.following import Follower
from application.projecting.relay import RELAY, Relay
from application.projecting.uncaching import BODIES, DropErasedBodies
from application.projecting.vectors import Projector, ProjectVectors
from application.recall import Recall
from application.recalling.candidates import Gatherer
from application.recalling.knowing import Known
from application.recalling.reranking import Reranking
from application.remember import Remember, RememberBatch
from application.revise import Revise
from application.show import History, ListMemories, Show
from application.storing.planning import Planner
from application.storing.retrying import Retried
from application.storing.together import RememberTogether, by_namespaces, one_lane
from application.tracing import current_trace
from application.transfer.as_jobs import ExportAsJob, ImportAsJob
from application.transfer.exporting import Export
from application.transfer.importing import ImportLines
from application.upkeep.backing_up import Backup, FinishRestore, Restore, VerifyBackup
from application.upkeep.maintain import (
    Backlogs,
    Diagnose,
    Pending,
    Reindex,
    TakeOver,
)
from application.upkeep.reconciling import Reconcile
from application.upkeep.repairing import RepairVectorIndex, RequeueVectors
from application.upkeep.repeating import Repeating
from application.use_cases import UseCases
from application.watch import Watch
from domain.access import Permission
from domain.errors import SomaError
from domain.job import JobKind
from domain.memory import Limits
from domain.ports import (
    Analyser,
    Cache,
    CanonicalStore,
    Embedder,
    ErasureLedger,
    EventBus,
    Locks,
    MemoryGraph,
    PassageReader,
    RateLimiter,
    Snapshots,
    TextIndex,
    VectorIndex,
)

DATABASE_NAME = "soma.db"
KEY_USAGE_SECONDS = 30.0
JOB_LANES = 3
_CANCELLED_AGAIN_SECONDS = 1.0
WORKERS_FIRST = timedelta(seconds=5)
#: In the embedded profile every job is asked for in this very process, which hears of it.
JOBS_IDLE_SECONDS = {"embedded": 60.0, "server": 2.0}
SNAPSHOTS_NAME = "fastcore"


def utc_now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


def _new_epoch() -> str:
    return secrets.token_hex(16)


def _both(some: Mapping[Any, Any], others: Mapping[Any, Any]) -> Mapping[Any, Any]:
    return {**some, **others}


def _facts(settings: Settings) -> Mapping[str, str]:
    return {"profile": settings.profile, "data_dir": str(settings.data_dir)}


def _absent(settings: Settings) -> Mapping[str, str]:
    """Return why embedders that the settings may name cannot be used beside the chosen one."""
    missing = [name for name in OPENAI_NEEDS if getattr(settings, name) is None]
    needed = {"openai": f"set {', '.join(missing)}"} if missing else {}
    return {**needed, "none": "it embeds nothing, callers give the vectors"}


def _instrumented(settings: Settings) -> list[str]:
    """Return the client libraries in use whose calls can become spans."""
    used = {"psycopg": settings.postgres_url, "redis": settings.redis_url}
    return ["httpx", *(name for name, url in used.items() if url is not None)]


Provided = TypeVar("Provided", bound=providers.Provider[Any])


def _watched(meter: providers.Provider[Meter], name: str, port: Provided) -> Provided:
    """Provide the same adapter with its calls timed."""
    return cast("Provided", providers.Singleton(watched, port, name, meter))


def _observed(meter: providers.Provider[Meter], name: str, use_case: Provided) -> Provided:
    """Provide the same use case with its calls timed."""
    return cast("Provided", providers.Factory(observed, name, use_case, meter))


def _defect_log(log: Log) -> Callable[[Exception], None]:
    return partial(log.failed, "job.failed")


def _job_timer(meter: Meter) -> Callable[[JobKind, Work], Work]:
    """Return what times the run of a job."""

    def timed(kind: JobKind, work: Work) -> Work:
        async def run() -> Mapping[str, object]:
            return await work

        return meter.timed("job", (kind,), run)

    return timed


def _reranker(settings: Settings, embedder: Embedder) -> str:
    """Return which reranker there is: late interaction where the embedder gives it its states."""
    return settings.reranker or ("late" if isinstance(embedder, OnnxEmbedder) else "none")


def _reader(
    settings: Settings, embedder: Embedder, late: Callable[[], PassageReader]
) -> PassageReader | None:
    """Return what keeps token states along with the vectors, where somebody makes use of them."""
    kept = isinstance(embedder, OnnxEmbedder) and _reranker(settings, embedder) == "late"
    return late() if kept else None


# PostgreSQL's driver is loaded where it is used: a command on a laptop would wait for it in vain.


def _postgres_store(url: str, **options: Any) -> OpenableStore:
    from adapters.postgres.store import PostgresStore

    return PostgresStore(url, **options)


def _postgres_snapshots(url: str) -> Snapshots:
    from adapters.postgres.snapshots import PostgresSnapshots

    return PostgresSnapshots(url)


def _is_there(thing: object) -> bool:
    return thing is not None


def _cursors(settings: Settings) -> list[str]:
    """Return the names of what follows the feeds by a name that never changes."""
    followed = {RELAY: settings.kafka_servers is not None, BODIES: settings.body_cache != "none"}
    return [name for name, is_used in followed.items() if is_used]


def _pings(
    settings: Settings, **servers: Callable[[], Pingable]
) -> dict[str, Callable[[], Awaitable[None]]]:
    """Return how to ask the servers that are configured, by name."""
    return {
        name.partition("_")[0]: made().ping
        for name, made in servers.items()
        if getattr(settings, name) is not None
    }


def _lag_noter(tallies: Tallies) -> Callable[[str, str, int], None]:
    """Return whom to tell how far a member of a group is behind in its topic."""
    return lambda topic, group, lag: tallies.level("consumer_lag", (topic, group), lag)


class Pingable(Protocol):
    """Something outside that can be asked whether it is there."""

    async def ping(self) -> None:
        """Raise a `SomaError` when it does not answer."""


def _kafka_options(settings: Settings) -> Mapping[str, str]:
    """Return librdkafka's names for how to be let in."""
    given = {
        "security.protocol": settings.kafka_security,
        "ssl.ca.location": None if settings.kafka_ca_file is None else str(settings.kafka_ca_file),
    }
    if settings.kafka_security.startswith("sasl"):
        given["sasl.mechanism"] = settings.kafka_mechanism
        given["sasl.username"] = settings.kafka_user
        given["sasl.password"] = settings.kafka_password
    return {name: value for name, value in given.items() if value is not None}


def _uncounted(_: int) -> None:
    """Count nothing."""


def _rates(settings: Settings) -> Rates:
    return Rates(
        window_seconds=settings.rate_limit_window_seconds,
        limits={
            Permission.READ: settings.rate_limit_read,
            Permission.WRITE: settings.rate_limit_write,
            Permission.ADMIN: settings.rate_limit_admin,
        },
    )


class OpenableStore(CanonicalStore, Protocol):
    """A canonical store with its life cycle, which use cases need not know."""

    async def open(self) -> None:
        """Connect, and bring the schema up to date."""

    async def schema_version(self) -> int:
        """Return the number of the last migration that was applied."""

    async def close(self) -> None:
        """Let go of everything."""


class Container(containers.DeclarativeContainer):
    """Which adapter stands behind each port, and what each use case is given."""

    settings = providers.Dependency(instance_of=Settings)
    shown_settings = providers.Callable(masked, settings)
    now = providers.Object(utc_now)
    elapsed = providers.Object(time.perf_counter)
    limits = providers.Singleton(
        Limits,
        content_bytes=settings.provided.content_bytes_max,
        payload_bytes=settings.provided.payload_bytes_max,
    )
    new_id = providers.Singleton(Uuid7Source, now)

    failure_log = providers.Singleton(
        Log,
        settings.provided.log_level,
        settings.provided.log_format,
        providers.Object(current_trace),
    )
    tallies = providers.Singleton(Tallies)
    meter = providers.Singleton(Meter, tallies)
    tracing = providers.Singleton(
        Tracing,
        providers.Singleton(
            TraceSettings,
            endpoint=settings.provided.otlp_endpoint,
            headers=settings.provided.otlp_headers,
            ratio=settings.provided.trace_sample_ratio,
            service=settings.provided.service_name,
            libraries=providers.Callable(_instrumented, settings),
        ),
        meter,
        current_trace=providers.Object(current_trace),
    )
    redis_server = providers.Singleton(
        RedisServer,
        settings.provided.redis_url,
        prefix=settings.provided.redis_prefix,
        timeout_seconds=settings.provided.redis_timeout_seconds,
        report=failure_log,
    )
    redis_cache: providers.Provider[Cache] = providers.Singleton(
        RedisCache,
        redis_server,
        ttl_seconds=settings.provided.redis_body_ttl_seconds,
        value_bytes_max=settings.provided.redis_value_bytes_max,
    )
    far_cache: providers.Provider[Cache] = providers.Singleton(
        CountedCache, _watched(meter, "redis_cache", redis_cache), "redis", tallies
    )
    near_cache: providers.Provider[Cache] = providers.Singleton(
        CountedCache,
        providers.Singleton(InProcessCache, settings.provided.cache_bytes),
        "process",
        tallies,
    )
    caches: dict[str, providers.Provider[Cache]] = {  # noqa: RUF012
        "none": near_cache,
        "redis": providers.Singleton(LayeredCache, near_cache, far_cache),
    }
    cache: providers.Provider[Cache] = providers.Selector(settings.provided.far_cache, **caches)
    body_caches: dict[str, providers.Provider[Any]] = {  # noqa: RUF012
        "none": providers.Object(None),
        "redis": far_cache,
    }
    postgres_store = providers.Singleton(
        _postgres_store,
        settings.provided.postgres_url,
        connections_max=settings.provided.postgres_connections_max,
        statement_timeout_seconds=settings.provided.postgres_statement_timeout_seconds,
        waiting_timeout_seconds=settings.provided.postgres_waiting_timeout_seconds,
        bodies=providers.Selector(settings.provided.body_cache, **body_caches),
    )
    database_file = settings.provided.data_dir.joinpath.call(DATABASE_NAME)
    stores: dict[str, providers.Provider[Any]] = {  # noqa: RUF012  (see embedders)
        "embedded": providers.Singleton(SqliteStore, database_file),
        "server": postgres_store,
    }
    store: providers.Provider[OpenableStore] = providers.Singleton(
        watched_store, providers.Selector(settings.provided.profile, **stores), meter
    )
    snapshot_makers: dict[str, providers.Provider[Any]] = {  # noqa: RUF012
        "embedded": providers.Singleton(SqliteSnapshots, database_file),
        "server": providers.Singleton(_postgres_snapshots, settings.provided.postgres_url),
    }
    snapshots: providers.Provider[Snapshots] = providers.Selector(
        settings.provided.profile, **snapshot_makers
    )
    archives = providers.Singleton(BackupFolders, apart_from=settings.provided.store_folder)
    ledger_at = providers.Object(ErasureFile)
    no_ledger = providers.Singleton(NoErasureFile)
    ledgers: dict[str, providers.Provider[Any]] = {  # noqa: RUF012
        "none": no_ledger,
        "file": providers.Singleton(ErasureFile, settings.provided.ledger_file),
    }
    ledger: providers.Provider[ErasureLedger] = providers.Selector(
        settings.provided.ledger_kind, **ledgers
    )
    near_limiter: providers.Provider[RateLimiter] = providers.Singleton(
        InProcessRateLimiter, elapsed
    )
    limiters: dict[str, providers.Provider[RateLimiter]] = {  # noqa: RUF012
        "none": near_limiter,
        "redis": providers.Singleton(
            DrawnRateLimiter,
            providers.Singleton(RedisRateLimiter, redis_server, near_limiter),
            elapsed,
        ),
    }
    rate_limiter: providers.Provider[RateLimiter] = providers.Singleton(
        CountedLimiter,
        _watched(
            meter, "rate_limiter", providers.Selector(settings.provided.far_cache, **limiters)
        ),
        tallies,
    )
    lock_keepers: dict[str, providers.Provider[Locks]] = {  # noqa: RUF012
        "process": providers.Singleton(InProcessLocks, elapsed),
        "store": providers.Singleton(StoreLocks, store, now),
        "redis": providers.Singleton(RedisLocks, redis_server),
    }
    locks: providers.Provider[Locks] = _watched(
        meter, "locks", providers.Selector(settings.provided.lock_keeper, **lock_keepers)
    )

    kafka = providers.Singleton(
        KafkaConnection,
        servers=settings.provided.kafka_servers,
        options=providers.Callable(_kafka_options, settings),
        topic_prefix=settings.provided.kafka_topic_prefix,
        timeout_seconds=settings.provided.kafka_timeout_seconds,
    )
    topics = providers.Singleton(
        KafkaTopics,
        kafka,
        partitions=settings.provided.kafka_partitions,
        replication=settings.provided.kafka_replicas,
    )
    publisher = _watched(
        meter,
        "publisher",
        providers.Singleton(
            KafkaPublisher,
            kafka,
            encode=providers.Object(encode_event),
            traced=tracing.provided.produced,
        ),
    )
    kafka_source = providers.Singleton(
        KafkaSource,
        kafka,
        report=failure_log,
        note_lag=providers.Factory(_lag_noter, tallies),
        membership=providers.Singleton(
            Membership,
            group_prefix=settings.provided.kafka_group_prefix,
            session_timeout_seconds=settings.provided.kafka_session_timeout_seconds,
            heartbeat_seconds=settings.provided.kafka_heartbeat_seconds,
        ),
    )
    message_source = providers.Singleton(TracedSource, kafka_source, tracing)
    dead_letters = _watched(
        meter,
        "dead_letters",
        providers.Singleton(
            KafkaDeadLetters, kafka, now=now, group_prefix=settings.provided.kafka_group_prefix
        ),
    )
    near_bus: providers.Provider[EventBus] = providers.Singleton(InProcessBus)
    kafka_bus = providers.Singleton(KafkaBus, near_bus, kafka, report=failure_log)
    buses: dict[str, providers.Provider[Any]] = {  # noqa: RUF012
        "inprocess": near_bus,
        "kafka": kafka_bus,
    }
    bus: providers.Provider[EventBus] = _watched(
        meter, "bus", providers.Selector(settings.provided.event_bus, **buses)
    )
    analyser: providers.Provider[Analyser] = providers.Singleton(
        SnowballAnalyser, settings.provided.language
    )
    onnx_embedder: providers.Provider[Any] = providers.Singleton(
        OnnxEmbedder, settings.provided.model_path
    )
    embedders: dict[str, providers.Provider[Embedder]] = {  # noqa: RUF012  (a container is a class)
        "bge-small": onnx_embedder,
        "openai": providers.Singleton(
            OpenaiEmbedder,
            url=settings.provided.embedder_url,
            model=settings.provided.embedder_model,
            key=settings.provided.embedder_key,
            dimension=settings.provided.embedder_dimension,
            query_prefix=settings.provided.embedder_query_prefix,
            passage_prefix=settings.provided.embedder_passage_prefix,
            timeout_seconds=settings.provided.embedder_timeout_seconds,
        ),
        "none": providers.Singleton(GivenEmbedder, settings.provided.vector_dimension),
    }
    local_embedder: providers.Provider[Embedder] = providers.Selector(
        settings.provided.embedder, **embedders
    )
    other_embedders: providers.Provider[list[Embedder]] = providers.List()
    # Only embedders whose vectors do not depend on what else is in the call.
    askings: dict[str, providers.Provider[Embedder]] = {  # noqa: RUF012
        "bge-small": local_embedder,
        "openai": providers.Singleton(GatheredQuestions, local_embedder),
        "none": local_embedder,
    }
    embedder: providers.Provider[Embedder] = providers.Singleton(
        CachedEmbedder,
        _watched(meter, "embedder", providers.Selector(settings.provided.embedder, **askings)),
        cache,
    )
    budget = providers.Singleton(Budget, settings.provided.fastcore_budget_bytes)
    room = providers.Singleton(
        Room,
        store,
        embedder.provided.model.dimension,
        budget_bytes=settings.provided.fastcore_budget_bytes,
    )
    core_snapshots = providers.Singleton(
        CoreSnapshots, settings.provided.data_dir.joinpath.call(SNAPSHOTS_NAME)
    )
    kept_snapshots: providers.Provider[CoreSnapshots | None] = providers.Selector(
        settings.provided.snapshots, files=core_snapshots, none=providers.Object(None)
    )
    fast_core: providers.Provider[FastCore] = providers.Singleton(
        FastCore,
        store,
        embedder.provided.model.id,
        embedder.provided.model.dimension,
        budget=budget,
        exact_rows=settings.provided.fastcore_exact_rows,
        snapshots=kept_snapshots,
    )
    copies: providers.Provider[list[CoreSnapshots]] = providers.Selector(
        settings.provided.snapshots, files=providers.List(core_snapshots), none=providers.List()
    )
    fast_words: providers.Provider[FastWords] = providers.Singleton(
        FastWords, store, budget=budget, room=room
    )
    near_index = _watched(meter, "fast_core", fast_core)
    near_words = _watched(meter, "fast_words", fast_words)
    store_words: providers.Provider[TextIndex] = _watched(
        meter, "store_words", providers.Singleton(StoreTextIndex, store)
    )
    qdrant = providers.Singleton(
        QdrantConnection,
        settings.provided.qdrant_url,
        api_key=settings.provided.qdrant_api_key,
        grpc_port=settings.provided.qdrant_grpc_port,
        read_seconds=settings.provided.qdrant_timeout_seconds,
        write_seconds=settings.provided.qdrant_write_timeout_seconds,
    )
    collection = providers.Singleton(
        Collection,
        qdrant,
        embedder.provided.model.id,
        embedder.provided.model.dimension,
        prefix=settings.provided.qdrant_prefix,
        layout=providers.Singleton(
            Layout,
            quantization=settings.provided.qdrant_quantization,
            on_disk=settings.provided.qdrant_on_disk,
            shards=settings.provided.qdrant_shards,
            replicas=settings.provided.qdrant_replicas,
        ),
    )
    projection = _watched(
        meter, "vector_projection", providers.Singleton(QdrantProjection, collection)
    )
    circuit = providers.Singleton(Circuit, elapsed)
    indexes: dict[str, providers.Provider[Any]] = {  # noqa: RUF012
        "fastcore": near_index,
        "qdrant": providers.Singleton(
            FallbackIndex,
            _watched(meter, "qdrant", providers.Singleton(QdrantIndex, store, collection)),
            near_index,
            fits=room,
            circuit=circuit,
        ),
    }
    index: providers.Provider[VectorIndex] = providers.Selector(
        settings.provided.vector_index, **indexes
    )
    far_words: dict[str, providers.Provider[TextIndex]] = {  # noqa: RUF012
        "fastcore": store_words,
        "qdrant": providers.Singleton(
            FallbackTextIndex,
            _watched(
                meter, "qdrant_words", providers.Singleton(QdrantTextIndex, store, collection)
            ),
            store_words,
            circuit=circuit,
        ),
    }
    # Exact and the same for every store; what is too large for the process is asked elsewhere.
    words: providers.Provider[TextIndex] = providers.Singleton(
        FittingTextIndex,
        near_words,
        providers.Selector(settings.provided.vector_index, **far_words),
        fits=fast_words.provided.fits,
    )
    graph: providers.Provider[MemoryGraph] = _watched(
        meter,
        "graph",
        providers.Singleton(NetworkxGraph, store, roots_max=settings.provided.graph_roots_max),
    )

    known = providers.Singleton(Known, elapsed, budget_bytes=settings.provided.recall_cache_bytes)
    gatherer = providers.Singleton(
        Gatherer,
        store=store,
        known=known,
        index=index,
        words=words,
        analyser=analyser,
        embedder=embedder,
    )
    projector = providers.Singleton(Projector, analyser=analyser, embedder=embedder)
    follower = providers.Factory(
        Follower,
        store=store,
        events_at_once=settings.provided.worker_events_at_once,
        around=tracing.provided.applying,
    )
    project_vectors = providers.Factory(
        ProjectVectors,
        store=store,
        follower=follower,
        projection=projection,
        projector=projector,
    )
    compare_vectors = providers.Factory(
        CompareVectors, store=store, projection=projection, projector=projector
    )
    kept_outside: dict[str, providers.Provider[list[Outside]]] = {  # noqa: RUF012
        "fastcore": providers.List(),
        "qdrant": providers.List(
            providers.Singleton(
                Outside, projection=projection, project=project_vectors, compare=compare_vectors
            )
        ),
    }
    late_reranker: providers.Provider[Any] = providers.Singleton(
        LateInteraction,
        onnx_embedder,
        analyser,
        budget_bytes=settings.provided.reranker_cache_bytes,
        timeout_seconds=settings.provided.reranker_timeout_seconds,
    )
    reader: providers.Provider[PassageReader | None] = providers.Callable(
        _reader, settings, local_embedder, late_reranker.provider
    )
    installed = providers.Singleton(
        Installed,
        name=settings.provided.embedder,
        embedder=embedder,
        gatherer=gatherer,
        outside=providers.Selector(settings.provided.vector_index, **kept_outside),
        reader=reader,
    )
    #: The models that are not the chosen one, each from a container of its own; see `build`.
    other_models: providers.Provider[list[Installed]] = providers.List()
    models = providers.Singleton(
        Models,
        configured=installed,
        others=other_models,
        absent=providers.Callable(_absent, settings),
    )
    indexer = providers.Singleton(
        Indexer,
        store=store,
        analyser=analyser,
        models=models,
        bus=bus,
        now=now,
        new_event_id=new_id,
        wait_seconds=settings.provided.embed_wait_seconds,
    )
    planner = providers.Singleton(Planner, models=models, new_id=new_id, limits=limits)

    http_reranker = providers.Singleton(
        HttpReranker,
        url=settings.provided.reranker_url,
        model=settings.provided.reranker_model,
        key=settings.provided.reranker_key,
        timeout_seconds=settings.provided.reranker_timeout_seconds,
    )
    timed_late = _watched(meter, "late_reranker", late_reranker)
    timed_http = _watched(meter, "http_reranker", http_reranker)
    rerankings: dict[str, providers.Provider[Any]] = {  # noqa: RUF012
        "none": providers.Object(None),
        "late": providers.Factory(
            Reranking,
            store=store,
            reranker=timed_late,
            states_of=onnx_embedder.provided.model.id,
            unasked=providers.Callable(_is_there, reader),
        ),
        "http": providers.Factory(Reranking, store=store, reranker=timed_http),
    }
    reranking: providers.Provider[Any] = providers.Selector(
        providers.Callable(_reranker, settings, local_embedder), **rerankings
    )

    remember_batch_once = providers.Factory(
        RememberBatch,
        store=store,
        planner=planner,
        indexer=indexer,
        bus=bus,
        now=now,
        new_event_id=new_id,
        limits=limits,
        batch_max=settings.provided.batch_max,
    )
    lanes: dict[str, providers.Provider[Any]] = {  # noqa: RUF012
        "embedded": providers.Object(one_lane),
        "server": providers.Object(by_namespaces),
    }
    remember_together = providers.Singleton(
        RememberTogether,
        remember_batch_once,
        lane=providers.Selector(settings.provided.profile, **lanes),
    )
    remember = providers.Factory(Remember, batch=remember_together)
    recall = providers.Factory(
        Recall,
        store=store,
        models=models,
        graph=graph,
        reranking=reranking,
        now=now,
        elapsed=elapsed,
        k_max=settings.provided.k_max,
    )
    show = providers.Factory(Show, store=store)
    list_memories = providers.Factory(ListMemories, store=store, now=now)
    history = providers.Factory(History, store=store)
    revise_once = providers.Factory(
        Revise,
        store=store,
        planner=planner,
        indexer=indexer,
        bus=bus,
        now=now,
        new_event_id=new_id,
        limits=limits,
    )
    revise = providers.Factory(Retried, revise_once)
    forget_once = providers.Factory(
        Forget, store=store, indexer=indexer, bus=bus, now=now, new_event_id=new_id
    )
    forget = providers.Factory(Retried, forget_once)
    erase_once = providers.Factory(
        Erase,
        store=store,
        known=known,
        indexer=indexer,
        bus=bus,
        now=now,
        new_event_id=new_id,
        ledger=ledger,
        copies=copies,
    )
    erase = providers.Factory(Retried, erase_once)
    connect_once = providers.Factory(
        Connect, store=store, bus=bus, now=now, new_event_id=new_id, limits=limits
    )
    connect = providers.Factory(Retried, connect_once)
    disconnect_once = providers.Factory(
        Disconnect, store=store, bus=bus, now=now, new_event_id=new_id
    )
    disconnect = providers.Factory(Retried, disconnect_once)
    neighbors = providers.Factory(Neighbors, store=store, graph=graph)
    find_path = providers.Factory(FindPath, store=store, graph=graph)
    list_namespaces = providers.Factory(ListNamespaces, store=store)
    show_namespace = providers.Factory(ShowNamespace, store=store)
    set_policy = providers.Factory(SetPolicy, store=store, show=show_namespace)
    erase_namespace = providers.Factory(EraseNamespace, store=store, erase=erase_once, bus=bus)
    watch = providers.Factory(Watch, store=store, bus=bus)
    export = providers.Factory(Export, store=store, planner=planner)
    import_lines = providers.Factory(
        ImportLines,
        store=store,
        remember=remember_batch_once,
        planner=planner,
        indexer=indexer,
        bus=bus,
        now=now,
        new_event_id=new_id,
        limits=limits,
    )
    open_language = providers.Factory(OpenLanguage, store=store, analyser=analyser)
    reanalyse = providers.Factory(
        Reanalyse, store=store, analyser=analyser, bus=bus, now=now, new_event_id=new_id
    )
    switch_model = providers.Factory(SwitchModel, store=store, models=models, now=now)
    background = providers.Factory(
        BackgroundIndexing, indexer=indexer, switch=switch_model, bus=bus, report=failure_log
    )

    pending = providers.Factory(Pending, store=store, models=models)
    reindex = providers.Factory(Reindex, store=store, models=models, bus=bus, now=now)
    take_over = providers.Factory(TakeOver, store=store)
    open_model = providers.Factory(OpenModel, store=store, models=models, now=now)
    project_models = providers.Factory(ProjectModels, store=store, models=models)
    drop_bodies = providers.Factory(
        DropErasedBodies, follower=follower, drop=postgres_store.provided.drop_bodies
    )
    backlogs = providers.Factory(
        Backlogs,
        store=store,
        models=models,
        pending=pending,
        cursors=providers.Callable(_cursors, settings),
    )
    reconcile = providers.Factory(
        Reconcile,
        store=store,
        models=models,
        graph=graph,
        reindex=reindex,
    )
    diagnose = providers.Factory(
        Diagnose,
        store=store,
        models=models,
        pending=pending,
        facts=providers.Callable(_facts, settings),
        servers=providers.Callable(
            _pings,
            settings,
            redis_url=redis_server.provider,
            qdrant_url=projection.provider,
            kafka_servers=publisher.provider,
        ),
    )
    keyring = providers.Singleton(
        Keyring,
        store,
        elapsed,
        new_secret=providers.Object(secrets.token_urlsafe),
        configured_secret=settings.provided.key_secret,
    )
    key_usage = providers.Singleton(KeyUsage, store)
    access = providers.Singleton(
        Access,
        keyring=keyring,
        usage=key_usage,
        limiter=rate_limiter,
        failures=providers.Singleton(
            Failures,
            rate_limiter,
            elapsed,
            limit=settings.provided.rate_limit_failures,
            window_seconds=settings.provided.rate_limit_window_seconds,
        ),
        rates=providers.Callable(_rates, settings),
        bootstrap_key=settings.provided.bootstrap_key,
        now=now,
    )
    seats = providers.Singleton(
        Seats,
        reading_max=settings.provided.requests_reading_max,
        writing_max=settings.provided.requests_writing_max,
    )
    create_key = providers.Factory(
        CreateKey,
        store=store,
        keyring=keyring,
        now=now,
        new_key_id=providers.Callable(partial, secrets.token_hex, 8),
        new_secret=providers.Object(secrets.token_urlsafe),
    )
    list_keys = providers.Factory(ListKeys, store=store)
    revoke_key = providers.Factory(RevokeKey, store=store, keyring=keyring, now=now)
    flush_key_usage = providers.Factory(
        Repeating,
        step=key_usage.provided.flush,
        idle_seconds=KEY_USAGE_SECONDS,
        report=failure_log,
        done=providers.Object(_uncounted),
    )
    relay = providers.Factory(Relay, follower=follower, publisher=publisher)
    requeue_vectors = providers.Factory(RequeueVectors, store=store, models=models)
    repair_index = providers.Factory(RepairVectorIndex, store=store, models=models)
    maintenance_jobs = providers.Factory(
        MaintenanceJobs,
        reindex=reindex,
        reconcile=reconcile,
        requeue_vectors=requeue_vectors,
        repair_index=repair_index,
    )
    backup = providers.Factory(Backup, snapshots=snapshots, archives=archives, now=now)
    verify_backup = providers.Factory(VerifyBackup, archives=archives)
    restore = providers.Factory(
        Restore,
        snapshots=snapshots,
        verify=verify_backup,
        ledger=ledger,
        new_epoch=providers.Object(_new_epoch),
        now=now,
    )
    # What is in the ledger already need not be noted again.
    erase_again = providers.Factory(Retried, providers.Factory(erase_once, ledger=no_ledger))
    finish_restore = providers.Factory(FinishRestore, store=store, erase=erase_again)
    backup_jobs = providers.Factory(BackupJobs, backup=backup)
    worker_id = providers.Singleton(secrets.token_hex, 8)
    maintained = maintenance_jobs.provided.handlers.call()
    job_handlers: dict[str, providers.Provider[Any]] = {  # noqa: RUF012
        # There the one process is where the path is. A server's backup is made by who asks for it.
        "embedded": providers.Callable(_both, maintained, backup_jobs.provided.handlers.call()),
        "server": maintained,
    }
    job_bell = providers.Singleton(Bell)
    run_jobs = providers.Factory(
        RunJobs,
        store=store,
        locks=locks,
        handlers=providers.Selector(settings.provided.profile, **job_handlers),
        now=now,
        owner=worker_id,
        defect=providers.Factory(_defect_log, failure_log),
        timed=providers.Factory(_job_timer, meter),
    )
    import_as_job = providers.Factory(
        ImportAsJob, run=run_jobs, import_lines=import_lines, now=now, new_id=new_id
    )
    export_as_job = providers.Factory(
        ExportAsJob, run=run_jobs, export=export, now=now, new_id=new_id
    )
    start_job = providers.Factory(
        StartJob, store=store, now=now, new_id=new_id, wake=job_bell.provided.ring
    )
    reindex_as_job = providers.Factory(ReindexAsJob, start=start_job, run=run_jobs, reindex=reindex)
    reconcile_as_job = providers.Factory(
        ReconcileAsJob, start=start_job, run=run_jobs, reconcile=reconcile
    )
    backup_as_job = providers.Factory(BackupAsJob, start=start_job)
    schedule_jobs = providers.Factory(
        ScheduleJobs,
        store=store,
        every=providers.Dict(),
        now=now,
        new_id=new_id,
        wake=job_bell.provided.ring,
    )
    revive_jobs = providers.Factory(ReviveJobs, store=store, now=now)
    list_jobs = providers.Factory(ListJobs, store=store)
    show_job = providers.Factory(ShowJob, store=store)
    cancel_job = providers.Factory(CancelJob, store=store, now=now)
    count_jobs = providers.Factory(CountJobs, store=store, now=now)

    # --- What the doors and the loops are given: the same, with every call timed -----------------

    remember = _observed(meter, "remember", remember)
    remember_batch = _observed(meter, "remember_batch", remember_together)
    recall = _observed(meter, "recall", recall)
    show = _observed(meter, "show", show)
    list_memories = _observed(meter, "list_memories", list_memories)
    history = _observed(meter, "history", history)
    revise = _observed(meter, "revise", revise)
    forget = _observed(meter, "forget", forget)
    erase = _observed(meter, "erase", erase)
    connect = _observed(meter, "connect", connect)
    disconnect = _observed(meter, "disconnect", disconnect)
    neighbors = _observed(meter, "neighbors", neighbors)
    find_path = _observed(meter, "find_path", find_path)
    list_namespaces = _observed(meter, "list_namespaces", list_namespaces)
    show_namespace = _observed(meter, "show_namespace", show_namespace)
    set_policy = _observed(meter, "set_policy", set_policy)
    erase_namespace = _observed(meter, "erase_namespace", erase_namespace)
    watch = _observed(meter, "watch", watch)
    export_as_job = _observed(meter, "export", export_as_job)
    import_as_job = _observed(meter, "import_lines", import_as_job)
    create_key = _observed(meter, "create_key", create_key)
    list_keys = _observed(meter, "list_keys", list_keys)
    revoke_key = _observed(meter, "revoke_key", revoke_key)
    pending = _observed(meter, "pending", pending)
    reindex_as_job = _observed(meter, "reindex", reindex_as_job)
    reconcile_as_job = _observed(meter, "reconcile", reconcile_as_job)
    backup_as_job = _observed(meter, "backup", backup_as_job)
    list_jobs = _observed(meter, "list_jobs", list_jobs)
    show_job = _observed(meter, "show_job", show_job)
    cancel_job = _observed(meter, "cancel_job", cancel_job)
    diagnose = _observed(meter, "diagnose", diagnose)
    relay = _observed(meter, "relay", relay)
    project_models = _observed(meter, "project_models", project_models)
    drop_bodies = _observed(meter, "drop_bodies", drop_bodies)

    #: What doors may do for whom: `guarded()(principal)`. Nothing else here is for them to call.
    guarded: providers.Provider[Guard] = providers.Singleton(
        Guard,
        providers.Singleton(
            UseCases,
            remember=remember,
            remember_batch=remember_batch,
            recall=recall,
            show=show,
            list_memories=list_memories,
            history=history,
            revise=revise,
            forget=forget,
            erase=erase,
            connect=connect,
            disconnect=disconnect,
            neighbors=neighbors,
            find_path=find_path,
            list_namespaces=list_namespaces,
            show_namespace=show_namespace,
            set_policy=set_policy,
            erase_namespace=erase_namespace,
            watch=watch,
            export=export_as_job,
            import_lines=import_as_job,
            create_key=create_key,
            list_keys=list_keys,
            revoke_key=revoke_key,
            diagnose=diagnose,
            pending=pending,
            reindex=reindex_as_job,
            reconcile=reconcile_as_job,
            backup=backup_as_job,
            list_jobs=list_jobs,
            show_job=show_job,
            cancel_job=cancel_job,
            shown_settings=shown_settings,
            confirm=access.provided.confirm,
        ),
    )


#: What the containers of several embedding models have in common.
_SHARED = (
    *("now", "elapsed", "store", "cache", "circuit", "qdrant", "analyser", "bus"),
    *("budget", "fast_words", "onnx_embedder", "late_reranker"),
    *("core_snapshots", "known"),
    *("failure_log", "tallies", "meter", "tracing"),
)


def build(settings: Settings) -> Container:
    """Wire everything; opens nothing."""
    container = Container(settings=providers.Object(settings))
    others = [_beside_it(container, settings, name) for name in _other_models(settings)]
    container.other_models.override(providers.List(*(other.installed for other in others)))
    container.other_embedders.override(providers.List(*(other.local_embedder for other in others)))
    return container


def _other_models(settings: Settings) -> list[str]:
    """Return the embedders that could take over from the chosen one."""
    if settings.embedder == "none":
        return []
    absent = _absent(settings)
    names = Container.embedders.keys() - {settings.embedder}
    return sorted(name for name in names if name not in absent)


def _beside_it(container: Container, settings: Settings, embedder: str) -> Container:
    """Wire what there is once per embedding model, over the same connections."""
    other = Container(settings=providers.Object(structs.replace(settings, embedder=embedder)))
    for name in _SHARED:
        getattr(other, name).override(getattr(container, name))
    return other


@asynccontextmanager
async def running(container: Container) -> AsyncIterator[Container]:
    """Open everything for serving; stop and close in reverse order."""
    settings = container.settings()
    report = container.failure_log()
    async with opened(container), AsyncExitStack() as stack:
        await container.open_language()()
        await container.finish_restore()()
        if settings.profile == "embedded":
            # One process owns a data directory; replicas on a server leave each other's leases.
            await container.take_over()()
            await container.revive_jobs()()
        if settings.embedder != "none":
            await container.open_model()()
            if settings.background_embedding:
                await stack.enter_async_context(_beside(container.background(), report))
        await stack.enter_async_context(_noting_key_usage(container))
        if settings.event_bus == "kafka":
            await stack.enter_async_context(_beside(container.kafka_bus().listen, report))
        # Workers have the first go; where there is none, a job must not wait for ever.
        patience = WORKERS_FIRST if settings.profile == "server" else timedelta(0)
        for lane in job_lanes(container, report, _uncounted, patience):
            await stack.enter_async_context(_beside(lane, report))
        yield container


def job_lanes(
    container: Container,
    report: Callable[[SomaError], None],
    done: Callable[[int], None],
    patience: timedelta = timedelta(0),
) -> list[Repeating]:
    """Return what runs jobs, some side by side, so that a long one does not hold up the others."""
    lane = Repeating(
        step=container.run_jobs(patience=patience),
        idle_seconds=JOBS_IDLE_SECONDS[container.settings().profile],
        report=report,
        done=done,
        rest=container.job_bell().rest,
    )
    return [lane] * JOB_LANES


@asynccontextmanager
async def running_worker(container: Container) -> AsyncIterator[Container]:
    """Open everything for a worker, whose loops are run by its entry point."""
    async with opened(container), _noting_key_usage(container):
        await container.open_language()()
        await container.finish_restore()()
        if container.settings().embedder != "none":
            await container.open_model()()
        yield container


@asynccontextmanager
async def opened(container: Container) -> AsyncIterator[Container]:
    """Open the store, and close in the end whatever was used."""
    settings = container.settings()
    async with AsyncExitStack() as stack:
        tracing = container.tracing()
        await tracing.open()
        stack.push_async_callback(tracing.close)
        await _open_servers(container, stack)
        store = container.store()
        await store.open()
        stack.push_async_callback(store.close)
        stack.push_async_callback(container.fast_words().close)
        if settings.snapshots == "files":
            container.core_snapshots().tidy()
            stack.push_async_callback(container.fast_core().close)
        _close_models(container, stack)
        yield container


@asynccontextmanager
async def beside_the_store(container: Container) -> AsyncIterator[Container]:
    """Open everything but the store: to ask how the rest is while that does not answer."""
    async with AsyncExitStack() as stack:
        await _open_servers(container, stack)
        _close_models(container, stack)
        yield container


async def _open_servers(container: Container, stack: AsyncExitStack) -> None:
    settings = container.settings()
    if settings.kafka_servers is not None:
        stack.push_async_callback(container.publisher().close)
        stack.push_async_callback(container.dead_letters().close)
    if settings.qdrant_url is not None:
        qdrant = container.qdrant()
        await qdrant.open()
        stack.push_async_callback(qdrant.close)
    if settings.redis_url is not None:
        redis_server = container.redis_server()
        await redis_server.open()
        stack.push_async_callback(redis_server.close)


def _close_models(container: Container, stack: AsyncExitStack) -> None:
    """Let the models go in the end, if they were used."""
    settings = container.settings()
    for local in [container.local_embedder(), *container.other_embedders()]:
        if isinstance(local, OnnxEmbedder | OpenaiEmbedder):
            stack.push_async_callback(local.close)
    if settings.reranker == "late":
        stack.push_async_callback(container.onnx_embedder().close)
    elif settings.reranker == "http":
        stack.push_async_callback(container.http_reranker().close)


@asynccontextmanager
async def _noting_key_usage(container: Container) -> AsyncIterator[None]:
    """Write down now and then, and in the end, when keys were used."""
    report = container.failure_log()
    async with _beside(container.flush_key_usage(), report):
        yield
    try:
        await container.key_usage().flush()
    except SomaError as error:
        report(error)


@asynccontextmanager
async def _beside(work: Callable[[], Coroutine[None, None, None]], log: Log) -> AsyncIterator[None]:
    """Run something for as long as the block runs; what ends it too early is reported at once."""

    async def reported() -> None:
        try:
            await work()
        except SomaError as error:
            log(error)
        except Exception as error:
            log.failed("background.ended", error)
            raise

    task = asyncio.create_task(reported())
    try:
        yield
    finally:
        while not task.done():
            # More than once: the pool of PostgreSQL's driver waits by `asyncio.wait_for`, which
            # before Python 3.12 loses a cancellation that comes together with a connection.
            task.cancel()
            await asyncio.wait({task}, timeout=_CANCELLED_AGAIN_SECONDS)
        with contextlib.suppress(asyncio.CancelledError):
            await task
