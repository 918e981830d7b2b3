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
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.errors import EmbedderUnavailable, RerankerUnavailable
from domain.ports import Analyser, Passage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    #: The word pieces of a text, and `float32 (pieces, dim)` with a unit row for each.
    TokenStates = tuple[Sequence[str], NDArray[np.float32]]
    States = Callable[[str], Awaitable[TokenStates]]

#: What a neighbour's likeness counts: .8 to 1 gives the same figures, 0 does not.
NEIGHBOUR = 0.9

_CONTINUED = "##"
#: What Python keeps per text and per piece besides the states.
_TEXT_OVERHEAD_BYTES = 600
_PIECE_OVERHEAD_BYTES = 64


@dataclass(frozen=True, slots=True)
class _Compact:
    """A passage in a quarter of its size: `int8 (pieces, dim)` times `scale`."""

    pieces: frozenset[str]
    states: NDArray[np.int8]
    scale: float

    @property
    def size_bytes(self) -> int:
        pieces = _PIECE_OVERHEAD_BYTES * len(self.pieces)
        return int(self.states.nbytes) + pieces + _TEXT_OVERHEAD_BYTES


class LateInteraction:
    """Keeps the states of passages it has read, up to a budget in bytes.

    What it has not read yet costs a run of the model each, so the first questions take longer.
    """

    def __init__(
        self,
        states: States,
        analyser: Analyser,
        *,
        budget_bytes: int,
        timeout_seconds: float = 5.0,
    ) -> None:
        self._states = states
        self._analyser = analyser
        self._budget_bytes = budget_bytes
        self._timeout_seconds = timeout_seconds
        self._size_bytes = 0
        self._kept: OrderedDict[bytes, _Compact] = OrderedDict()

    async def scores(self, question: str, passages: Sequence[Passage], /) -> list[float]:
        """Return the weighted mean of the best likenesses; raise `RerankerUnavailable`."""
        if not passages:
            return []
        try:
            # What was read until then is kept: a question too many gets further the next time.
            async with asyncio.timeout(self._timeout_seconds):
                asked, read = await asyncio.gather(
                    self._states(question),
                    asyncio.gather(*(self._read(passage.text) for passage in passages)),
                )
        except TimeoutError as error:
            raise RerankerUnavailable(
                f"the passages could not be read within {self._timeout_seconds:g} s"
            ) from error
        except EmbedderUnavailable as error:
            raise RerankerUnavailable(str(error)) from error
        beside = [passage.beside for passage in passages]
        return await asyncio.to_thread(self._judge, asked, read, beside)

    async def _read(self, text: str) -> _Compact:
        key = hashlib.sha256(text.encode()).digest()
        known = self._kept.get(key)
        if known is not None:
            self._kept.move_to_end(key)
            return known
        compact = _compact(await self._states(text))
        self._keep(key, compact)
        return compact

    def _keep(self, key: bytes, compact: _Compact) -> None:
        """Keep a passage; the least recently used go."""
        if key in self._kept:  # another question read it meanwhile
            return
        self._kept[key] = compact
        self._size_bytes += compact.size_bytes
        while self._size_bytes > self._budget_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._size_bytes -= dropped.size_bytes

    def _judge(
        self,
        asked: TokenStates,
        read: Sequence[_Compact],
        beside: Sequence[tuple[int, ...]],
    ) -> list[float]:
        import numpy as np

        pieces, question = asked
        rows = np.concatenate([one.states.astype(np.float32) * one.scale for one in read])
        common = rows.mean(axis=0)
        likeness = _unit(rows - common) @ _unit(question - common).T
        starts = np.cumsum([0, *(len(one.states) for one in read[:-1])])
        own = np.maximum.reduceat(likeness, starts, axis=0)
        best = own.copy()
        for index, neighbours in enumerate(beside):
            for neighbour in neighbours:
                best[index] = np.maximum(best[index], NEIGHBOUR * own[neighbour])
        weights = np.array(self._weights(pieces, read))
        return [float(score) for score in best @ weights / weights.sum()]

    def _weights(self, pieces: Sequence[str], read: Sequence[_Compact]) -> list[float]:
        """Return the idf of each piece over the passages; 0 where its word says nothing."""
        weights = [0.0] * len(pieces)
        for word in _words(pieces):
            text = "".join(pieces[index].removeprefix(_CONTINUED) for index in word)
            # What is left of "Ann's" is no word either.
            if len(text) == 1 and text.isascii() and not text.isdigit():
                continue
            if self._analyser.terms(text):
                for index in word:
                    weights[index] = _rarity(pieces[index], read)
        return weights if any(weights) else [1.0] * len(pieces)


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


def _rarity(piece: str, read: Sequence[_Compact]) -> float:
    """Return ln(1 + (N - df + 0.5) / (df + 0.5)), the idf of domain/lexical.py."""
    frequency = sum(piece in one.pieces for one in read)
    return math.log(1 + (len(read) - frequency + 0.5) / (frequency + 0.5))


def _compact(read: TokenStates) -> _Compact:
    import numpy as np

    pieces, states = read
    scale = float(np.abs(states).max()) / 127
    return _Compact(frozenset(pieces), np.round(states / scale).astype(np.int8), scale)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float32] = rows / np.maximum(norms, 1e-6)
    return unit
