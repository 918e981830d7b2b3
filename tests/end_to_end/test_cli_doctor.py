"""`soma doctor` where it is needed most: when the store is what fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.end_to_end.cli_process import Soma

NO_POSTGRES = {
    "SOMA_POSTGRES_URL": "postgresql://soma:s3cret@127.0.0.1:1/x",
    "SOMA_POSTGRES_WAITING_TIMEOUT_SECONDS": "0.2",
    "SOMA_QDRANT_URL": "http://127.0.0.1:1",
    "SOMA_REDIS_URL": "redis://:s3cret@127.0.0.1:1",
}


@pytest.fixture
def without_postgres(tmp_path: Path) -> Soma:
    """A command line whose servers do not answer."""
    return Soma(tmp_path, more=NO_POSTGRES)


def test_doctor_says_why_the_store_fails_and_how_the_rest_is(without_postgres: Soma) -> None:
    done = without_postgres.run("doctor", "--json")

    answer = json.loads(done.stdout)
    checks = {check["name"]: check for check in answer["checks"]}
    assert done.returncode == 1
    assert ["profile", "data_dir", "store", "embedder", "redis", "qdrant"] == list(checks)
    assert not checks["store"]["ok"]
    assert "PostgreSQL does not answer" in checks["store"]["detail"]
    assert "Connection refused" in checks["store"]["detail"]
    assert not checks["qdrant"]["ok"]
    assert answer["settings"]["postgres_url"] == "********"
    assert b"s3cret" not in done.stdout + done.stderr


def test_doctor_shows_checks_and_settings_also_without_the_store(without_postgres: Soma) -> None:
    done = without_postgres.run("doctor")

    shown = done.stdout.decode()
    assert done.returncode == 1
    assert "BAD\tstore\tPostgreSQL does not answer" in shown
    assert "postgres_url" in shown
    assert "s3cret" not in shown
    assert done.stderr.decode().splitlines()[-1] == "not well: store, embedder, redis, qdrant"


def test_doctor_tells_of_a_database_that_is_none(tmp_path: Path) -> None:
    soma = Soma(tmp_path)
    soma.data.mkdir()
    (soma.data / "soma.db").write_bytes(b"no database " * 1000)

    done = soma.run("doctor", "--json")

    [store] = [c for c in json.loads(done.stdout)["checks"] if c["name"] == "store"]
    assert done.returncode == 1
    assert "not a database" in store["detail"]
