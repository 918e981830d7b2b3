"""The composition root: the only place where adapters meet use cases."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

from dependency_injector import containers, providers
from msgspec import structs

from adapters.cached_embedder import CachedEmbedder
from adapters.environment import OPENAI_NEEDS, Settings, masked
from adapters.event_json import encode_event
from adapters.fallback.circuit import Circuit
from adapters.fallback.index import FallbackIndex
from adapters.fallback.text_index import FallbackTextIndex, FittingTextIndex
from adapters.fastcore.budget import Budget
from adapters.fastcore.fast_core import FastCore
from adapters.fastcore.room import Room
from adapters.fastcore.snapshots import Snapshots
from adapters.fastcore.words import FastWords
from adapters.gathered_questions import GatheredQuestions
from adapters.given_embedder import GivenEmbedder
from adapters.http_reranker import HttpReranker
from adapters.identifiers import Uuid7Source
from adapters.inprocess.bus import InProcessBus
from adapters.inprocess.cache import InProcessCache
from adapters.inprocess.limits import InProcessRateLimiter
from adapters.kafka.bus import KafkaBus
from adapters.kafka.connection import KafkaConnection
from adapters.kafka.dead_letters import KafkaDeadLetters
from adapters.kafka.publisher import KafkaPublisher
from adapters.kafka.source import KafkaSource, Membership
from adapters.kafka.topics import KafkaTopics
from adapters.late_interaction import LateInteraction
from adapters.layered_cache import LayeredCache
from adapters.networkx_graph import NetworkxGraph
from adapters.observation import FailureLog
from adapters.onnx_embedder import OnnxEmbedder
from adapters.openai_embedder import OpenaiEmbedder
from adapters.postgres.store import PostgresStore
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
from adapters.snowball_analyser import SnowballAnalyser
from adapters.sqlite.store import SqliteStore
from adapters.store_locks import StoreLocks
from adapters.store_text_index import StoreTextIndex
from application.background import BackgroundIndexing
from application.candidates import Gatherer
from application.comparing import CompareVectors
from application.connect import Connect, Disconnect, FindPath, Neighbors
from application.following import Follower
from application.forget import Erase, Forget
from application.indexing import Indexer
from application.jobs import RunJobs
from application.knowing import Known
from application.maintain import (
    Backlogs,
    Diagnose,
    Pending,
    Reconcile,
    Reindex,
    TakeOver,
)
from application.models import Installed, Models, Outside, ProjectModels
from application.namespaces import EraseNamespace, ListNamespaces, SetPolicy, ShowNamespace
from application.planning import Planner
from application.projecting import Projector, ProjectVectors
from application.recall import Recall
from application.relay import RELAY, Relay
from application.remember import Remember, RememberBatch
from application.repairing import RepairVectorIndex, RequeueVectors
from application.reranking import Reranking
from application.retrying import Retried
from application.revise import Revise
from application.show import History, ListMemories, Show
from application.switching import OpenModel, SwitchModel
from application.together import RememberTogether, by_namespaces, one_lane
from application.transfer import Export, ImportLines
from application.uncaching import BODIES, DropErasedBodies
from application.watch import Watch
from domain.errors import SomaError
from domain.memory import Limits
from domain.ports import (
    Analyser,
    Cache,
    CanonicalStore,
    Embedder,
    EventBus,
    Locks,
    MemoryGraph,
    RateLimiter,
    Reranker,
    TextIndex,
    VectorIndex,
)

DATABASE_NAME = "soma.db"
SNAPSHOTS_NAME = "fastcore"


def utc_now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


def _facts(settings: Settings) -> Mapping[str, str]:
    return {"profile": settings.profile, "data_dir": str(settings.data_dir)}


def _absent(settings: Settings) -> Mapping[str, str]:
    """Return why embedders that the settings may name cannot be used beside the chosen one."""
    missing = [name for name in OPENAI_NEEDS if getattr(settings, name) is None]
    needed = {"openai": f"set {', '.join(missing)}"} if missing else {}
    return {**needed, "none": "it embeds nothing, callers give the vectors"}


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


class OpenableStore(CanonicalStore, Protocol):
    """A canonical store with its life cycle, which use cases need not know."""

    async def open(self) -> None:
        """Connect, and bring the schema up to date."""

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
        FailureLog, settings.provided.log_level, settings.provided.log_format
    )
    redis_server = providers.Singleton(
        RedisServer,
        settings.provided.redis_url,
        prefix=settings.provided.redis_prefix,
        timeout_seconds=settings.provided.redis_timeout_seconds,
        report=failure_log,
    )
    far_cache: providers.Provider[Cache] = providers.Singleton(
        RedisCache,
        redis_server,
        ttl_seconds=settings.provided.redis_body_ttl_seconds,
        value_bytes_max=settings.provided.redis_value_bytes_max,
    )
    near_cache: providers.Provider[Cache] = providers.Singleton(
        InProcessCache, settings.provided.cache_bytes
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
        PostgresStore,
        settings.provided.postgres_url,
        connections_max=settings.provided.postgres_connections_max,
        statement_timeout_seconds=settings.provided.postgres_statement_timeout_seconds,
        waiting_timeout_seconds=settings.provided.postgres_waiting_timeout_seconds,
        bodies=providers.Selector(settings.provided.body_cache, **body_caches),
    )
    stores: dict[str, providers.Provider[Any]] = {  # noqa: RUF012  (see embedders)
        "embedded": providers.Singleton(
            SqliteStore, settings.provided.data_dir.joinpath.call(DATABASE_NAME)
        ),
        "server": postgres_store,
    }
    store: providers.Provider[OpenableStore] = providers.Selector(
        settings.provided.profile, **stores
    )
    near_limiter: providers.Provider[RateLimiter] = providers.Singleton(
        InProcessRateLimiter, elapsed
    )
    limiters: dict[str, providers.Provider[RateLimiter]] = {  # noqa: RUF012
        "none": near_limiter,
        "redis": providers.Singleton(RedisRateLimiter, redis_server, near_limiter),
    }
    rate_limiter: providers.Provider[RateLimiter] = providers.Selector(
        settings.provided.far_cache, **limiters
    )
    lock_keepers: dict[str, providers.Provider[Locks]] = {  # noqa: RUF012
        "none": providers.Singleton(StoreLocks, store, now),
        "redis": providers.Singleton(RedisLocks, redis_server),
    }
    locks: providers.Provider[Locks] = providers.Selector(
        settings.provided.far_cache, **lock_keepers
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
    publisher = providers.Singleton(KafkaPublisher, kafka, encode=providers.Object(encode_event))
    message_source = providers.Singleton(
        KafkaSource,
        kafka,
        report=failure_log,
        membership=providers.Singleton(
            Membership,
            group_prefix=settings.provided.kafka_group_prefix,
            session_timeout_seconds=settings.provided.kafka_session_timeout_seconds,
            heartbeat_seconds=settings.provided.kafka_heartbeat_seconds,
        ),
    )
    dead_letters = providers.Singleton(
        KafkaDeadLetters, kafka, now=now, group_prefix=settings.provided.kafka_group_prefix
    )
    near_bus: providers.Provider[EventBus] = providers.Singleton(InProcessBus)
    buses: dict[str, providers.Provider[EventBus]] = {  # noqa: RUF012
        "inprocess": near_bus,
        "kafka": providers.Singleton(KafkaBus, near_bus, kafka, report=failure_log),
    }
    bus: providers.Provider[EventBus] = providers.Selector(settings.provided.event_bus, **buses)
    analyser: providers.Provider[Analyser] = providers.Singleton(SnowballAnalyser)
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
        CachedEmbedder, providers.Selector(settings.provided.embedder, **askings), cache
    )
    budget = providers.Singleton(Budget, settings.provided.fastcore_budget_bytes)
    room = providers.Singleton(
        Room,
        store,
        embedder.provided.model.dimension,
        budget_bytes=settings.provided.fastcore_budget_bytes,
    )
    snapshots = providers.Singleton(
        Snapshots, settings.provided.data_dir.joinpath.call(SNAPSHOTS_NAME)
    )
    kept_snapshots: providers.Provider[Snapshots | None] = providers.Selector(
        settings.provided.snapshots, files=snapshots, none=providers.Object(None)
    )
    fast_core: providers.Provider[Any] = providers.Singleton(
        FastCore,
        store,
        embedder.provided.model.id,
        embedder.provided.model.dimension,
        budget=budget,
        exact_rows=settings.provided.fastcore_exact_rows,
        snapshots=kept_snapshots,
    )
    copies: providers.Provider[list[Snapshots]] = providers.Selector(
        settings.provided.snapshots, files=providers.List(snapshots), none=providers.List()
    )
    fast_words: providers.Provider[Any] = providers.Singleton(
        FastWords, store, budget=budget, room=room
    )
    store_words: providers.Provider[TextIndex] = providers.Singleton(StoreTextIndex, store)
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
    projection = providers.Singleton(QdrantProjection, collection)
    circuit = providers.Singleton(Circuit, elapsed)
    indexes: dict[str, providers.Provider[VectorIndex]] = {  # noqa: RUF012
        "fastcore": fast_core,
        "qdrant": providers.Singleton(
            FallbackIndex,
            providers.Singleton(QdrantIndex, store, collection),
            fast_core,
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
            providers.Singleton(QdrantTextIndex, store, collection),
            store_words,
            circuit=circuit,
        ),
    }
    # Exact and the same for every store; what is too large for the process is asked elsewhere.
    words: providers.Provider[TextIndex] = providers.Singleton(
        FittingTextIndex,
        fast_words,
        providers.Selector(settings.provided.vector_index, **far_words),
        fits=fast_words.provided.fits,
    )
    graph: providers.Provider[MemoryGraph] = providers.Singleton(
        NetworkxGraph, store, roots_max=settings.provided.graph_roots_max
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
        Follower, store=store, events_at_once=settings.provided.worker_events_at_once
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
    installed = providers.Singleton(
        Installed,
        name=settings.provided.embedder,
        embedder=embedder,
        gatherer=gatherer,
        outside=providers.Selector(settings.provided.vector_index, **kept_outside),
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

    late_reranker: providers.Provider[Reranker] = providers.Singleton(
        LateInteraction,
        onnx_embedder.provided.token_states,
        analyser,
        budget_bytes=settings.provided.reranker_cache_bytes,
        timeout_seconds=settings.provided.reranker_timeout_seconds,
    )
    http_reranker = providers.Singleton(
        HttpReranker,
        url=settings.provided.reranker_url,
        model=settings.provided.reranker_model,
        key=settings.provided.reranker_key,
        timeout_seconds=settings.provided.reranker_timeout_seconds,
    )
    rerankings: dict[str, providers.Provider[Any]] = {  # noqa: RUF012
        "none": providers.Object(None),
        "late": providers.Factory(Reranking, store=store, reranker=late_reranker),
        "http": providers.Factory(Reranking, store=store, reranker=http_reranker),
    }
    reranking: providers.Provider[Any] = providers.Selector(
        settings.provided.reranker, **rerankings
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
    remember_batch = providers.Singleton(
        RememberTogether,
        remember_batch_once,
        lane=providers.Selector(settings.provided.profile, **lanes),
    )
    remember = providers.Factory(Remember, batch=remember_batch)
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
    relay = providers.Factory(Relay, follower=follower, publisher=publisher)
    requeue_vectors = providers.Factory(RequeueVectors, store=store, models=models)
    repair_index = providers.Factory(RepairVectorIndex, store=store, models=models)
    worker_id = providers.Singleton(secrets.token_hex, 8)
    run_jobs = providers.Factory(
        RunJobs, store=store, locks=locks, jobs=providers.Object(()), now=now, owner=worker_id
    )


#: What the containers of several embedding models have in common.
_SHARED = (
    *("now", "elapsed", "store", "cache", "circuit", "qdrant", "analyser", "bus"),
    *("budget", "fast_words", "onnx_embedder", "snapshots", "known"),
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
        if settings.profile == "embedded":
            # One process owns a data directory; replicas on a server leave each other's leases.
            await container.take_over()()
        if settings.embedder != "none":
            await container.open_model()()
            if settings.background_embedding:
                await stack.enter_async_context(_beside(container.background(), report))
        bus = container.bus()
        if isinstance(bus, KafkaBus):
            await stack.enter_async_context(_beside(bus.listen, report))
        yield container


@asynccontextmanager
async def running_worker(container: Container) -> AsyncIterator[Container]:
    """Open everything for a worker, whose loops are run by its entry point."""
    async with opened(container):
        if container.settings().embedder != "none":
            await container.open_model()()
        yield container


@asynccontextmanager
async def opened(container: Container) -> AsyncIterator[Container]:
    """Open the store, and close in the end whatever was used."""
    settings = container.settings()
    async with AsyncExitStack() as stack:
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
        store = container.store()
        await store.open()
        stack.push_async_callback(store.close)
        stack.push_async_callback(container.fast_words().close)
        if settings.snapshots == "files":
            container.snapshots().tidy()
            stack.push_async_callback(container.fast_core().close)
        for local in [container.local_embedder(), *container.other_embedders()]:
            if isinstance(local, OnnxEmbedder | OpenaiEmbedder):
                stack.push_async_callback(local.close)
        if settings.reranker == "late":
            stack.push_async_callback(container.onnx_embedder().close)
        elif settings.reranker == "http":
            stack.push_async_callback(container.http_reranker().close)
        yield container


@asynccontextmanager
async def _beside(
    work: Callable[[], Coroutine[None, None, None]], report: Callable[[SomaError], None]
) -> AsyncIterator[None]:
    """Run something for as long as the block runs; what ends it too early is reported at once."""

    async def reported() -> None:
        try:
            await work()
        except SomaError as error:
            report(error)

    task = asyncio.create_task(reported())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
