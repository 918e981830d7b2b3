"""Who may call, over what, and what is told to the outside."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import httpx
import pytest

from adapters.environment import load_settings
from container import build, running
from domain.errors import ConfigurationError
from entrypoints.http.server import check_exposure, serve_socket
from tests.end_to_end.conftest import StartServer
from tests.end_to_end.embedded import installation
from tests.end_to_end.http_server import Served, problem, remember

KEY = "a-long-bootstrap-key"


def test_with_a_key_every_route_but_health_needs_it(start_server: StartServer) -> None:
    with start_server(SOMA_BOOTSTRAP_KEY=KEY) as server:
        with server.client() as http:
            assert [200, 200] == [http.get(p).status_code for p in ("/healthz", "/readyz")]
            for path in ("/v1/memories", "/metrics", "/schema", "/schema/openapi.json"):
                problem(http.get(path), 401)
            refused = http.post("/v1/recall", json={"query": "x"})
            problem(refused, 401)
            assert refused.headers["WWW-Authenticate"].startswith("Bearer")
            for wrong in (
                "Bearer",
                "Bearer wrong",
                f"Basic {KEY}",
                f"Bearer {KEY}x",
                "Bearer \xfc",
            ):
                header = {b"Authorization": wrong.encode("latin-1")}
                problem(http.get("/v1/memories", headers=header), 401)
        with server.client(Authorization=f"Bearer {KEY}") as http:
            memory = remember(http, "locked", "inside")
            entry = http.get(f"/v1/memories/{memory['id']}/history").json()["items"][0]
            assert "bootstrap" == entry["recorded_by"]
            assert KEY not in http.get("/v1/doctor").text
        with server.client(X_API_Key=KEY) as http:
            assert 200 == http.get("/v1/memories").status_code
        with server.local_client() as http:
            assert 200 == http.get("/v1/memories").status_code


def test_the_socket_belongs_to_its_owner(server: Served) -> None:
    mode = (server.data / "soma.sock").stat().st_mode

    assert stat.S_ISSOCK(mode)
    assert 0o600 == stat.S_IMODE(mode)
    with server.local_client() as http:
        assert {"status": "ok"} == http.get("/healthz").json()


async def test_a_command_serves_the_socket_while_it_owns_the_directory(tmp_path: Path) -> None:
    container = build(load_settings({}, {"data_dir": tmp_path, "embedder": "none"}))
    path = tmp_path / "soma.sock"
    path.touch()  # left over from a process that was killed

    async with running(container), serve_socket(container, path):
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            answer = await http.post("/v1/memories", json={"content": "through the socket"})

    assert 201 == answer.status_code
    assert not path.exists()


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "attacker.example"},
        {"Host": "127.0.0.1.attacker.example:8420"},
        {"Host": "["},
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
    ],
)
def test_without_a_key_web_pages_cannot_reach_the_server(
    http: httpx.Client, headers: dict[str, str]
) -> None:
    problem(http.get("/v1/memories", headers=headers), 403)


@pytest.mark.parametrize("host", ["localhost", "localhost:99", "127.0.0.1", "[::1]:8420"])
def test_without_a_key_this_machine_can(http: httpx.Client, host: str) -> None:
    assert 200 == http.get("/v1/memories", headers={"Host": host}).status_code


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "soma.example"])
async def test_an_open_address_without_a_key_is_refused(host: str, tmp_path: Path) -> None:
    async with installation(tmp_path) as soma:
        with pytest.raises(ConfigurationError, match=r"SOMA_BOOTSTRAP_KEY.*soma keys create"):
            await check_exposure(host, soma.access())


@pytest.mark.parametrize(("host", "key"), [("127.0.0.1", None), ("::1", None), ("0.0.0.0", KEY)])
async def test_loopback_or_a_key_is_enough(host: str, key: str | None, tmp_path: Path) -> None:
    async with installation(tmp_path, bootstrap_key=key) as soma:
        await check_exposure(host, soma.access())


def test_health_says_that_the_process_answers(http: httpx.Client) -> None:
    ready = http.get("/readyz").json()

    assert {"status": "ok"} == http.get("/healthz").json()
    assert ("ok", "ok") == (ready["status"], ready["dependencies"]["store"])


def test_metrics_count_by_template_and_status(http: httpx.Client, space: str) -> None:
    http.get(f"/v1/memories/{space}")

    answer = http.get("/metrics")

    line = 'soma_http_requests_total{method="GET",route="/v1/memories/{memory_id}",status="404"}'
    assert line in answer.text
    assert space not in answer.text
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("path", ["/healthz", "/v1/memories/absent", "/no/such/route"])
def test_every_answer_carries_the_id_of_its_request(http: httpx.Client, path: str) -> None:
    given = http.get(path, headers={"X-Request-ID": "order-66/a"})
    made = {http.get(path).headers["X-Request-ID"] for _ in range(2)}
    refused = http.get(path, headers={"X-Request-ID": 'x" {"injected": 1}'})

    assert ["order-66/a"] == given.headers.get_list("X-Request-ID")
    assert len(made) == 2
    assert "injected" not in refused.headers["X-Request-ID"]


def test_a_client_that_breaks_off_harms_nobody(server: Served, http: httpx.Client) -> None:
    port = httpx.URL(server.url).port
    assert port is not None
    head = b"POST /v1/import HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head + b'{"content": "half')

    assert 200 == http.get("/healthz").status_code


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_may_be_asked_without_reading_the_answer(
    start_server: StartServer, path: str
) -> None:
    with start_server(SOMA_BOOTSTRAP_KEY=KEY) as server, server.client() as http:
        whole, head = http.get(path), http.head(path)
        asked = http.head("/v1/memories")

    assert (200, b"") == (head.status_code, head.content)
    assert whole.headers["Content-Type"] == head.headers["Content-Type"]
    assert 405 == asked.status_code


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/memories", {"GET", "POST"}),
        ("/v1/memories?limit=1", {"GET", "POST"}),
        ("/v1/memories/some", {"GET", "PATCH", "DELETE"}),
        ("/v1/namespaces/acme", {"GET", "PATCH", "DELETE"}),
        ("/healthz", {"GET", "HEAD"}),
        ("/mcp", {"POST"}),
    ],
)
def test_a_route_tells_its_methods_to_whoever_has_a_key(
    start_server: StartServer, path: str, methods: set[str]
) -> None:
    with start_server(SOMA_BOOTSTRAP_KEY=KEY) as server:
        with server.client(Authorization=f"Bearer {KEY}") as http:
            answer = http.options(path)
        with server.client() as stranger:
            problem(stranger.options(path), 401)

    problem(answer, 405)
    assert methods == set(answer.headers["Allow"].split(", "))
