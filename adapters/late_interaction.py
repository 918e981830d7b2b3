"""The offline reranker: late interaction on the token states of the default embedder.

Each word piece of the question looks for its likeness in a passage, and the likenesses are added
up, weighted by how rare the piece is among the passages (MaxSim: Khattab and Zaharia, "ColBERT",
2020). A state lies near all others of its language and topic, so what the passages have in common
is subtracted first (Mu and Viswanath, "All-but-the-Top", 2018); without that it brings little
here. What is said right before or after a passage counts for it too, at a discount.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from domain.errors import EmbedderUnavailable, RerankerUnavailable
from domain.ports import Analyser, Passage
from domain.vector import TokenStates, Vector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: What a neighbour's likeness counts: .8 to 1 gives the same figures, 0 does not.
NEIGHBOUR = 0.9
#: Of a long text this many pieces that say something are kept.
PIECES_MAX = 256

_CONTINUED = "##"
#: What Python keeps per text besides its states.
_TEXT_OVERHEAD_BYTES = 300
#: OpenBLAS multiplies smaller matrices than this (rows x columns x depth) by one thread.
_ONE_THREAD_MAX = 200_000
#: The first byte of packed states names how the rest is to be read.
_LAYOUT = b"\x01"


class Reading(Protocol):
    """What the model made of a text: `states` is `float32 (pieces, dim)` with unit rows."""

    @property
    def vector(self) -> Vector:
        """The vector of the whole text."""

    @property
    def ids(self) -> Sequence[int]:
        """The numbers of the word pieces, below 2 ** 16."""

    @property
    def pieces(self) -> Sequence[str]:
        """The word pieces themselves."""

    @property
    def states(self) -> NDArray[np.float32]:
        """A row for each piece."""


class Reader(Protocol):
    """The model, as this needs it. Every call may raise `EmbedderUnavailable`."""

    async def read_passages(self, texts: Sequence[str], /) -> Sequence[Reading]:
        """Read what is remembered."""

    async def read_waiting(self, texts: Sequence[str], /) -> Sequence[Reading]:
        """Read what is remembered for somebody who waits."""

    async def read_question(self, text: str, /) -> Reading:
        """Read what is asked."""


class LateInteraction:
    """Judges by the states that come with the passages; reads those that come without.

    What it has read itself it keeps, up to a budget in bytes.
    """

    def __init__(
        self,
        reader: Reader,
        analyser: Analyser,
        *,
        budget_bytes: int,
        timeout_seconds: float = 5.0,
    ) -> None:
        self._reader = reader
        self._analyser = analyser
        self._budget_bytes = budget_bytes
        self._timeout_seconds = timeout_seconds
        self._size_bytes = 0
        self._kept: OrderedDict[bytes, TokenStates] = OrderedDict()

    async def read_passages(self, texts: Sequence[str], /) -> list[tuple[Vector, TokenStates]]:
        """Embed passages and pack their states; raise `EmbedderUnavailable`."""
        readings = await self._reader.read_passages(texts)
        return await asyncio.to_thread(
            lambda: [(reading.vector, self._compact(reading)) for reading in readings]
        )

    async def scores(self, question: str, passages: Sequence[Passage], /) -> list[float]:
        """Return the weighted mean of the best likenesses; raise `RerankerUnavailable`."""
        if not passages:
            return []
        try:
            # What was read until then is kept: a question too many gets further the next time.
            async with asyncio.timeout(self._timeout_seconds):
                asked, read = await asyncio.gather(
                    self._reader.read_question(question),
                    asyncio.gather(*(self._states(passage) for passage in passages)),
                )
        except TimeoutError as error:
            raise RerankerUnavailable(
                f"the passages could not be read within {self._timeout_seconds:g} s"
            ) from error
        except EmbedderUnavailable as error:
            raise RerankerUnavailable(str(error)) from error
        beside = [passage.beside for passage in passages]
        return await asyncio.to_thread(self._judge, asked, read, beside)

    async def _states(self, passage: Passage) -> TokenStates:
        if passage.states is not None and passage.states.data.startswith(_LAYOUT):
            return passage.states
        key = hashlib.sha256(passage.text.encode()).digest()
        known = self._kept.get(key)
        if known is not None:
            self._kept.move_to_end(key)
            return known
        [reading] = await self._reader.read_waiting([passage.text])
        compact = self._compact(reading)
        self._keep(key, compact)
        return compact

    def _keep(self, key: bytes, compact: TokenStates) -> None:
        """Keep a passage; the least recently used go."""
        if key in self._kept:  # another question read it meanwhile
            return
        self._kept[key] = compact
        self._size_bytes += _size_bytes(compact)
        while self._size_bytes > self._budget_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._size_bytes -= _size_bytes(dropped)

    def _compact(self, reading: Reading) -> TokenStates:
        """Pack the pieces of words that say something; all, where none does."""
        chosen = [
            index
            for word in _words(reading.pieces)
            if self._says_something(reading.pieces, word)
            for index in word
        ]
        return packed(reading, (chosen or list(range(len(reading.pieces))))[:PIECES_MAX])

    def _judge(
        self,
        asked: Reading,
        read: Sequence[TokenStates],
        beside: Sequence[tuple[int, ...]],
    ) -> list[float]:
        import numpy as np

        ids, rows = unpacked(read, asked.states.shape[1])
        common = rows.mean(axis=0)
        likeness = _products(_unit(rows - common), _unit(asked.states - common))
        starts = np.cumsum([0, *map(len, ids[:-1])])
        own = np.maximum.reduceat(likeness, starts, axis=0)
        best = own.copy()
        for index, neighbours in enumerate(beside):
            for neighbour in neighbours:
                best[index] = np.maximum(best[index], NEIGHBOUR * own[neighbour])
        weights = np.array(self._weights(asked, [frozenset(one) for one in ids]))
        return [float(score) for score in best @ weights / weights.sum()]

    def _weights(self, asked: Reading, read: Sequence[frozenset[int]]) -> list[float]:
        """Return the idf of each piece over the passages; 0 where its word says nothing."""
        weights = [0.0] * len(asked.pieces)
        for word in _words(asked.pieces):
            if self._says_something(asked.pieces, word):
                for index in word:
                    weights[index] = _rarity(asked.ids[index], read)
        return weights if any(weights) else [1.0] * len(weights)

    def _says_something(self, pieces: Sequence[str], word: Sequence[int]) -> bool:
        text = "".join(pieces[index].removeprefix(_CONTINUED) for index in word)
        # What is left of "Ann's" is no word either.
        if len(text) == 1 and text.isascii() and not text.isdigit():
            return False
        return bool(self._analyser.terms(text))


def packed(reading: Reading, chosen: Sequence[int]) -> TokenStates:
    """Keep two bits of every number of the chosen rows, and the ids of their pieces.

    The numbers of a unit row spread around 0 by 1 / sqrt(dim): each falls into one of four steps
    of that width. Measured on LoCoMo, more bits find no more (docs/recall.md).
    """
    import numpy as np

    states = reading.states[list(chosen)]
    dimension = states.shape[1]
    steps = np.clip(np.floor(states * np.sqrt(dimension)), -2, 1).astype(np.int8) + 2
    fours = steps.astype(np.uint8).reshape(len(chosen), dimension // 4, 4)
    codes = fours @ np.array([1, 4, 16, 64], np.uint8)
    ids = np.array([reading.ids[index] for index in chosen], "<u2")
    return TokenStates(_LAYOUT + ids.tobytes() + codes.tobytes())


def unpacked(
    read: Sequence[TokenStates], dimension: int
) -> tuple[list[list[int]], NDArray[np.float32]]:
    """Return the ids of the pieces of each, and `float32 (all pieces, dimension)` in that order."""
    import numpy as np

    ids: list[list[int]] = []
    codes: list[bytes] = []
    for states in read:
        body = states.data[len(_LAYOUT) :]
        end = 2 * (len(body) // (2 + dimension // 4))
        ids.append(np.frombuffer(body[:end], "<u2").tolist())
        codes.append(body[end:])
    # Two of the eight bits stand for the middle of one step.
    steps = (np.arange(256)[:, None] >> np.array([0, 2, 4, 6])) & 3
    middles = ((steps - 1.5) / np.sqrt(dimension)).astype(np.float32)
    rows = middles[np.frombuffer(b"".join(codes), np.uint8)]
    return ids, rows.reshape(-1, dimension)


def _size_bytes(states: TokenStates) -> int:
    return len(states.data) + _TEXT_OVERHEAD_BYTES


def _words(pieces: Sequence[str]) -> Iterator[list[int]]:
    """Yield the positions of the pieces of each word."""
    word: list[int] = []
    for index, piece in enumerate(pieces):
        if word and not piece.startswith(_CONTINUED):
            yield word
            word = []
        word.append(index)
    if word:
        yield word


def _rarity(piece: int, read: Sequence[frozenset[int]]) -> float:
    """Return ln(1 + (N - df + 0.5) / (df + 0.5)), the idf of domain/lexical.py."""
    frequency = sum(piece in ids for ids in read)
    return math.log(1 + (len(read) - frequency + 0.5) / (frequency + 0.5))


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    unit: NDArray[np.float32] = rows / np.maximum(norms, 1e-6)
    return unit


def _products(rows: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return all scalar products, `(rows, others)`, in pieces that BLAS does by one thread.

    Its threads wait for one another, and where the cores are busy that is most of the time.
    """
    import numpy as np

    step = max(1, _ONE_THREAD_MAX // others.size)
    turned = np.ascontiguousarray(others.T)
    return np.concatenate([rows[at : at + step] @ turned for at in range(0, len(rows), step)])
