"""`soma jobs`: what was done can be seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.cli_process import Soma


@pytest.fixture
def soma(tmp_path: Path) -> Soma:
    """A command line on a fresh data directory."""
    return Soma(tmp_path)


def test_what_was_done_can_be_seen(soma: Soma) -> None:
    soma.out("reindex")
    soma.out("reconcile", "--check")

    listed = soma.json("jobs")["items"]
    lines = soma.out("jobs", "--kind", "reindex").splitlines()
    shown = soma.out("jobs", "show", listed[0]["id"])
    cancelled = soma.out("jobs", "cancel", listed[0]["id"])

    assert [(job["kind"], job["state"]) for job in listed] == [
        ("reconcile", "succeeded"),
        ("reindex", "succeeded"),
    ]
    assert [line.split("\t")[:2] for line in lines] == [["kind", "state"], ["reindex", "succeeded"]]
    assert "findings" in shown
    assert "reconcile" in cancelled
    assert "succeeded" in cancelled


def test_a_job_that_is_not_named_or_not_there_is_refused(soma: Soma) -> None:
    assert "needs the id" in soma.refusal("jobs", "show", code=2)
    assert soma.refusal("jobs", "cancel", "nobody") == "no job nobody"
