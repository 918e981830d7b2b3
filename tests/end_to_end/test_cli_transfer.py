"""Import and export, streamed through the real command line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.cli_process import COMMAND, Soma


@pytest.fixture
def soma(tmp_path: Path) -> Soma:
    """A command line on a fresh data directory."""
    return Soma(tmp_path)


def lines(*drafts: object) -> bytes:
    """Write one JSON line for each."""
    return b"".join(json.dumps(draft).encode() + b"\n" for draft in drafts)


def test_a_bad_line_is_reported_with_its_number_and_the_rest_is_loaded(soma: Soma) -> None:
    good = lines({"content": "first"}), lines({"content": "last"})

    done = soma.run("import", "-", input=good[0] + b'{"content": \n' + good[1])

    assert done.returncode == 1
    assert done.stdout.decode().startswith("imported 2,")
    assert b"line 2: " in done.stderr
    assert {m["content"] for m in soma.json("list")["items"]} == {"first", "last"}


def test_an_export_loads_elsewhere_as_it_was(soma: Soma, tmp_path: Path) -> None:
    file = tmp_path / "all.ndjson"
    elsewhere = Soma(tmp_path / "elsewhere")
    elsewhere.folder.mkdir()
    with soma.serving():
        first = soma.out("remember", "one", '--payload={"n": 1}', "--tag=a").strip()
        second = soma.out("remember", "zwei ☃", "-n", "default/below").strip()
        soma.out("revise", first, "--content=one, corrected")
        soma.out("link", first, second, "--type=next")
        said = soma.out("export", str(file))

    with elsewhere.serving():
        report = elsewhere.json("import", str(file))
        memory = elsewhere.json("get", first)
        versions = elsewhere.json("history", first)["items"]
        path = elsewhere.json("path", first, second)
        again = elsewhere.json("import", str(file))

        assert elsewhere.json("get", first) == memory

    assert f"to {file}" in said
    assert report["errors"] == []
    assert memory["content"] == "one, corrected"
    assert memory["payload"] == {"n": 1}
    assert len(versions) == 2
    assert len(path["links"]) == 1
    assert again["errors"] == []
    assert again["skipped"] >= 2


def test_export_writes_to_standard_output_by_default(soma: Soma) -> None:
    soma.out("remember", "here")

    [record] = [json.loads(line) for line in soma.out("export").splitlines()]

    assert record["type"] == "memory"
    assert record["memory"]["content"] == "here"


def test_an_export_that_cannot_be_written_is_refused(soma: Soma) -> None:
    soma.out("remember", "here")

    assert "cannot write" in soma.refusal("export", "no-such-folder/file")


def test_a_reader_that_closes_the_pipe_is_no_error_to_speak_of(soma: Soma) -> None:
    soma.out("import", "-", input=lines(*({"content": f"line {n} " * 50} for n in range(1000))))

    with subprocess.Popen(
        [*COMMAND, "export"],
        cwd=soma.folder,
        env=soma.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()

    assert said == b""
    assert process.returncode == 141


def test_an_export_that_broke_off_goes_on(soma: Soma, tmp_path: Path) -> None:
    """What is left beside the file after a kill is the beginning of what comes out in the end."""
    soma.out("import", "-", input=lines(*({"content": f"thought {n}"} for n in range(50))))
    one, other = (memory["id"] for memory in soma.json("list", "--limit", "2")["items"])
    soma.out("link", one, other)
    whole, again = tmp_path / "whole.ndjson", tmp_path / "again.ndjson"
    soma.out("export", str(whole))
    partial = tmp_path / "again.ndjson.partial"

    for size in (0, len(whole.read_bytes()) // 2, len(whole.read_bytes()) - 3):
        partial.write_bytes(whole.read_bytes()[:size])
        exported = soma.out("export", str(again), "--resume")

        assert again.read_bytes() == whole.read_bytes()
        assert "exported 51 lines" in exported
        assert not partial.exists()


def test_an_import_goes_on_with_the_job_it_began(soma: Soma, tmp_path: Path) -> None:
    file = tmp_path / "all.ndjson"
    file.write_bytes(lines(*({"content": f"thought {n}"} for n in range(20))))
    report = soma.json("import", str(file))
    [job] = soma.json("jobs", "--kind", "import")["items"]

    again = soma.json("import", str(file), "--resume", job["id"])
    file.write_bytes(lines({"content": "something else"}))
    refused = soma.refusal("import", str(file), "--resume", job["id"])

    assert again == report
    assert "began with other lines" in refused
