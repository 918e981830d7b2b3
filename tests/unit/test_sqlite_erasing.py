"""Erased content leaves the files, not only the answers."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

from adapters.sqlite.store import SqliteStore
from domain.lexical import AnalysedText
from domain.memory import Memory, Source
from domain.ports import Embedding, IdempotencyRecord
from domain.vector import Role
from tests.contracts.store_fixtures import (
    HOME,
    MODEL,
    START,
    a_link,
    a_memory,
    a_vector,
    analysed,
    events,
    ids,
    revised,
)


def files(path: Path) -> bytes:
    """Read the database and everything beside it."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))


def planted(number: int, mark: str) -> Memory:
    """Build a memory that holds its mark everywhere."""
    word = f"{mark}{number:05d}"
    memory = a_memory(f"{word}content and {word}more", minutes=number, session=f"{word}session")
    return dataclasses.replace(
        memory,
        content_hash=f"{word}hash",
        payload={f"{word}key": f"{word}value", "long": word * 600},
        tags=(f"{word}tag",),
        source=Source(actor=f"{word}actor", session=f"{word}session"),
        coordinate=(float(number), 0.5),
    )


async def test_leaves_no_byte_of_erased_content_in_the_files(tmp_path: Path) -> None:
    path = tmp_path / "soma.db"
    store = SqliteStore(path)
    await store.open()
    secret = [planted(number, "secret") for number in range(150)]
    public = [planted(number + 1000, "public") for number in range(150)]
    mixed = [*secret, *public]
    random.Random(7).shuffle(mixed)
    for start in range(0, len(mixed), 40):
        await _store(store, mixed[start : start + 40])
    before = files(path)
    assert b"secret00001content" in before
    assert b"secret00001key" in before

    async with store.writing() as tx:
        half = ids(secret)[::2]
        await tx.memories.forget(half, at=START, actor="tester")
        await tx.memories.erase(ids(secret), at=START, actor="tester")
    open_files = files(path)
    await store.close()

    assert b"secret" not in open_files
    assert b"secret" not in files(path)
    assert secret[0].id.encode() in files(path)
    assert files(path).count(b"public01000content") >= 1


async def _store(store: SqliteStore, memories: list[Memory]) -> None:
    async with store.writing() as tx:
        heads = await tx.feed.lock([HOME])
        await tx.memories.add(memories, actor="tester")
        await tx.lexicon.put({memory.id: analysed(memory.content) for memory in memories})
        again = [revised(memory, f"{memory.content} revised") for memory in memories]
        await tx.memories.replace(again, actor="tester")
        await tx.lexicon.put(
            {memory.id: analysed(memory.content, memory.content * 2) for memory in again}
        )
        await tx.links.put(
            [
                dataclasses.replace(
                    a_link(memory, memories[0]), properties={"note": memory.content}
                )
                for memory in memories
            ]
        )
        await tx.embeddings.store(
            [
                Embedding(memory.id, 2, Role.OWN, MODEL, memory.content_hash, a_vector(1, 2))
                for memory in again
            ]
        )
        await tx.idempotency.add(
            "tester", memories[0].id, IdempotencyRecord("hash", (memories[0].id,), (1,)), at=START
        )
        await tx.feed.append(events(HOME, heads[HOME] + 1, heads[HOME] + 1, memories[0].id))


async def test_leaves_no_byte_even_when_the_neighbours_are_indexed_anew(tmp_path: Path) -> None:
    path = tmp_path / "soma.db"
    store = SqliteStore(path)
    await store.open()
    secret, beside = a_memory("secretword"), a_memory("tea")
    async with store.writing() as tx:
        await tx.memories.add([secret, beside], actor="tester")
        both = ("tea", "secretword")
        await tx.lexicon.put(
            {secret.id: analysed("secretword"), beside.id: AnalysedText(("tea",), both)}
        )

    async with store.writing() as tx:
        await tx.memories.erase([secret.id], at=START, actor="tester")
        await tx.lexicon.put({beside.id: analysed("tea")})

    assert b"secretword" not in files(path)
    await store.close()


async def test_wipes_the_log_once_a_reader_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "soma.db"
    store = SqliteStore(path)
    await store.open()
    secret = a_memory("secretword")
    async with store.writing() as tx:
        await tx.memories.add([secret], actor="tester")
        await tx.lexicon.put({secret.id: analysed("secretword")})

    async with store.reading() as reading:
        await reading.memories.get([secret.id])
        async with store.writing() as tx:
            await tx.memories.erase([secret.id], at=START, actor="tester")
        assert secret.id in await reading.memories.get([secret.id])
    async with store.writing() as tx:
        await tx.settings.set("anything", "else")

    assert b"secretword" not in files(path)
    await store.close()
