"""An embedder behind HTTP: any server that speaks `POST {base}/embeddings` as OpenAI does."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import msgspec

from domain.errors import EmbedderUnavailable, InvalidInput
from domain.vector import EmbeddingModel, Vector, unit_vector

if TYPE_CHECKING:
    import httpx

BATCH_TEXTS = 64
BATCH_BYTES = 256 * 1024
#: Longer texts are cut: no model reads further. What a model refuses is cut again, down to a floor.
TEXT_BYTES = 16 * 1024
TEXT_BYTES_FLOOR = 1024
ANSWER_BYTES_MAX = 32 * 1024 * 1024
PASSAGE_ATTEMPTS = 4
#: Somebody waits for the answer to a question, and recall can do without its vector.
QUERY_ATTEMPTS = 2
QUERY_SECONDS_MAX = 10.0
BACKOFF_SECONDS = 0.5
WAIT_SECONDS_MAX = 30.0

_OK = 200
_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = range(500, 600)
#: What servers say of a text beyond their model's tokens, or of a batch beyond their own limit.
_TOO_MUCH = frozenset({400, 413, 422})

Wait = Callable[[float], Awaitable[None]]


class _Embedding(msgspec.Struct):
    index: int
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Embedding]


class _TryAgain(Exception):
    """A failure that may pass; `seconds` is what the server asks to wait."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


class _Refused(EmbedderUnavailable):
    """The server does not take these texts; fewer or shorter ones it may."""


class OpenaiEmbedder:
    """Asks a server for vectors and believes none of what it answers.

    Every failure is `EmbedderUnavailable`. No error names a text or the key.
    """

    def __init__(
        self,
        *,
        url: str,
        model: str,
        dimension: int,
        key: str | None = None,
        query_prefix: str | None = None,
        passage_prefix: str | None = None,
        timeout_seconds: float = 30.0,
        wait: Wait = asyncio.sleep,
    ) -> None:
        self._url = url.rstrip("/") + "/embeddings"
        self._name = model
        self._model = EmbeddingModel(_identity(model, query_prefix, passage_prefix), dimension)
        self._headers = {b"Authorization": f"Bearer {key}".encode()} if key else {}
        self._query_prefix = query_prefix or ""
        self._passage_prefix = passage_prefix or ""
        self._timeout_seconds = timeout_seconds
        self._wait = wait
        self._client: httpx.AsyncClient | None = None
        self._closed = False

    @property
    def model(self) -> EmbeddingModel:
        """The model as configured: known without asking the server."""
        return self._model

    async def embed_passages(self, texts: Sequence[str], /) -> list[Vector]:
        """Embed in batches, one after the other: a server has a limit, and other callers."""
        prepared = [_cut(self._passage_prefix + text) for text in texts]
        vectors: list[Vector] = []
        for batch in _batches(prepared):
            vectors += await self._embed_what_fits(batch)
        return vectors

    async def embed_query(self, text: str, /) -> Vector:
        """Embed a question with the prefix for questions."""
        seconds = min(self._timeout_seconds, QUERY_SECONDS_MAX)
        [vector] = await self._embed([_cut(self._query_prefix + text)], QUERY_ATTEMPTS, seconds)
        return vector

    async def embed_queries(self, texts: Sequence[str], /) -> list[Vector | EmbedderUnavailable]:
        """Embed several questions in one call; halve what is refused, so that one fails alone."""
        seconds = min(self._timeout_seconds, QUERY_SECONDS_MAX)
        prepared = [_cut(self._query_prefix + text) for text in texts]
        try:
            return [*await self._embed(prepared, QUERY_ATTEMPTS, seconds)]
        except _Refused as error:
            if len(texts) == 1:
                return [error]
        middle = len(texts) // 2
        first = await self.embed_queries(texts[:middle])
        return first + await self.embed_queries(texts[middle:])

    async def close(self) -> None:
        """Close the connections."""
        self._closed = True
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _embed_what_fits(self, texts: list[str]) -> list[Vector]:
        """Embed; halve what is refused, so that one long memory cannot hold up all others.

        A server that refuses everything is found out after a dozen requests, not one per text.
        """
        try:
            return await self._embed(texts, PASSAGE_ATTEMPTS, self._timeout_seconds)
        except _Refused:
            size = len(texts[0].encode())
            if len(texts) == 1 and size <= TEXT_BYTES_FLOOR:
                raise
        if len(texts) == 1:
            return await self._embed_what_fits([_cut(texts[0], size // 2)])
        middle = len(texts) // 2
        first = await self._embed_what_fits(texts[:middle])
        return first + await self._embed_what_fits(texts[middle:])

    async def _embed(self, texts: list[str], attempts: int, timeout_seconds: float) -> list[Vector]:
        for attempt in range(1, attempts + 1):
            try:
                body = await self._ask(texts, timeout_seconds)
            except _TryAgain as failure:
                seconds = failure.seconds
                if seconds is None:
                    # Full jitter keeps clients that failed together from returning together.
                    backoff = BACKOFF_SECONDS * 2**attempt
                    seconds = random.uniform(BACKOFF_SECONDS, backoff)  # noqa: S311
                if attempt == attempts or seconds > WAIT_SECONDS_MAX:
                    tried = "once" if attempt == 1 else f"{attempt} times"
                    raise self._unavailable(f"{failure} (asked {tried})") from failure
                await self._wait(seconds)
            else:
                return await asyncio.to_thread(self._read, body, len(texts))
        raise AssertionError("every last attempt returns or raises")

    async def _ask(self, texts: list[str], timeout_seconds: float) -> bytes:
        """Send one request and return its body; `_TryAgain` for what may pass."""
        import httpx

        client = self._opened()
        body = msgspec.json.encode({"model": self._name, "input": texts})
        try:
            # A limit on the whole answer: a server that drips bytes is as slow as a silent one.
            async with (
                asyncio.timeout(timeout_seconds),
                client.stream("POST", self._url, content=body) as response,
            ):
                status = response.status_code
                if status == _TOO_MANY_REQUESTS or status in _SERVER_ERRORS:
                    wanted = _retry_after(response.headers.get("Retry-After"))
                    raise _TryAgain(f"answered {status}", wanted)
                if status in _TOO_MUCH:
                    raise _Refused(f"the embedding server answered {status}")
                if status != _OK:
                    raise self._unavailable(f"answered {status}")
                content = bytearray()
                async for part in response.aiter_bytes():
                    content += part
                    if len(content) > ANSWER_BYTES_MAX:
                        raise self._unavailable("answered more than any vectors need")
                return bytes(content)
        except TimeoutError as error:
            raise _TryAgain(f"did not answer within {timeout_seconds:g} s") from error
        except httpx.TransportError as error:
            raise _TryAgain(f"cannot be asked: {type(error).__name__}") from error
        except (httpx.DecodingError, httpx.InvalidURL) as error:
            raise self._unavailable(f"cannot be understood: {type(error).__name__}") from error

    def _opened(self) -> httpx.AsyncClient:
        import httpx

        if self._closed:
            raise EmbedderUnavailable("the embedder is closed")
        if self._client is None:
            headers = {b"Content-Type": b"application/json", **self._headers}
            self._client = httpx.AsyncClient(headers=headers, timeout=self._timeout_seconds)
        return self._client

    def _read(self, body: bytes, count: int) -> list[Vector]:
        """Check an answer from end to end; its order is that of `index`, not of the list."""
        try:
            items = msgspec.json.decode(body, type=_Answer).data
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise self._unavailable("did not answer with embeddings") from error
        items.sort(key=lambda item: item.index)
        if [item.index for item in items] != list(range(count)):
            raise self._unavailable(f"answered with other than {count} embeddings")
        vectors = []
        for item in items:
            given, wanted = len(item.embedding), self._model.dimension
            if given != wanted:
                raise self._unavailable(
                    f"answered with {given} dimensions, {wanted} are configured"
                )
            try:
                vectors.append(unit_vector(item.embedding))
            except InvalidInput as error:
                raise self._unavailable(f"answered with an unusable vector: {error}") from error
        return vectors

    def _unavailable(self, reason: str) -> EmbedderUnavailable:
        return EmbedderUnavailable(f"the embedding server {reason}")


def _identity(model: str, query_prefix: str | None, passage_prefix: str | None) -> str:
    """Name the model; with other prefixes it is another one, whose vectors do not compare."""
    if not query_prefix and not passage_prefix:
        return f"openai:{model}"
    prefixes = msgspec.json.encode([query_prefix or "", passage_prefix or ""])
    return f"openai:{model}:{hashlib.sha256(prefixes).hexdigest()[:8]}"


def _cut(text: str, size: int = TEXT_BYTES) -> str:
    """Shorten to `size` bytes between characters; servers refuse an empty text, a space will do."""
    encoded = text.encode()
    if len(encoded) > size:
        text = encoded[:size].decode(errors="ignore")
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


def _retry_after(header: str | None) -> float | None:
    """Read `Retry-After`, in seconds or as a date; None when it says nothing usable."""
    if header is None:
        return None
    if header.strip().isascii() and header.strip().isdigit():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
