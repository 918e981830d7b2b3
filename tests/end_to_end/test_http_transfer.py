"""Export and import over HTTP: one stream each way."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable

import httpx
import pytest

from entrypoints.http.transfer import split_lines
from tests.end_to_end.http_server import DIMENSION, LINE_BYTES_MAX, fields_named, remember


def _exported(http: httpx.Client, space: str, **parameters: str) -> list[dict[str, object]]:
    answer = http.get("/v1/export", params={"namespace": space, **parameters})
    assert (200, "application/x-ndjson") == (
        answer.status_code,
        answer.headers["content-type"].split(";")[0],
    )
    return [json.loads(line) for line in answer.text.splitlines()]


def _draft(space: str, content: str) -> bytes:
    return json.dumps({"namespace": space, "content": content}).encode()


def test_an_export_holds_memories_versions_and_links(http: httpx.Client, space: str) -> None:
    one = remember(http, space, "one", vector=[1, 0, 0, 0])
    two = remember(http, f"{space}/below", "two")
    http.patch(f"/v1/memories/{one['id']}", json={"tags": ["new"]})
    http.post("/v1/links", json={"source": one["id"], "target": two["id"], "type": "t"})

    exact = _exported(http, space)
    subtree = _exported(http, space, scope="subtree", vectors="true")

    assert ["memory", "version", "link"] == [line["type"] for line in exact]
    assert ["link", "memory", "memory", "version"] == sorted(str(line["type"]) for line in subtree)
    vectors = [line["vector"] for line in subtree if "vector" in line]
    assert ["AACAPwAAAAAAAAAAAAAAAA=="] == vectors


def test_an_empty_export_is_empty(http: httpx.Client, space: str) -> None:
    assert [] == _exported(http, space)


def test_what_was_exported_is_present_or_forgotten_here(http: httpx.Client, space: str) -> None:
    kept = remember(http, space, "kept", payload={"n": 1}, occurred_at="2026-01-01T00:00:00Z")
    gone = remember(http, space, "gone")
    file = http.get("/v1/export", params={"namespace": space, "vectors": "true"}).content
    http.delete(f"/v1/memories/{gone['id']}")

    report = http.post("/v1/import", content=file).json()

    assert (0, 1, 1, 1) == (
        report["imported"],
        report["skipped"],
        report["errors_total"],
        len(report["errors"]),
    )
    assert "forgotten" in report["errors"][0]["detail"]
    assert kept == http.get(f"/v1/memories/{kept['id']}").json()


def test_an_export_loads_elsewhere_as_it_was(http: httpx.Client, space: str) -> None:
    memory = remember(http, space, "travels", tags=["t"], vector=[0, 1, 0, 0])
    http.patch(f"/v1/memories/{memory['id']}", json={"importance": 3})
    original = _exported(http, space, vectors="true")
    moved_id = memory["id"][:-4] + ("ffff" if memory["id"][-4:] != "ffff" else "eeee")
    file = "\n".join(json.dumps(line) for line in original)
    file = file.replace(memory["id"], moved_id).replace(space, f"{space}-2")

    report = http.post("/v1/import", content=file.encode(), params={"wait": "indexed"}).json()

    assert (2, []) == (report["imported"], report["errors"])
    moved = _exported(http, f"{space}-2", vectors="true")
    assert [line["type"] for line in original] == [line["type"] for line in moved]
    assert original[0]["vector"] == moved[0]["vector"]


def test_bad_lines_are_reported_by_number_and_the_rest_loads(
    http: httpx.Client, space: str
) -> None:
    lines = [
        b"\xef\xbb\xbf" + _draft(space, "first") + b"\r",
        b"",
        b"{broken",
        _draft(space, "second"),
        b'{"content": "x", "colour": "red"}',
        b'{"type": "poem"}',
        b'{"type": "memory", "memory": {"id": "1"}}',
        b'{"content": "\xff"}',
        _draft(space, ""),
        b'{"content": "' + b"x" * LINE_BYTES_MAX + b'"}',
        b"[]",
        _draft(space, "no newline at the end"),
    ]

    report = http.post("/v1/import", content=b"\n".join(lines)).json()

    assert (3, 0, 8) == (report["imported"], report["skipped"], report["errors_total"])
    assert [3, 5, 6, 7, 8, 9, 10, 11] == sorted(error["line"] for error in report["errors"])
    details = {error["line"]: error["detail"] for error in report["errors"]}
    assert details[5].startswith("colour:")
    assert "poem" in details[6]
    assert str(LINE_BYTES_MAX) in details[10]
    listed = http.get("/v1/memories", params={"namespace": space}).json()["items"]
    assert 3 == len(listed)


def test_an_import_may_be_larger_than_any_other_body(http: httpx.Client, space: str) -> None:
    filler = "x" * 2_000
    vector = [1.0] * DIMENSION
    lines = (
        json.dumps({"namespace": space, "content": f"{n} {filler}", "vector": vector}).encode()
        + b"\n"
        for n in range(1_000)
    )

    report = http.post("/v1/import", content=lines).json()

    assert (1_000, 0) == (report["imported"], report["errors_total"])


def test_the_list_of_errors_is_capped_but_counted(http: httpx.Client) -> None:
    report = http.post("/v1/import", content=b"no json\n" * 1_500).json()

    assert (1_000, 1_500) == (len(report["errors"]), report["errors_total"])


def test_an_import_refuses_an_unknown_parameter(http: httpx.Client) -> None:
    assert ["dry"] == fields_named(http.post("/v1/import?dry=true", content=b""))


async def _stream(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize("size", [1, 2, 3, 100])
async def test_lines_do_not_depend_on_how_the_body_is_cut(size: int) -> None:
    body = b"a\n\nbb\r\nccccc\nd"
    chunks = [body[start : start + size] for start in range(0, len(body), size)]

    lines = [line async for line in split_lines(_stream(chunks), 4)]

    assert [(1, b"a"), (2, b""), (3, b"bb\r"), (4, None), (5, b"d")] == lines
