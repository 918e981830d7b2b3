"""`soma reindex --model`, while a server serves the directory."""

from __future__ import annotations

import time
from pathlib import Path

from tests.contracts.embedding_server import embedding_server
from tests.end_to_end.cli_process import TIMEOUT_SECONDS, Soma
from tests.end_to_end.embedded import DIMENSION


def test_the_model_is_changed_while_serving(tmp_path: Path) -> None:
    with embedding_server() as server:
        elsewhere = {
            "SOMA_EMBEDDER_URL": server.url,
            "SOMA_EMBEDDER_MODEL": "large",
            "SOMA_EMBEDDER_DIMENSION": str(DIMENSION),
            "NO_PROXY": "127.0.0.1",
        }
        soma = Soma(tmp_path, embedder="bge-small", more=elsewhere)
        with soma.serving():
            soma.out("remember", "The red kettle stands on the stove.")
            assert "bge" in model_of(soma)

            assert 1 == soma.json("reindex", "--model", "openai")["queued"]

            deadline = time.monotonic() + TIMEOUT_SECONDS
            while "bge" in model_of(soma):
                [hit] = soma.json("recall", "red kettle")["hits"]
                assert hit["parts"]["semantic"] > 0
                assert time.monotonic() < deadline, model_of(soma)
            answer = soma.json("recall", "red kettle")
            assert answer["degraded"] == []
            assert answer["hits"][0]["parts"]["semantic"] > 0
            assert 0 == soma.json("reindex")["queued"]


def test_a_model_that_is_not_configured_is_refused_saying_what_is_missing(tmp_path: Path) -> None:
    soma = Soma(tmp_path, embedder="bge-small")

    refusal = soma.refusal("reindex", "--model", "openai")

    assert "set embedder_url, embedder_model, embedder_dimension" in refusal


def model_of(soma: Soma) -> str:
    """Return the line of `soma doctor` that names the embedding model."""
    [detail] = [c["detail"] for c in soma.json("doctor")["checks"] if c["name"] == "embedder"]
    return str(detail).partition(";")[0]
