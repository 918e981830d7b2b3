"""A real HTTP server that reranks, and misbehaves on request."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Item = dict[str, Any]


class Handler(BaseHTTPRequestHandler):
    """Notes every request and lets the next behaviour answer it."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        """Answer one request."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = self.server.asked
        request = Request(self.path, dict(self.headers), body)
        asked.requests.append(request)
        behaviour = asked.behaviours.pop(0) if asked.behaviours else well
        behaviour(self, request)

    def answer(self, status: int, content: bytes) -> None:
        """Send a whole answer."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
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


@dataclass(frozen=True)
class Request:
    """What was asked."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def texts(self) -> list[str]:
        """The texts to judge, under either name."""
        texts: list[str] = self.body.get("texts") or self.body["documents"]
        return texts


Behaviour = Callable[[Handler, Request], None]


@dataclass
class Asked:
    """The requests so far, and how the next ones are answered; then all goes well."""

    url: str
    requests: list[Request] = field(default_factory=list)
    behaviours: list[Behaviour] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


def words(text: str) -> set[str]:
    """Return the beginnings of the words of a text: enough to judge these tests by."""
    return {word[:4] for word in re.findall(r"\w{3,}", text.lower())}


def items(request: Request) -> list[Item]:
    """Return what a good answer holds, the best first: the share of the question's words."""
    asked = words(request.body["query"])
    name = "relevance_score" if "documents" in request.body else "score"
    scored = [
        {"index": index, name: len(asked & words(text)) / max(1, len(asked))}
        for index, text in enumerate(request.texts)
    ]
    return sorted(scored, key=lambda item: -float(item[name]))


def well(handler: Handler, request: Request) -> None:
    """Answer as documented."""
    changed(lambda found: found)(handler, request)


def changed(change: Callable[[list[Item]], object]) -> Behaviour:
    """Answer with other items, in the shape that was asked for."""

    def behave(handler: Handler, request: Request) -> None:
        found = change(items(request))
        answer = {"model": "m", "results": found} if "documents" in request.body else found
        handler.answer(200, json.dumps(answer).encode())

    return behave


def status(code: int, content: bytes = b"{}") -> Behaviour:
    """Answer with a status."""
    return lambda handler, _: handler.answer(code, content)


def silent(handler: Handler, request: Request) -> None:
    """Never answer."""
    handler.server.asked.ended.wait()


def dripping(handler: Handler, request: Request) -> None:
    """Answer a byte at a time, for ever."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while not handler.server.asked.ended.wait(0.02):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def hanging_up(handler: Handler, request: Request) -> None:
    """Close the connection instead of answering."""
    handler.close_connection = True


@contextmanager
def reranking_server() -> Iterator[Asked]:
    """Run the server in a thread."""
    with Server(("127.0.0.1", 0), Handler) as server:
        server.asked = Asked(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.asked
        finally:
            server.asked.ended.set()
            server.shutdown()
            thread.join()
