"""From one embedding model to another while recalls and writes go on, and through every mishap."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from dependency_injector import providers

from adapters.openai_embedder import OpenaiEmbedder
from application.indexing import indexer as indexing
from application.indexing import switching
from application.indexing.models import ModelState, requeue
from container import Container, build, running
from domain.draft import Changes, Draft, Wait
from domain.errors import DimensionMismatch, EmbedderUnavailable, InvalidInput
from domain.memory import MemoryId
from domain.namespace import DEFAULT_NAMESPACE, Scope
from domain.ports import IndexedVector
from domain.recall import RecallAnswer, RecallQuery
from domain.vector import MODEL_SETTING
from tests.contracts.embedding_server import (
    Asked,
    Behaviour,
    Handler,
    embedding_server,
    status,
    well,
)
from tests.end_to_end.embedded import (
    ACTOR,
    DIMENSION,
    BagOfWords,
    Clock,
    installation,
    settings_for,
    settled,
)
from tests.servers.qdrant_local import LocalQdrant

SCOPE = Scope(DEFAULT_NAMESPACE)
OLD_DIMENSION = 32
OLD = BagOfWords("small", OLD_DIMENSION)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """Where the other model is to be had."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with embedding_server() as asked:
        yield asked


@pytest.fixture
def elsewhere(server: Asked) -> dict[str, object]:
    """The settings that make the other model available."""
    return {
        "embedder_url": server.url,
        "embedder_model": "large",
        "embedder_dimension": DIMENSION,
    }


@pytest.fixture(params=["embedded", "server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, object]:
    """The settings that say where memories are kept."""
    if request.param == "embedded":
        return {"data_dir": tmp_path}
    return {"data_dir": tmp_path, "postgres_url": request.getfixturevalue("postgres_url")}


@asynccontextmanager
async def opened(
    settings: dict[str, object], clock: Clock | None = None
) -> AsyncIterator[Container]:
    async with installation(**settings, embedder=OLD, clock=clock) as soma:  # type: ignore[arg-type]
        yield soma


@asynccontextmanager
async def with_qdrant(settings: dict[str, object], clock: Clock) -> AsyncIterator[Container]:
    """Open an installation with Qdrant in its client's local mode; nobody works beside the test."""
    given = {**settings, "qdrant_url": "http://localhost:1", "background_embedding": False}
    container = build(settings_for(**given))  # type: ignore[arg-type]
    container.local_embedder.override(providers.Object(OLD))
    container.now.override(providers.Object(clock))
    container.qdrant.override(providers.Object(LocalQdrant()))
    async with running(container):
        yield container


@asynccontextmanager
async def replica(soma: Container, settings: dict[str, object]) -> AsyncIterator[Container]:
    """A second process over the same canonical store."""
    other = build(settings_for(**settings))  # type: ignore[arg-type]
    other.local_embedder.override(providers.Object(OLD))
    other.store.override(providers.Object(soma.store()))
    yield other
    for embedder in other.other_embedders():
        assert isinstance(embedder, OpenaiEmbedder)
        await embedder.close()


async def state_of(soma: Container) -> ModelState:
    async with soma.store().reading() as tx:
        state: ModelState = await soma.models().state(tx)
    return state


async def vectors_of(soma: Container, model: str) -> list[IndexedVector]:
    async with soma.store().reading() as tx:
        found: list[IndexedVector] = await tx.embeddings.page(DEFAULT_NAMESPACE, model, limit=1000)
    return found


async def remember(soma: Container, content: str) -> MemoryId:
    stored = await soma.remember()(Draft(content=content), actor=ACTOR)
    assert stored.indexed
    return stored.memory.id


async def recall(soma: Container, text: str | None, **fields: object) -> RecallAnswer:
    query = RecallQuery(text=text, scope=SCOPE, **fields)  # type: ignore[arg-type]
    answer: RecallAnswer = await soma.recall()(query)
    return answer


async def expect_by_meaning(soma: Container, content: str) -> None:
    answer = await recall(soma, content)
    assert () == answer.degraded
    assert content == answer.hits[0].memory.content
    assert answer.hits[0].parts["semantic"] > 0


def held_until(event: threading.Event) -> Behaviour:
    """Answer well, but not before an event."""

    def behave(handler: Handler, texts: list[str]) -> None:
        event.wait()
        well(handler, texts)

    return behave


def new_model(soma: Container) -> str:
    (other,) = soma.models().others
    id: str = other.model.id
    return id


# --- While serving -------------------------------------------------------------------------------


async def test_every_recall_finds_by_meaning_before_during_and_after_the_change(
    place: dict[str, object], elsewhere: dict[str, object], server: Asked
) -> None:
    # However quickly the other model is filled: not before there were recalls in the middle.
    recalled = threading.Event()
    server.behaviours = [held_until(recalled)]
    async with opened({**place, **elsewhere}, clock := Clock()) as soma:
        texts = [f"thing{n} lies in drawer{n}" for n in range(150)]
        await soma.remember_batch()([Draft(content=text) for text in texts], actor=ACTOR)
        new = new_model(soma)
        seen = set()

        async def recalls() -> None:
            while (await state_of(soma)).active != new:
                for text in texts[::30]:
                    await expect_by_meaning(soma, text)
                seen.add((await state_of(soma)).filled)
                recalled.set()

        async def writes() -> None:
            for number in range(1000):
                if (await state_of(soma)).active == new:
                    return
                content = f"item{number} hangs on hook{number}"
                id = await remember(soma, content)
                await expect_by_meaning(soma, content)
                revised = f"item{number} moved to shelf{number}"
                await soma.revise()(id, Changes(content=revised), actor=ACTOR)
                await expect_by_meaning(soma, revised)

        async with asyncio.timeout(60):
            assert await soma.reindex()("openai") >= len(texts)
            await asyncio.gather(recalls(), writes())

        assert ("small", new) in seen
        for text in texts[::10]:
            await expect_by_meaning(soma, text)
        state = await state_of(soma)
        assert (state.active, state.next, list(state.retired)) == (new, None, ["small"])
        assert await vectors_of(soma, "small")
        clock.pass_by(minutes=2)
        await soma.switch_model()()
        assert await vectors_of(soma, "small") == []
        assert (await state_of(soma)).retired == {}
        assert await soma.reindex()() == 0
        assert await soma.store().check() == []
        for text in texts[::10]:
            await expect_by_meaning(soma, text)


@pytest.mark.parametrize("wait", [Wait.INDEXED, Wait.STORED])
async def test_the_change_does_not_wait_for_a_pause_in_which_nobody_writes(
    place: dict[str, object],
    elsewhere: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    wait: Wait,
) -> None:
    quiet = {"background_embedding": False}
    async with opened({**place, **elsewhere, **quiet}) as soma:
        await remember(soma, "red kettle")
        await soma.reindex()("openai")
        await settled(soma)
        written: list[str] = []

        async def write() -> None:
            written.append(f"item{len(written)} hangs on hook{len(written)}")
            await soma.remember()(Draft(content=written[-1]), wait=wait, actor=ACTOR)

        async def requeue_and_write(*given: Any) -> None:
            await requeue(*given)
            await write()

        # Between the last look at what is missing and the switch somebody has always written.
        monkeypatch.setattr(switching, "requeue", requeue_and_write)
        await write()
        await soma.switch_model()()

        assert (await state_of(soma)).active == new_model(soma)
        assert len(written) == 2
        if wait is Wait.STORED:
            await settled(soma)
        for content in ["red kettle", *written]:
            await expect_by_meaning(soma, content)


async def test_what_is_computed_after_the_change_began_is_computed_for_both_models(
    place: dict[str, object], elsewhere: dict[str, object]
) -> None:
    quiet = {"background_embedding": False}
    async with opened({**place, **elsewhere, **quiet}) as soma:
        await soma.reindex()("openai")
        await soma.remember()(Draft(content="red kettle"), wait=Wait.STORED, actor=ACTOR)

        # One vector is asked for, of the model that answers: the other is never behind it.
        assert await soma.indexer().drain(limit=1) == 1

        assert len(await vectors_of(soma, "small")) == 1
        assert len(await vectors_of(soma, new_model(soma))) == 1
        assert await soma.pending()() == 0


async def test_given_vectors_belong_to_the_model_that_answers(
    place: dict[str, object], elsewhere: dict[str, object]
) -> None:
    quiet = {"background_embedding": False}
    async with opened({**place, **elsewhere, **quiet}) as soma:
        await soma.reindex()("openai")
        given = [1.0] + [0.0] * (OLD_DIMENSION - 1)

        stored = await soma.remember()(Draft(content="red kettle", vector=given), actor=ACTOR)

        assert stored.indexed
        assert await soma.pending()() == 1
        assert len((await recall(soma, None, vector=given)).hits) == 1
        await settled(soma)
        await soma.switch_model()()
        await expect_by_meaning(soma, "red kettle")
        message = f"has {OLD_DIMENSION} dimensions, the embedding model has {DIMENSION}"
        with pytest.raises(DimensionMismatch, match=message):
            await recall(soma, None, vector=given)
        with pytest.raises(DimensionMismatch, match=message):
            await soma.remember()(Draft(content="kettle", vector=given), actor=ACTOR)
        with pytest.raises(DimensionMismatch, match=message):
            await soma.revise()(stored.memory.id, Changes(vector=given), actor=ACTOR)
        again = [1.0] + [0.0] * (DIMENSION - 1)
        await soma.revise()(stored.memory.id, Changes(vector=again), actor=ACTOR)
        answer = await recall(soma, None, vector=again)
        assert answer.hits[0].parts["semantic"] > 0


async def test_two_processes_change_over_together(
    place: dict[str, object], elsewhere: dict[str, object]
) -> None:
    quiet = {"background_embedding": False}
    async with (
        opened({**place, **elsewhere, **quiet}) as one,
        replica(one, {**place, **elsewhere}) as two,
    ):
        await remember(one, "red kettle")
        await expect_by_meaning(two, "red kettle")

        await one.reindex()("openai")
        late = await two.remember()(Draft(content="blue canoe"), wait=Wait.STORED, actor=ACTOR)
        await one.revise()(late.memory.id, Changes(content="green canoe"), actor=ACTOR)
        await settled(one)
        await two.switch_model()()

        assert (await state_of(one)).active == new_model(one)
        for soma in (one, two):
            await expect_by_meaning(soma, "red kettle")
            await expect_by_meaning(soma, "green canoe")
            assert (await soma.diagnose().health())["embedder"] == new_model(one)


async def test_a_model_that_does_not_answer_holds_up_nothing(
    place: dict[str, object], elsewhere: dict[str, object], server: Asked
) -> None:
    quiet = {"background_embedding": False}
    async with opened({**place, **elsewhere, **quiet}, clock := Clock()) as soma:
        await remember(soma, "red kettle")
        await soma.reindex()("openai")
        server.behaviours = [status(401), status(401)]
        with pytest.raises(EmbedderUnavailable):
            await settled(soma)

        await remember(soma, "blue canoe")
        assert server.behaviours == []
        await soma.switch_model()()

        assert (await state_of(soma)).active == "small"
        await expect_by_meaning(soma, "blue canoe")
        clock.pass_by(minutes=5)
        await settled(soma)
        await soma.switch_model()()
        assert (await state_of(soma)).active == new_model(soma)


async def test_a_model_that_is_silent_is_not_waited_for_beyond_the_bound(
    place: dict[str, object],
    elsewhere: dict[str, object],
    server: Asked,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(indexing, "NEXT_SECONDS", 0.05)
    quiet = {"background_embedding": False}
    async with opened({**place, **elsewhere, **quiet}) as soma:
        await soma.reindex()("openai")
        speaking = threading.Event()
        # As many as there could be, for the bound may be over before the first is sent.
        server.behaviours = [held_until(speaking)] * 10

        await remember(soma, "blue canoe")

        await soma.switch_model()()
        assert (await state_of(soma)).active == "small"
        await expect_by_meaning(soma, "blue canoe")
        speaking.set()
        await settled(soma)
        await soma.switch_model()()
        assert (await state_of(soma)).active == new_model(soma)


async def test_an_index_outside_the_store_is_filled_before_it_is_asked(
    postgres_url: str, tmp_path: Path, elsewhere: dict[str, object]
) -> None:
    settings = {"data_dir": tmp_path, "postgres_url": postgres_url, **elsewhere}
    async with with_qdrant(settings, clock := Clock()) as soma:
        await remember(soma, "red kettle")
        assert await soma.project_models()()
        await expect_by_meaning(soma, "red kettle")
        await soma.reindex()("openai")
        await remember(soma, "blue canoe")
        await settled(soma)
        (old, new) = soma.models().installed
        assert sum((await soma.backlogs()())[0].values()) > 0

        while await soma.project_models()():
            await expect_by_meaning(soma, "blue canoe")
        await soma.switch_model()()

        assert (await state_of(soma)).active == new.model.id
        for text in ("red kettle", "blue canoe"):
            await expect_by_meaning(soma, text)
        assert await soma.reconcile()(check=True) == []
        clock.pass_by(minutes=2)
        await soma.switch_model()()
        held = [
            await one.outside[0].projection.contents(DEFAULT_NAMESPACE, limit=9)
            for one in (old, new)
        ]
        assert [len(points) > 0 for points in held] == [False, True]
        await expect_by_meaning(soma, "red kettle")


async def test_an_index_outside_that_lags_far_behind_is_waited_for(
    postgres_url: str,
    tmp_path: Path,
    elsewhere: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(switching, "EVENTS_BEHIND_MAX", 1)
    settings = {"data_dir": tmp_path, "postgres_url": postgres_url, **elsewhere}
    async with with_qdrant(settings, Clock()) as soma:
        await remember(soma, "red kettle")
        await soma.reindex()("openai")
        await settled(soma)

        await soma.switch_model()()
        assert (await state_of(soma)).active == "small"

        while await soma.project_models()():
            await expect_by_meaning(soma, "red kettle")
        await soma.switch_model()()
        assert (await state_of(soma)).active == new_model(soma)


# --- Ends and beginnings -------------------------------------------------------------------------


async def test_a_process_that_ended_in_the_middle_is_continued_by_the_next(
    place: dict[str, object], elsewhere: dict[str, object]
) -> None:
    settings = {**place, **elsewhere}
    drafts = [Draft(content=f"thing{n} lies in drawer{n}") for n in range(20)]
    async with opened({**settings, "background_embedding": False}) as soma:
        await soma.remember_batch()(drafts, actor=ACTOR)
        await soma.reindex()("openai")
        await soma.indexer().drain(limit=5)

    async with opened(settings) as soma:
        new = new_model(soma)
        async with asyncio.timeout(30):
            while (await state_of(soma)).active != new:
                await expect_by_meaning(soma, "thing7 lies in drawer7")
        assert len(await vectors_of(soma, new)) == len(drafts)
        await expect_by_meaning(soma, "thing7 lies in drawer7")


async def test_nothing_is_left_out_when_the_queueing_itself_was_cut_short(
    place: dict[str, object], elsewhere: dict[str, object]
) -> None:
    async with opened({**place, **elsewhere, "background_embedding": False}) as soma:
        await remember(soma, "red kettle")
        begun = (await state_of(soma)).towards(new_model(soma), Clock()())
        async with soma.store().writing() as tx:
            await tx.settings.set(MODEL_SETTING, begun.encoded())

        await soma.switch_model()()

        assert (await state_of(soma)).active == "small"
        assert await soma.pending()() == 1
        await settled(soma)
        await soma.switch_model()()
        await expect_by_meaning(soma, "red kettle")
        assert (await state_of(soma)).active == new_model(soma)


async def test_one_may_go_back_and_the_choice_outlasts_a_restart(
    place: dict[str, object], elsewhere: dict[str, object]
) -> None:
    settings = {**place, **elsewhere, "background_embedding": False}
    async with opened(settings) as soma:
        await remember(soma, "red kettle")
        await soma.reindex()("openai")
        await settled(soma)
        await soma.switch_model()()
    async with opened(settings) as soma:
        assert (await state_of(soma)).active == new_model(soma)
        await expect_by_meaning(soma, "red kettle")

        assert await soma.reindex()("bge-small") == 0
        await soma.switch_model()()

        state = await state_of(soma)
        assert (state.active, list(state.retired)) == ("small", [new_model(soma)])
        await expect_by_meaning(soma, "red kettle")


async def test_other_settings_at_the_start_change_the_model_without_a_gap(
    place: dict[str, object], elsewhere: dict[str, object]
) -> None:
    settings = {**place, **elsewhere, "background_embedding": False}
    first = settings_for(**settings, embedder="openai")  # type: ignore[arg-type]
    async with running(build(first)) as soma:
        await remember(soma, "red kettle")

    async with opened(settings) as soma:
        state = await state_of(soma)
        assert (state.active, state.next) == (new_model(soma), "small")
        await expect_by_meaning(soma, "red kettle")
        await settled(soma)
        await soma.switch_model()()
        assert (await state_of(soma)).active == "small"
        await expect_by_meaning(soma, "red kettle")


async def test_a_process_that_does_not_know_the_new_model_answers_by_words(
    place: dict[str, object], elsewhere: dict[str, object]
) -> None:
    quiet = {"background_embedding": False}
    async with (
        opened({**place, **elsewhere, **quiet}) as one,
        replica(one, place) as two,
    ):
        await remember(one, "red kettle")
        await one.reindex()("openai")
        await settled(one)
        await one.switch_model()()

        answer = await recall(two, "kettle")
        stored = await two.remember()(Draft(content="blue canoe"), actor=ACTOR)

        assert ("embedder",) == answer.degraded
        assert ["red kettle"] == [hit.memory.content for hit in answer.hits]
        assert not stored.indexed
        with pytest.raises(EmbedderUnavailable, match="not configured here"):
            await recall(two, None, vector=[1.0] * OLD_DIMENSION)
        await one.indexer().fill([stored.memory.id])
        await expect_by_meaning(one, "blue canoe")


# --- What is refused -----------------------------------------------------------------------------


async def test_a_model_that_cannot_be_used_is_refused_naming_what_is_missing(
    tmp_path: Path,
) -> None:
    async with installation(tmp_path, embedder_url="http://localhost:1/v1") as soma:
        reindex = soma.reindex()
        with pytest.raises(InvalidInput, match="set embedder_model, embedder_dimension"):
            await reindex("openai")
        with pytest.raises(InvalidInput, match="must be one of bge-small, none, openai"):
            await reindex("word2vec")
        with pytest.raises(InvalidInput, match="callers give the vectors"):
            await reindex("none")
        assert await reindex("bge-small") == 0

    given = build(settings_for(tmp_path, embedder="none"))
    with pytest.raises(InvalidInput, match="vectors are given by the callers"):
        await given.reindex()("bge-small")
