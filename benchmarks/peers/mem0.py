"""mem0 with `infer=False` over a local vector store.

Configuration: Chroma below it, with the same index as `chroma.py`, since of the stores that mem0
can run without a server only Chroma both has an index and filters before it ranks. (FAISS rewrites
its whole file at every insert and filters only what it has already found; Qdrant's local mode scans
in Python.) The embedder is replaced by one that looks the given vectors up; history in a file, as
by default; telemetry off. A memory's namespace is its `user_id`. `add` embeds and inserts message
by message and has one metadata for all of them, so that a batch of different memories is as many
calls. Where that takes too long, the rest is inserted into the store below as `add` would have,
which counts as no store.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import md5
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from benchmarks.comparison.shapes import Keep
from benchmarks.comparison.workload import Item, Question
from benchmarks.peers.chroma import HNSW, persistent_client
from benchmarks.peers.given import GivenVectors
from benchmarks.peers.system import BY_VECTOR, Place, folder_bytes

if TYPE_CHECKING:
    from mem0 import Memory

_COLLECTION = "benchmark"


class _Embedder:
    """What mem0 calls for a vector."""

    def __init__(self, given: GivenVectors) -> None:
        self._given = given

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        """Return the vector of an announced text."""
        return self._given.numbers(text)


class Mem0:
    """A `Memory` of mem0."""

    durable: ClassVar[bool] = True
    blocking: ClassVar[bool] = True
    ways: ClassVar[tuple[str, ...]] = (BY_VECTOR,)
    has_loader: ClassVar[bool] = True

    def __init__(self, place: Place) -> None:
        self._place = place
        self._given = GivenVectors()
        self._opened: tuple[Memory, Any] | None = None

    async def open(self) -> None:
        """Make the collection with the better index, and mem0 over it."""
        os.environ["MEM0_TELEMETRY"] = "False"
        os.environ["MEM0_DIR"] = str(self._place.folder / "mem0")
        from mem0 import Memory

        client = persistent_client(self._place)
        client.get_or_create_collection(
            _COLLECTION, embedding_function=None, configuration={"hnsw": HNSW}
        )
        memory = Memory.from_config(
            {
                "vector_store": {
                    "provider": "chroma",
                    "config": {"collection_name": _COLLECTION, "client": client},
                },
                # Never called: nothing is inferred, and the embedder is replaced.
                "llm": {"provider": "openai", "config": {"api_key": "unused"}},
                "embedder": {"provider": "openai", "config": {"api_key": "unused"}},
                "history_db_path": str(self._place.folder / "history.db"),
            }
        )
        memory.embedding_model = _Embedder(self._given)
        self._opened = (memory, client)

    @property
    def _memory(self) -> Memory:
        assert self._opened is not None, "open comes first"
        return self._opened[0]

    async def store_batch(self, items: Sequence[Item], /) -> None:
        """Add one after the other."""
        self._given.expect(items)
        for item in items:
            self._add(item)

    async def store_one(self, item: Item, /) -> None:
        """Add one."""
        self._given.expect((item,))
        self._add(item)

    def _add(self, item: Item) -> None:
        self._memory.add(
            [{"role": "user", "content": item.text}],
            user_id=item.namespace,
            metadata={"number": item.number, **item.payload},
            infer=False,
        )

    async def load(self, items: Sequence[Item], /) -> None:
        """Insert what `add` would, many at a time, into the store below."""
        now = datetime.now(UTC).isoformat()
        self._memory.vector_store.insert(
            vectors=[item.values for item in items],
            ids=[str(uuid4()) for _ in items],
            payloads=[
                {
                    **{"data": item.text, "text_lemmatized": item.text, "role": "user"},
                    **{"hash": md5(item.text.encode(), usedforsecurity=False).hexdigest()},
                    **{"created_at": now, "updated_at": now, "user_id": item.namespace},
                    **{"number": item.number, **item.payload},
                }
                for item in items
            ],
        )

    async def settle(self) -> None:
        """It has nothing to do."""

    async def recall(
        self, question: Question, keep: Keep | None, /, *, way: str, k: int
    ) -> list[str]:
        """Search within the user."""
        self._given.expect_question(question)
        filters: dict[str, Any] = {"user_id": question.namespace}
        if keep is not None:
            filters[keep.field] = keep.value
        found = self._memory.search(question.text, filters=filters, top_k=k, threshold=0.0)
        return [str(hit["metadata"]["number"]) for hit in found["results"]]

    async def numbers(self, names: Sequence[str], /) -> list[int]:
        """Names are numbers."""
        return [int(name) for name in names]

    def disk_bytes(self) -> int:
        """The collection and the history."""
        return folder_bytes(self._place.folder)

    def process_ids(self) -> list[int]:
        """This process."""
        return [os.getpid()]

    async def close(self) -> None:
        """Close the history and the client."""
        if self._opened is not None:
            memory, client = self._opened
            memory.close()
            client.close()
            self._opened = None


def build(place: Place) -> Mem0:
    """Make it."""
    return Mem0(place)
