"""A reranker behind HTTP: any server that answers `POST {base}/rerank`.

With a model's name it is asked as Jina, Cohere and vLLM are (`documents`, answered by `results`
with a `relevance_score`), without one as text-embeddings-inference is (`texts`, answered by a list
with a `score`). Either answer is understood.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from domain.errors import RerankerUnavailable
from domain.ports import Passage

if TYPE_CHECKING:
    import httpx

#: What text-embeddings-inference takes at once, unless told otherwise.
BATCH_TEXTS = 32
BATCH_BYTES = 256 * 1024
#: Longer texts are cut: no such model reads further.
TEXT_BYTES = 8 * 1024
ANSWER_BYTES_MAX = 1024 * 1024
#: Somebody waits, and recall can do without.
ATTEMPTS = 2
BACKOFF_SECONDS = 0.2

_OK = 200
_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = range(500, 600)

Wait = Callable[[float], Awaitable[None]]


class _Score(msgspec.Struct):
    index: int
    score: float | None = None
    relevance_score: float | None = None

    @property
    def value(self) -> float:
        """The score under either name; NaN without one."""
        given = self.score if self.relevance_score is None else self.relevance_score
        return math.nan if given is None else given


class _Results(msgspec.Struct):
    results: list[_Score]


class _TryAgain(Exception):
    """A failure that may pass."""


class HttpReranker:
    """Asks a server for scores and believes none of what it answers.

    Every failure is `RerankerUnavailable`. No error names a text or the key.
    """

    def __init__(
        self,
        *,
        url: str,
        model: str | None = None,
        key: str | None = None,
        timeout_seconds: float = 5.0,
        wait: Wait = asyncio.sleep,
    ) -> None:
        """`timeout_seconds` is for one call as a whole, with all its requests."""
        self._url = url.rstrip("/") + "/rerank"
        self._model = model
        self._headers = {b"Authorization": f"Bearer {key}".encode()} if key else {}
        self._timeout_seconds = timeout_seconds
        self._wait = wait
        self._client: httpx.AsyncClient | None = None
        self._closed = False

    async def scores(self, question: str, passages: Sequence[Passage], /) -> list[float]:
        """Return the server's scores in the order of the passages."""
        texts = [_cut(passage.text) for passage in passages]
        scores: list[float] = []
        try:
            async with asyncio.timeout(self._timeout_seconds):
                for batch in _batches(texts):
                    scores += await self._score(_cut(question), batch)
        except TimeoutError as error:
            raise _unavailable(f"did not answer within {self._timeout_seconds:g} s") from error
        return scores

    async def close(self) -> None:
        """Close the connections."""
        self._closed = True
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _score(self, question: str, texts: list[str]) -> list[float]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return _read(await self._ask(question, texts), len(texts))
            except _TryAgain as failure:
                if attempt == ATTEMPTS:
                    raise _unavailable(f"{failure} (asked {attempt} times)") from failure
                # Full jitter keeps clients that failed together from returning together.
                await self._wait(random.uniform(0, BACKOFF_SECONDS))  # noqa: S311
        raise AssertionError("every last attempt returns or raises")

    async def _ask(self, question: str, texts: list[str]) -> bytes:
        """Send one request and return its body; `_TryAgain` for what may pass."""
        import httpx

        client = self._opened()
        try:
            async with client.stream(
                "POST", self._url, content=self._body(question, texts)
            ) as response:
                status = response.status_code
                if status == _TOO_MANY_REQUESTS or status in _SERVER_ERRORS:
                    raise _TryAgain(f"answered {status}")
                if status != _OK:
                    raise _unavailable(f"answered {status}")
                content = bytearray()
                async for part in response.aiter_bytes():
                    content += part
                    if len(content) > ANSWER_BYTES_MAX:
                        raise _unavailable("answered more than any scores need")
                return bytes(content)
        except httpx.TransportError as error:
            raise _TryAgain(f"cannot be asked: {type(error).__name__}") from error
        except (httpx.DecodingError, httpx.InvalidURL) as error:
            raise _unavailable(f"cannot be understood: {type(error).__name__}") from error

    def _body(self, question: str, texts: list[str]) -> bytes:
        if self._model is None:
            return msgspec.json.encode({"query": question, "texts": texts, "truncate": True})
        return msgspec.json.encode(
            {"model": self._model, "query": question, "documents": texts, "top_n": len(texts)}
        )

    def _opened(self) -> httpx.AsyncClient:
        import httpx

        if self._closed:
            raise RerankerUnavailable("the reranker is closed")
        if self._client is None:
            headers = {b"Content-Type": b"application/json", **self._headers}
            self._client = httpx.AsyncClient(headers=headers, timeout=self._timeout_seconds)
        return self._client


def _read(body: bytes, count: int) -> list[float]:
    """Check an answer from end to end; its order is that of `index`, not of the list."""
    try:
        answer = msgspec.json.decode(body, type=list[_Score] | _Results)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _unavailable("did not answer with scores") from error
    items = answer.results if isinstance(answer, _Results) else answer
    items.sort(key=lambda item: item.index)
    if [item.index for item in items] != list(range(count)):
        raise _unavailable(f"answered with other than {count} scores")
    scores = [item.value for item in items]
    if not all(map(math.isfinite, scores)):
        raise _unavailable("answered with something that is no score")
    return scores


def _unavailable(reason: str) -> RerankerUnavailable:
    return RerankerUnavailable(f"the reranking server {reason}")


def _cut(text: str) -> str:
    """Shorten between characters; servers refuse an empty text, a space will do."""
    encoded = text.encode()
    if len(encoded) > TEXT_BYTES:
        text = encoded[:TEXT_BYTES].decode(errors="ignore")
    return text or " "


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """Group texts in order, within the limits of count and bytes."""
    batch: list[str] = []
    size = 0
    for text in texts:
        cost = len(text.encode())
        if batch and (len(batch) == BATCH_TEXTS or size + cost > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += cost
    if batch:
        yield batch
