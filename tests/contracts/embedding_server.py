"""A real HTTP server that embeds as OpenAI does, and misbehaves on request."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.end_to_end.embedded import DIMENSION, BagOfWords

Item = dict[str, Any]


class Handler(BaseHTTPRequestHandler):
    """Notes every request and lets the next behaviour answer it."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        """Answer one request."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = self.server.asked
        asked.requests.append(Request(self.path, dict(self.headers), body))
        behaviour = asked.behaviours.pop(0) if asked.behaviours else well
        behaviour(self, body["input"])

    def answer(self, status: int, content: bytes, **headers: str) -> None:
        """Send a whole answer."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Forgives clients that leave before their answer."""

    daemon_threads = True
    asked: Asked

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: the client gave up, which is what the test wants."""


Behaviour = Callable[[Handler, list[str]], None]


@dataclass(frozen=True)
class Request:
    """What was asked."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def texts(self) -> list[str]:
        """The texts to embed."""
        given: list[str] = self.body["input"]
        return given


@dataclass
class Asked:
    """The requests so far, and how the next ones are answered; then all goes well."""

    url: str
    requests: list[Request] = field(default_factory=list)
    behaviours: list[Behaviour] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


def items(texts: list[str]) -> list[Item]:
    """Return what a good answer holds."""
    vectors = [BagOfWords._vector(text) for text in texts]
    return [
        # Not of length one: that is for the adapter to see to.
        {"index": index, "embedding": [3 * x for x in struct.unpack(f"<{DIMENSION}f", v.data)]}
        for index, v in enumerate(vectors)
    ]


def well(handler: Handler, texts: list[str]) -> None:
    """Answer as documented."""
    changed(lambda data: data)(handler, texts)


def changed(change: Callable[[list[Item]], object]) -> Behaviour:
    """Answer with other data."""

    def behave(handler: Handler, texts: list[str]) -> None:
        body = {"object": "list", "data": change(items(texts)), "model": "m"}
        handler.answer(200, json.dumps(body).encode(), Content_Type="application/json")

    return behave


def status(code: int, content: bytes = b"{}", **headers: str) -> Behaviour:
    """Answer with a status."""
    return lambda handler, _: handler.answer(code, content, **headers)


def limited(size: int) -> Behaviour:
    """Refuse texts that are longer than the model reads."""

    def behave(handler: Handler, texts: list[str]) -> None:
        if max(len(text) for text in texts) > size:
            handler.answer(413, b"{}")
        else:
            well(handler, texts)

    return behave


def silent(handler: Handler, texts: list[str]) -> None:
    """Never answer."""
    handler.server.asked.ended.wait()


def dripping(handler: Handler, texts: list[str]) -> None:
    """Answer a byte at a time, for ever."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while not handler.server.asked.ended.wait(0.02):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def hanging_up(handler: Handler, texts: list[str]) -> None:
    """Close the connection instead of answering."""
    handler.close_connection = True


@contextmanager
def embedding_server() -> Iterator[Asked]:
    """Run the server in a thread."""
    with Server(("127.0.0.1", 0), Handler) as server:
        server.asked = Asked(f"http://127.0.0.1:{server.server_port}/v1")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.asked
        finally:
            server.asked.ended.set()
            server.shutdown()
            thread.join()
