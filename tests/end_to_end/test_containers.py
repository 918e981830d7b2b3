"""What the failure tests rely on: a container keeps its address and data, whatever ends it."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.servers.containers import ContainerServer, container_server, unusable
from tests.servers.images import IMAGES

pytestmark = pytest.mark.slow


def of_ones_own(name: str) -> ContainerServer:
    """Return a server that has started, or skip with the reason."""
    server = container_server(name)
    if server is None:
        pytest.skip(f"no container of {name}: {unusable(name)}")
    server.start()
    return server


@pytest.fixture
def postgres() -> Iterator[ContainerServer]:
    """Give a PostgreSQL that nobody else uses."""
    server = of_ones_own("postgres")
    yield server
    server.remove()


def test_keeps_address_and_data_through_stop_and_kill(postgres: ContainerServer) -> None:
    url = postgres.url
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (number integer)")

    postgres.stop()
    postgres.start()
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO kept VALUES (1)")
    postgres.kill()
    postgres.start()

    assert postgres.url == url
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchall() == [(1,)]


def test_is_silent_while_paused_and_can_be_killed_then(postgres: ContainerServer) -> None:
    answers = IMAGES["postgres"].answers

    postgres.pause()
    while_paused = answers(postgres.port)
    postgres.resume()
    afterwards = answers(postgres.port)
    postgres.pause()
    postgres.kill()
    postgres.start()

    assert (while_paused, afterwards, answers(postgres.port)) == (False, True, True)


@pytest.mark.parametrize("name", ["redis", "kafka", "qdrant"])
def test_answers_again_after_it_was_killed(name: str) -> None:
    server = of_ones_own(name)
    try:
        server.kill()
        server.kill()
        refused = IMAGES[name].answers(server.port)
        server.start()

        assert not refused
        assert IMAGES[name].answers(server.port)
    finally:
        server.remove()
