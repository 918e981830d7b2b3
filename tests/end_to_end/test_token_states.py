"""Token states come with the vectors, and leave with them; recall judges by what is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapters.onnx_embedder import OnnxEmbedder, Reading
from container import Container, build, running
from domain.draft import Changes, Draft, Wait
from domain.memory import MemoryId, Source
from domain.namespace import DEFAULT_NAMESPACE, Scope
from domain.recall import RecallAnswer, RecallQuery
from domain.texts import own_text, text_hash
from tests.end_to_end.embedded import ACTOR, settings_for, settled

TURNS = [
    "Ann: I practise the violin every evening.",
    "Bob: Which pieces do you like best?",
    "Ann: Mostly Bach, and a little jazz.",
    "Bob: I paint harbours on Sundays.",
]
QUESTION = "Which instrument does Ann play?"


@asynccontextmanager
async def soma(folder: Path, **settings: object) -> AsyncIterator[Container]:
    """Open an installation with the default embedder."""
    async with running(build(settings_for(folder, **settings))) as container:
        yield container


async def remember(container: Container, *contents: str, **fields: object) -> list[MemoryId]:
    """Store turns of one session; return their ids."""
    drafts = [
        Draft(content=content, source=Source(session="s"), **fields)  # type: ignore[arg-type]
        for content in contents
    ]
    results = await container.remember_batch()(drafts, wait=Wait.INDEXED, actor=ACTOR)
    assert all(result.indexed for result in results)
    return [result.memory.id for result in results]


async def kept(container: Container, ids: list[MemoryId]) -> dict[MemoryId, bytes]:
    """Return the states that are kept."""
    async with container.store().reading() as tx:
        found = await tx.embeddings.states(ids, OnnxEmbedder().model.id)
        memories = await tx.memories.get(ids)
    assert all(one.input_hash == text_hash(own_text(memories[one.memory_id])) for one in found)
    return {one.memory_id: one.data for one in found}


async def recall(container: Container, **fields: object) -> RecallAnswer:
    query = RecallQuery(text=QUESTION, scope=Scope(DEFAULT_NAMESPACE), **fields)  # type: ignore[arg-type]
    return await container.recall()(query)


def judged(answer: RecallAnswer) -> bool:
    return any("rerank" in hit.parts for hit in answer.hits)


def readings(container: Container, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the texts that the model reads from now on."""
    texts: list[str] = []
    embedder = container.onnx_embedder()
    read: Callable[..., Reading] = embedder._read

    def noted(text: str, prefix: str = "") -> Reading:
        texts.append(text)
        return read(text, prefix)

    monkeypatch.setattr(embedder, "_read", noted)
    return texts


async def test_by_default_a_new_process_judges_by_what_is_kept_and_reads_the_question_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with soma(tmp_path) as first:
        await remember(first, *TURNS)
        before = await recall(first)

    async with soma(tmp_path) as again:
        texts = readings(again, monkeypatch)
        answer = await recall(again)
        plain = await recall(again, rerank=False)

    assert TURNS[0] == answer.hits[0].memory.content
    assert judged(answer)
    assert not judged(plain)
    assert () == answer.degraded
    assert [QUESTION] == texts
    assert before.hits == answer.hits
    for hit in answer.hits:
        assert hit.score == pytest.approx(sum(hit.parts.values()), abs=1e-6)


async def test_states_follow_the_text_and_leave_with_the_memory(tmp_path: Path) -> None:
    async with soma(tmp_path) as container:
        ids = await remember(container, *TURNS)
        before = await kept(container, ids)
        await container.revise()(ids[0], Changes(content="Ann: I gave it up."), actor=ACTOR)
        await container.revise()(ids[1], Changes(tags=("art",)), actor=ACTOR)
        await container.forget()(ids[2], actor=ACTOR)
        await container.erase()(ids[3], actor=ACTOR)
        after = await kept(container, ids)

    assert set(ids) == set(before)
    assert set(ids[:2]) == set(after)
    assert before[ids[0]] != after[ids[0]]
    assert before[ids[1]] == after[ids[1]]


async def test_a_given_vector_stays_and_its_text_is_not_read_for_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [1.0, *[0.0] * 383]
    async with soma(tmp_path) as container:
        texts = readings(container, monkeypatch)
        [id] = await remember(container, TURNS[0], vector=given)
        await container.reindex()()
        await settled(container)
        async with container.store().reading() as tx:
            [own] = await tx.embeddings.stored([id], OnnxEmbedder().model.id)
        kept_states = await kept(container, [id])

    assert "given" == own.input_hash
    assert {} == kept_states
    assert [] == texts


async def test_nothing_is_kept_where_nobody_judges_by_it(tmp_path: Path) -> None:
    async with soma(tmp_path, reranker="none") as container:
        ids = await remember(container, *TURNS)

        assert {} == await kept(container, ids)
        assert not judged(await recall(container))


async def test_what_was_stored_before_is_judged_as_soon_as_its_states_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [*TURNS, *(f"Ann: I heard concert number {number}." for number in range(4))]
    async with soma(tmp_path, reranker="none") as container:
        ids = await remember(container, *many)

    async with soma(tmp_path, background_embedding=False) as container:
        texts = readings(container, monkeypatch)
        early = await recall(container)
        assert [QUESTION] == texts  # nobody who did not ask for it waits for eight readings
        wanted = await recall(container, rerank=True)
        assert len(many) == await container.pending()()
        await settled(container)
        later = await recall(container)

        assert set(ids) == set(await kept(container, ids))
    assert not judged(early)
    assert judged(wanted)
    assert judged(later)
    assert wanted.hits == later.hits


async def test_switching_it_off_and_on_again_fills_the_gap(tmp_path: Path) -> None:
    async with soma(tmp_path) as container:
        first = await remember(container, TURNS[0])
    async with soma(tmp_path, reranker="none") as container:
        second = await remember(container, TURNS[1])
    async with soma(tmp_path, background_embedding=False) as container:
        await settled(container)

        assert {*first, *second} == set(await kept(container, [*first, *second]))


async def test_who_cannot_compute_states_leaves_nothing_waiting(tmp_path: Path) -> None:
    async with soma(tmp_path, reranker="none") as container:
        await remember(container, *TURNS)
    async with soma(tmp_path, background_embedding=False) as container:
        assert len(TURNS) == await container.pending()()
    async with soma(tmp_path, reranker="none", background_embedding=False) as container:
        await settled(container)

        assert 0 == await container.pending()()
