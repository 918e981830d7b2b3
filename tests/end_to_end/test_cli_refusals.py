"""What the command line refuses: one line that names the reason, and never a secret."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.end_to_end.cli_process import COMMAND, TIMEOUT_SECONDS, Soma

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def soma(tmp_path: Path) -> Soma:
    """A command line on a fresh data directory."""
    return Soma(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("recall", "x", "--namespace=a//b"), "--namespace: '' is not a segment"),
        (("stats", "--url=ftp://x"), "--url: must look like http://127.0.0.1:8420"),
        (("list", "--url", NOWHERE, "--key=clé☃"), "--key: expected printable ASCII"),
        (("serve", "--port=70000"), "--port: expected"),
    ],
)
def test_an_option_that_is_a_setting_is_refused_by_its_name(
    soma: Soma, arguments: tuple[str, ...], said: str
) -> None:
    refused = soma.refusal(*arguments, code=2)

    assert said in refused
    assert "clé" not in refused


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SOMA_NAMESPACE", "a//b"),
        ("SOMA_URL", "ftp://x"),
        ("SOMA_POSTGRES_URL", "postgresql://host:port/x"),
        ("SOMA_KEY", "clé"),
    ],
)
def test_a_bad_setting_is_refused_by_the_name_of_its_variable(
    soma: Soma, name: str, value: str
) -> None:
    refused = replace(soma, more={name: value}).refusal("list", code=2)

    assert refused.startswith(f"{name}: ")
    assert "postgres_url" not in refused


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("keys", "create", "b", "--permission=write", "-n=n1", "--ttl=99999999w"),
            "--ttl: is too large",
        ),
        (("list", "--actor", "\udcff"), "what was given is not UTF-8 text"),
        (("jobs", "show", "\udcff"), "no job ?"),
        (("get", "a" * 70_000), "the request is too long, or no request at all"),
        (
            ("list", "--limit=50", "--url", f"{NOWHERE}/path"),
            f"cannot reach {NOWHERE}: All connection attempts failed",
        ),
    ],
)
def test_what_cannot_be_sent_is_refused_in_one_line(
    soma: Soma, arguments: tuple[str, ...], said: str
) -> None:
    assert soma.refusal(*arguments) == said


def test_a_key_with_a_line_end_is_sent_without_it(soma: Soma) -> None:
    received: list[bytes] = []
    with answering(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n", received) as url:
        soma = replace(soma, more={"SOMA_KEY": "soma_secret\r"})

        refused = soma.refusal("list", "--url", url)

    assert b"authorization: bearer soma_secret\r\n" in received[0].lower()
    assert "401" in refused


@pytest.mark.parametrize("answer", [b"", b"soma_secret is no HTTP\r\n\r\n"])
def test_a_broken_connection_is_told_without_what_was_sent(soma: Soma, answer: bytes) -> None:
    with answering(answer, []) as url:
        refused = soma.refusal("list", "--url", url, "--key=soma_secret")

    assert refused == "the connection to the server broke (RemoteProtocolError)"


@pytest.mark.parametrize(
    "arguments", [("list",), ("list", "--json"), ("export", "-"), ("stats",), ("serve", "--port=0")]
)
def test_output_that_cannot_be_written_is_no_success(
    soma: Soma, arguments: tuple[str, ...]
) -> None:
    soma.out("remember", "something", "--wait=stored")

    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=soma.folder,
            env=soma.environment,
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )

    assert done.stderr == b"soma: standard output cannot be written: No space left on device\n"
    assert done.returncode == 1


def test_a_closed_output_is_like_none_that_is_read(soma: Soma) -> None:
    done = subprocess.run(
        [*COMMAND, "list"],
        cwd=soma.folder,
        env=soma.environment,
        preexec_fn=lambda: os.close(1),
        stderr=subprocess.PIPE,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )

    assert (done.returncode, done.stderr) == (0, b"")


@contextmanager
def answering(answer: bytes, received: list[bytes]) -> Iterator[str]:
    """Answer one request with these bytes, whatever it is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_one() -> None:
            connection, _ = listener.accept()
            with connection:
                received.append(connection.recv(65536))
                connection.sendall(answer)

        thread = threading.Thread(target=answer_one)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(TIMEOUT_SECONDS)
