"""`soma migrate`: the schema of a store, brought up to date by itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

import adapters
from tests.end_to_end.cli_process import Soma
from tests.postgres_server import TestServer

_SCRIPTS = Path(adapters.__file__).parent


def newest(engine: str) -> int:
    """Return the number of an engine's last migration."""
    return max(int(file.name[:4]) for file in (_SCRIPTS / engine / "migrations").glob("0*.sql"))


@pytest.fixture
def soma(tmp_path: Path) -> Soma:
    """A command line on a data directory that is not there yet."""
    return Soma(tmp_path)


def test_an_old_data_directory_comes_up_to_date(soma: Soma) -> None:
    first = (_SCRIPTS / "sqlite" / "migrations" / "0001_first.sql").read_text("utf-8")
    soma.data.mkdir(parents=True)
    with closing(sqlite3.connect(soma.data / "soma.db")) as connection:
        connection.executescript(
            f"{first}PRAGMA application_id = {0x536F6D61}; PRAGMA user_version = 1;"
        )

    said = soma.out("migrate")

    assert said == f"the schema has version {newest('sqlite')}\n"
    assert soma.json("migrate") == {"schema_version": newest("sqlite")}
    assert soma.json("list")["items"] == []


async def test_an_empty_postgres_database_gets_its_schema(
    postgres_server: TestServer, tmp_path: Path
) -> None:
    async with postgres_server.database() as url:
        soma = Soma(tmp_path, more={"SOMA_POSTGRES_URL": url})

        assert soma.json("migrate") == {"schema_version": newest("postgres")}

        async with await psycopg.AsyncConnection.connect(url) as connection:
            cursor = await connection.execute("SELECT max(version) FROM soma_schema")
            assert await cursor.fetchone() == (newest("postgres"),)
    assert not soma.data.exists()


def test_a_directory_that_is_served_is_left_to_its_server(soma: Soma) -> None:
    with soma.serving():
        refusal = soma.refusal("migrate")

    assert "is owned by another process" in refusal


def test_a_server_is_not_migrated_from_outside(soma: Soma) -> None:
    refusal = soma.refusal("migrate", "--url", "http://127.0.0.1:1", code=2)

    assert "leave --url out" in refusal
    assert not soma.data.exists()


def test_a_database_that_does_not_answer_is_refused(soma: Soma) -> None:
    soma.more["SOMA_POSTGRES_URL"] = "postgresql://soma@127.0.0.1:1/soma"

    assert "PostgreSQL does not answer" in soma.refusal("migrate")
