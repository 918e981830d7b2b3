"""The composition root: the only place where adapters meet use cases."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol

from dependency_injector import containers, providers

from adapters.cached_embedder import CachedEmbedder
from adapters.environment import Settings
from adapters.fastcore.fast_core import FastCore
from adapters.given_embedder import GivenEmbedder
from adapters.identifiers import Uuid7Source
from adapters.inprocess.bus import InProcessBus
from adapters.inprocess.cache import InProcessCache
from adapters.networkx_graph import NetworkxGraph
from adapters.observation import FailureLog
from adapters.onnx_embedder import OnnxEmbedder
from adapters.openai_embedder import OpenaiEmbedder
from adapters.postgres.store import PostgresStore
from adapters.snowball_analyser import SnowballAnalyser
from adapters.sqlite.store import SqliteStore
from application.background import BackgroundIndexing
from application.candidates import Gatherer
from application.connect import Connect, Disconnect, FindPath, Neighbors
from application.forget import Erase, Forget
from application.indexing import Indexer
from application.maintain import Diagnose, OpenModel, Pending, Reconcile, Reindex, TakeOver
from application.namespaces import EraseNamespace, ListNamespaces, SetPolicy, ShowNamespace
from application.planning import Planner
from application.recall import Recall
from application.remember import Remember, RememberBatch
from application.revise import Revise
from application.show import History, ListMemories, Show
from application.transfer import Export, ImportLines
from application.watch import Watch
from domain.memory import Limits
from domain.ports import (
    Analyser,
    Cache,
    CanonicalStore,
    Embedder,
    EventBus,
    MemoryGraph,
    VectorIndex,
)

DATABASE_NAME = "soma.db"


def utc_now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


def _facts(settings: Settings) -> Mapping[str, str]:
    return {"profile": settings.profile, "data_dir": str(settings.data_dir)}


class OpenableStore(CanonicalStore, Protocol):
    """A canonical store with its life cycle, which use cases need not know."""

    async def open(self) -> None:
        """Connect, and bring the schema up to date."""

    async def close(self) -> None:
        """Let go of everything."""


class Container(containers.DeclarativeContainer):
    """Which adapter stands behind each port, and what each use case is given."""

    settings = providers.Dependency(instance_of=Settings)
    now = providers.Object(utc_now)
    elapsed = providers.Object(time.perf_counter)
    limits = providers.Singleton(
        Limits,
        content_bytes=settings.provided.content_bytes_max,
        payload_bytes=settings.provided.payload_bytes_max,
    )
    new_id = providers.Singleton(Uuid7Source, now)

    stores: dict[str, providers.Provider[OpenableStore]] = {  # noqa: RUF012  (see embedders)
        "embedded": providers.Singleton(
            SqliteStore, settings.provided.data_dir.joinpath.call(DATABASE_NAME)
        ),
        "server": providers.Singleton(PostgresStore, settings.provided.postgres_url),
    }
    store: providers.Provider[OpenableStore] = providers.Selector(
        settings.provided.profile, **stores
    )
    cache: providers.Provider[Cache] = providers.Singleton(
        InProcessCache, settings.provided.cache_bytes
    )
    bus: providers.Provider[EventBus] = providers.Singleton(InProcessBus)
    analyser: providers.Provider[Analyser] = providers.Singleton(SnowballAnalyser)
    embedders: dict[str, providers.Provider[Embedder]] = {  # noqa: RUF012  (a container is a class)
        "bge-small": providers.Singleton(OnnxEmbedder, settings.provided.model_path),
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
    embedder: providers.Provider[Embedder] = providers.Singleton(
        CachedEmbedder, local_embedder, cache
    )
    index: providers.Provider[VectorIndex] = providers.Singleton(
        FastCore,
        store,
        embedder.provided.model.id,
        embedder.provided.model.dimension,
        budget_bytes=settings.provided.fastcore_bytes,
    )
    graph: providers.Provider[MemoryGraph] = providers.Singleton(
        NetworkxGraph, store, roots_max=settings.provided.graph_roots_max
    )

    indexer = providers.Singleton(
        Indexer,
        store=store,
        analyser=analyser,
        embedder=embedder,
        bus=bus,
        now=now,
        new_event_id=new_id,
        wait_seconds=settings.provided.embed_wait_seconds,
    )
    planner = providers.Singleton(Planner, embedder=embedder, new_id=new_id, limits=limits)
    gatherer = providers.Singleton(
        Gatherer, store=store, index=index, analyser=analyser, embedder=embedder
    )

    remember_batch = providers.Factory(
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
    remember = providers.Factory(Remember, batch=remember_batch)
    recall = providers.Factory(
        Recall,
        store=store,
        gatherer=gatherer,
        graph=graph,
        planner=planner,
        now=now,
        elapsed=elapsed,
        k_max=settings.provided.k_max,
    )
    show = providers.Factory(Show, store=store)
    list_memories = providers.Factory(ListMemories, store=store, now=now)
    history = providers.Factory(History, store=store)
    revise = providers.Factory(
        Revise,
        store=store,
        planner=planner,
        indexer=indexer,
        bus=bus,
        now=now,
        new_event_id=new_id,
        limits=limits,
    )
    forget = providers.Factory(
        Forget, store=store, indexer=indexer, bus=bus, now=now, new_event_id=new_id
    )
    erase = providers.Factory(
        Erase, store=store, indexer=indexer, bus=bus, now=now, new_event_id=new_id
    )
    connect = providers.Factory(
        Connect, store=store, bus=bus, now=now, new_event_id=new_id, limits=limits
    )
    disconnect = providers.Factory(Disconnect, store=store, bus=bus, now=now, new_event_id=new_id)
    neighbors = providers.Factory(Neighbors, store=store, graph=graph)
    find_path = providers.Factory(FindPath, store=store, graph=graph)
    list_namespaces = providers.Factory(ListNamespaces, store=store)
    show_namespace = providers.Factory(ShowNamespace, store=store)
    set_policy = providers.Factory(SetPolicy, store=store, show=show_namespace)
    erase_namespace = providers.Factory(EraseNamespace, store=store, erase=erase, bus=bus)
    watch = providers.Factory(Watch, store=store, bus=bus)
    export = providers.Factory(Export, store=store, planner=planner)
    import_lines = providers.Factory(
        ImportLines,
        store=store,
        remember=remember_batch,
        planner=planner,
        indexer=indexer,
        bus=bus,
        now=now,
        new_event_id=new_id,
        limits=limits,
    )
    pending = providers.Factory(Pending, store=store, embedder=embedder)
    reindex = providers.Factory(Reindex, store=store, embedder=embedder)
    reconcile = providers.Factory(Reconcile, store=store, index=index, graph=graph, reindex=reindex)
    diagnose = providers.Factory(
        Diagnose,
        store=store,
        embedder=embedder,
        pending=pending,
        facts=providers.Callable(_facts, settings),
    )
    take_over = providers.Factory(TakeOver, store=store)
    open_model = providers.Factory(OpenModel, store=store, embedder=embedder, reindex=reindex)
    failure_log = providers.Singleton(
        FailureLog, settings.provided.log_level, settings.provided.log_format
    )
    background = providers.Factory(BackgroundIndexing, indexer=indexer, bus=bus, report=failure_log)


def build(settings: Settings) -> Container:
    """Wire everything; opens nothing."""
    return Container(settings=providers.Object(settings))


@asynccontextmanager
async def running(container: Container) -> AsyncIterator[Container]:
    """Open the store, start the background indexer; stop and close in reverse order."""
    async with AsyncExitStack() as stack:
        store = container.store()
        await store.open()
        stack.push_async_callback(store.close)
        local = container.local_embedder()
        if isinstance(local, OnnxEmbedder | OpenaiEmbedder):
            stack.push_async_callback(local.close)
        if container.settings().profile == "embedded":
            # One process owns a data directory; replicas on a server leave each other's leases.
            await container.take_over()()
        if container.settings().embedder != "none":
            await container.open_model()()
        if container.settings().embedder != "none":
            task = asyncio.create_task(container.background()(), name="background-indexing")
            stack.push_async_callback(_stopped, task)
        yield container


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
