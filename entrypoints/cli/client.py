"""A client of the REST API: over TCP, or over the socket of a data directory."""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from domain.errors import ConfigurationError
from entrypoints.cli.failure import Failure
from entrypoints.cli.ownership import Directory, opened

TIMEOUT = httpx.Timeout(120.0, connect=10.0)
STREAM_TIMEOUT = httpx.Timeout(None, connect=10.0)
REPETITIONS_MAX = 3
NO_KEEP_ALIVE = httpx.Limits(max_keepalive_connections=0)

Json = dict[str, Any]


class Api:
    """Calls of the REST API; every refusal becomes a `Failure` that says why."""

    def __init__(self, http: httpx.AsyncClient, *, embedded: bool) -> None:
        """`embedded`: the server is whoever owns the data directory, perhaps this process."""
        self._http = http
        self.embedded = embedded

    async def get(self, path: str, **parameters: object) -> Json:
        """Read; parameters that are None are left out."""
        return await self._call("GET", path, parameters=parameters)

    async def ask(self, path: str, body: Mapping[str, object]) -> Json:
        """Send a POST that changes nothing, or nothing more when it is repeated."""
        return await self._call("POST", path, body=body)

    async def send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
        **parameters: object,
    ) -> Json:
        """Change something. `repeatable`: doing it twice is doing it once."""
        return await self._call(
            method, path, body=body, headers=headers, repeatable=repeatable, parameters=parameters
        )

    async def upload(self, path: str, lines: AsyncIterator[bytes], **parameters: object) -> Json:
        """Stream NDJSON to the server; the answer comes when all of it is read."""
        with _translated():
            response = await self._http.post(
                path,
                content=lines,
                params=_present(parameters),
                headers={"content-type": "application/x-ndjson"},
                timeout=STREAM_TIMEOUT,
            )
        return _answer(response)

    async def download(self, path: str, **parameters: object) -> AsyncIterator[bytes]:
        """Stream NDJSON from the server; a stream that breaks off is a failure."""
        with _translated():
            async with self._http.stream(
                "GET", path, params=_present(parameters), timeout=STREAM_TIMEOUT
            ) as response:
                if response.is_error:
                    await response.aread()
                    raise _failure(response)
                async for chunk in response.aiter_bytes():
                    yield chunk

    async def _call(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
    ) -> Json:
        content = None if body is None else json.dumps(body).encode()
        with _translated():
            response = await self._http.request(
                method,
                path,
                content=content,
                params=_present(parameters or {}),
                headers={
                    **({"content-type": "application/json"} if content else {}),
                    **(headers or {}),
                },
                extensions={"repeatable": repeatable},
            )
        return _answer(response)


class DirectoryTransport(httpx.AsyncBaseTransport):
    """Sends requests to the owner of a data directory, becoming the owner when there is none.

    Every request has a connection of its own, so an owner that goes away is noticed when
    connecting, before anything is sent; then the next owner is asked. Who is the owner itself
    will not go away, and keeps its connection.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._anew = httpx.AsyncHTTPTransport(uds=directory.address, limits=NO_KEEP_ALIVE)
        self._kept = httpx.AsyncHTTPTransport(uds=directory.address)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; what was not sent, or may be sent again, is sent again."""
        for repetition in range(REPETITIONS_MAX + 1):
            await self._directory.acquire()
            try:
                socket = self._anew if self._directory.served is None else self._kept
                return await socket.handle_async_request(request)
            except httpx.ConnectError:
                if repetition == REPETITIONS_MAX:
                    raise
            except (httpx.NetworkError, httpx.RemoteProtocolError):
                repeatable = request.extensions.get("repeatable", request.method == "GET")
                if repetition == REPETITIONS_MAX or not repeatable:
                    raise
        raise AssertionError("the loop returns or raises")

    async def aclose(self) -> None:
        """Close what is left open."""
        await self._anew.aclose()
        await self._kept.aclose()


@asynccontextmanager
async def connected(options: argparse.Namespace) -> AsyncIterator[Api]:
    """Connect to a server where one is named, or else to the owner of the data directory."""
    async with http_client(options) as http:
        yield Api(http, embedded=not _names_server(options))


@asynccontextmanager
async def http_client(options: argparse.Namespace) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the same, for those who speak HTTP themselves."""
    settings = options.settings
    if _names_server(options):
        headers = {"authorization": f"Bearer {settings.key}"} if settings.key else {}
        base = _checked_url(settings.url)
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=TIMEOUT) as http:
            yield http
        return
    async with opened(settings) as directory:
        transport = DirectoryTransport(directory)
        async with httpx.AsyncClient(
            base_url="http://soma", transport=transport, timeout=TIMEOUT
        ) as http:
            yield http


def _names_server(options: argparse.Namespace) -> bool:
    return options.settings.url is not None and options.data is None


class _translated:
    """Turns what can go wrong on the way into a `Failure` of one line."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, httpx.TimeoutException):
            raise Failure("the server did not answer in time") from error
        if isinstance(error, httpx.ConnectError):
            url = error.request.url
            raise Failure(f"cannot reach {url.scheme}://{url.netloc.decode()}: {error}") from error
        # Nothing of what the others say: they may quote what was sent, the key among it.
        if isinstance(error, httpx.RequestError):
            raise Failure(f"the connection to the server broke ({type(error).__name__})") from error
        if isinstance(error, httpx.InvalidURL):
            raise Failure("the request is too long, or no request at all") from error
        if isinstance(error, UnicodeEncodeError):
            raise Failure("what was given is not UTF-8 text") from error


def _checked_url(url: str) -> httpx.URL:
    try:
        return httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"--url (SOMA_URL): {error}") from error


def _present(parameters: Mapping[str, object]) -> httpx.QueryParams:
    """Write query parameters as the API reads them: no None, lists repeated."""
    pairs: list[tuple[str, str | int | float | bool | None]] = []
    for name, value in parameters.items():
        values = value if isinstance(value, list | tuple) else [value]
        pairs += [(name, _text(item)) for item in values if item is not None]
    return httpx.QueryParams(pairs)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _answer(response: httpx.Response) -> Json:
    if response.is_error:
        raise _failure(response)
    if not response.content:
        return {}
    try:
        answer = response.json()
    except ValueError as error:
        raise Failure("what answers there is not a Soma server") from error
    if not isinstance(answer, dict):
        raise Failure("what answers there is not a Soma server")
    return answer


def _failure(response: httpx.Response) -> Failure:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if isinstance(problem, dict):
        return Failure(str(problem.get("detail") or problem.get("title") or response.status_code))
    return Failure(f"the server answered {response.status_code} {response.reason_phrase}")
