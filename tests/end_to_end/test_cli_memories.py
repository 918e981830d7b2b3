"""The commands on memories and links, as a person or a script meets them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.cli_process import Soma

NOBODY = "01890000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soma]:
    """A data directory with a running server beside the terminal: the normal case."""
    soma = Soma(tmp_path_factory.mktemp("served"))
    with soma.serving():
        yield soma


@pytest.fixture
def space(request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own."""
    return f"test/{abs(hash(request.node.nodeid))}"


def test_remembers_and_shows_every_field_that_was_given(served: Soma, space: str) -> None:
    memory_id = served.out(
        "remember",
        "the ferry leaves at nine",
        f"--namespace={space}",
        "--kind=semantic",
        "--tag=ferry",
        "--tag=time",
        '--payload={"pier": 3}',
        "--coordinate=-1,2.5",
        "--importance=2",
        "--pinned",
        "--occurred-at=2026-01-31T12:00:00Z",
        "--valid-from=2026-01-01T00:00:00Z",
        "--actor=nora",
        "--session=s1",
    ).strip()

    memory = served.json("get", memory_id)

    assert memory["content"] == "the ferry leaves at nine"
    assert memory["namespace"] == space
    assert memory["kind"] == "semantic"
    assert memory["tags"] == ["ferry", "time"]
    assert memory["payload"] == {"pier": 3}
    assert memory["coordinate"] == [-1.0, 2.5]
    assert memory["importance"] == 2.0
    assert memory["pinned"] is True
    assert memory["source"] == {"actor": "nora", "session": "s1"}
    assert "the ferry leaves at nine" in served.out("get", memory_id)


def test_a_text_may_come_from_standard_input(served: Soma, space: str) -> None:
    text = "Zeile eins\nüber zwei Zeilen: 雪"

    answer = served.json("remember", "-", "-n", space, input=f"{text}\n".encode())

    assert answer["memory"]["content"] == text


def test_the_same_text_is_stored_once_unless_told_otherwise(served: Soma, space: str) -> None:
    first = served.json("remember", "once", "-n", space)
    again = served.json("remember", "once", "-n", space)
    separate = served.json("remember", "once", "-n", space, "--no-deduplicate")

    assert again["memory"]["id"] == first["memory"]["id"]
    assert again["deduplicated"] is True
    assert separate["memory"]["id"] != first["memory"]["id"]


def test_recalls_by_words_and_explains_the_score(served: Soma, space: str) -> None:
    served.out("remember", "the harbour cat sleeps on the nets", "-n", space)
    wanted = served.out("remember", "the lighthouse keeper paints at night", "-n", space).strip()

    answer = served.json("recall", "who paints in the lighthouse?", "-n", space, "-k", "1")
    shown = served.out("recall", "who paints in the lighthouse?", "-n", space, "--explain")

    [hit] = answer["hits"]
    assert hit["memory"]["id"] == wanted
    assert sum(hit["parts"].values()) == pytest.approx(hit["score"], abs=1e-6)
    header, best, *_ = shown.splitlines()
    assert header.split("\t") == ["score", "relevance", "parts", "when", "id", "content"]
    assert wanted in best
    assert "=+" in best


def test_recall_takes_filters_scopes_and_a_token_budget(served: Soma, space: str) -> None:
    served.out("remember", "soup on monday", "-n", f"{space}/a", "--tag=food", "--actor=ilya")
    served.out("remember", "soup on tuesday", "-n", f"{space}/b", '--payload={"hot": true}')

    below = ("recall", "soup", "-n", space, "--scope=subtree")

    def found(*filters: str) -> set[str]:
        return {hit["memory"]["content"] for hit in served.json(*below, *filters)["hits"]}

    assert found() == {"soup on monday", "soup on tuesday"}
    assert found("--tag=food") == {"soup on monday"}
    assert found("--actor=ilya") == {"soup on monday"}
    assert found('--where={"hot": true}') == {"soup on tuesday"}
    assert found("--occurred-before=2000-01-01T00:00:00Z") == set()
    assert "soup" in served.json(*below, "--budget-tokens=50")["context"]


def test_recall_takes_weights_signals_and_whether_to_judge(served: Soma, space: str) -> None:
    served.out("remember", "the red kettle", "-n", space, "--importance=3")
    ask = ("recall", "kettle", "-n", space, "--no-rerank")

    [plain] = served.json(*ask)["hits"]
    [louder] = served.json(*ask, "--weight=lexical=0.6", "--weight=importance=0.9")["hits"]
    [without] = served.json(*ask, "--signal=importance=off", "--signal=recency=on")["hits"]

    assert louder["parts"]["lexical"] == pytest.approx(plain["parts"]["lexical"] * 2)
    assert louder["parts"]["importance"] > plain["parts"]["importance"] > 0
    assert not without["parts"].get("importance")
    assert without["parts"]["lexical"] == plain["parts"]["lexical"]


def test_a_correction_hides_the_old_fact_but_not_from_as_of(served: Soma, space: str) -> None:
    old = served.out("remember", "the key is under the mat", "-n", space).strip()
    revised = served.json("revise", old, "--valid-to=2026-01-01T00:00:00Z")
    new = served.out("remember", "the key is behind the drainpipe", "-n", space).strip()

    now = served.json("recall", "where is the key?", "-n", space)
    then = served.json("recall", "where is the key?", "-n", space, "--as-of=2025-12-01T00:00:00Z")
    versions = served.json("history", old)["items"]

    assert revised["memory"]["version"] == 2
    assert [hit["memory"]["id"] for hit in now["hits"]] == [new]
    assert old in [hit["memory"]["id"] for hit in then["hits"]]
    assert [entry["version"] for entry in versions] == [2, 1]


def test_a_lost_update_is_refused(served: Soma, space: str) -> None:
    memory_id = served.out("remember", "draft", "-n", space).strip()
    served.out("revise", memory_id, "--content=second draft", "--if-version=1")

    said = served.refusal("revise", memory_id, "--content=other draft", "--if-version=1")

    assert "version 2" in said


def test_revise_can_clear_a_field(served: Soma, space: str) -> None:
    memory_id = served.out("remember", "a", "-n", space, "--valid-to=2099-01-01T00:00:00Z").strip()

    answer = served.json("revise", memory_id, "--clear=valid_to")

    assert answer["memory"]["valid_to"] is None


def test_lists_pages_newest_first_and_in_plain_lines_when_piped(served: Soma, space: str) -> None:
    for day in (1, 2, 3):
        served.out("remember", f"day {day}", "-n", space, f"--occurred-at=2026-01-0{day}T00:00:00Z")

    page = served.json("list", "-n", space, "--limit=2")
    rest = served.json("list", "-n", space, "--limit=2", f"--cursor={page['next_cursor']}")
    plain = served.out("list", "-n", space).splitlines()

    assert [m["content"] for m in page["items"]] == ["day 3", "day 2"]
    assert [m["content"] for m in rest["items"]] == ["day 1"]
    assert plain[0] == "id\tkind\twhen\tcontent"
    assert plain[1].split("\t")[2:] == ["2026-01-03 00:00Z", "day 3"]


def test_forgets_one_and_erases_another(served: Soma, space: str) -> None:
    hidden = served.out("remember", "to be hidden", "-n", space).strip()
    gone = served.out("remember", "to be erased", "-n", space).strip()

    served.out("forget", hidden)
    served.out("forget", gone, "--erase")

    assert f"no memory {hidden}" in served.refusal("get", hidden)
    assert served.json("recall", "to be hidden or erased", "-n", space)["hits"] == []
    assert served.json("history", hidden)["items"]
    assert served.json("list", "-n", space)["items"] == []


def test_links_neighbors_and_paths(served: Soma, space: str) -> None:
    first, second, third = (
        served.out("remember", text, "-n", space).strip() for text in ("one", "two", "three")
    )
    served.out("link", first, second, "--type=next", "--weight=2", '--properties={"by": "hand"}')
    served.out("link", second, third, "--type=next")

    path = served.json("path", first, third)
    around = served.json("neighbors", first, "--depth=2", "--direction=out")
    shown = served.out("path", first, third, "--weighted")
    served.out("unlink", first, second, "--type=next")

    assert [memory["content"] for memory in path["memories"]] == ["one", "two", "three"]
    assert path["links"][0]["properties"] == {"by": "hand"}
    assert [item["depth"] for item in around["items"]] == [1, 2]
    assert "next 2" in shown
    assert "no path" in served.refusal("path", first, third)
    assert "no link" in served.refusal("unlink", first, second, "--type=next")


def test_stats_count_what_the_namespaces_hold(served: Soma, space: str) -> None:
    served.out("remember", "counted", "-n", space)

    [row] = [row for row in served.json("stats")["items"] if row["path"] == space]

    assert row["memories"] == 1
    assert row["head"] >= 1
    assert space in served.out("stats", "-n", space)


def test_reconcile_and_reindex_find_nothing_wrong(served: Soma) -> None:
    assert served.json("reconcile", "--check") == {"findings": []}
    assert "everything agrees" in served.out("reconcile")
    assert "queued" in served.json("reindex")


def test_doctor_exits_1_when_a_check_fails_and_shows_the_settings(served: Soma) -> None:
    done = served.run("doctor", "--json")
    shown = served.run("doctor")

    answer = json.loads(done.stdout)
    assert {check["name"]: check["ok"] for check in answer["checks"]}["store"] is True
    assert done.returncode == (0 if all(check["ok"] for check in answer["checks"]) else 1)
    assert str(served.data) in shown.stdout.decode()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("get", NOBODY), f"no memory {NOBODY}"),
        (("get", "../../healthz"), "no memory"),
        (("recall", "x", "-k", "0"), "k"),
        (("recall", "x", "--as-of=yesterday"), "as_of"),
        (("recall", "x", "--rerank"), "rerank: no reranker is configured"),
        (("recall", "x", "--weight=taste=1"), "weights.taste: is not one of lexical"),
        (("recall", "x", "--weight=lexical=-1"), "weights.lexical: must be a number from 0"),
        (("recall", "x", "--weight=lexical=nan"), "weights.lexical"),
        (("recall", "x", "--signal=taste=on"), "signals.taste: is not one of"),
        (("recall", "x", '--where={"a": {"like": "%"}}'), "where.a.like"),
        (("remember", "x", "--importance=nan"), "importance"),
        (("remember", "x", "--valid-from=2026-01-01T00:00:00"), "valid_from"),
        (("remember", "   "), "content"),
        (("remember", "\udcff"), "content"),
        (("list", "--limit=1001"), "limit"),
        (("import", "no-such-file"), "cannot read no-such-file"),
        (("stats", "--url=http://127.0.0.1:9"), "cannot reach http://127.0.0.1:9"),
    ],
)
def test_a_refusal_is_one_line_that_names_the_reason(
    served: Soma, arguments: tuple[str, ...], said: str
) -> None:
    assert said in served.refusal(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("remeber", "x"),
        ("remember", "x", "--payload=[1]"),
        ("remember", "x", "--ttl=soon"),
        ("remember", "x", "--idempotency-key=clé"),
        ("recall", "x", "--weight=lexical"),
        ("recall", "x", "--signal=speaker=maybe"),
        ("recall", "x", "--data=a", "--url=http://b"),
        ("link", "a"),
    ],
)
def test_a_usage_error_shows_the_usage_and_exits_2(
    served: Soma, arguments: tuple[str, ...]
) -> None:
    done = served.run(*arguments)

    assert done.returncode == 2
    assert done.stderr.startswith(b"usage: soma")


def test_an_unknown_setting_is_refused_before_anything_happens(tmp_path: Path) -> None:
    soma = Soma(tmp_path, more={"SOMA_DATA_DIRECTORY": "x"})

    assert "SOMA_DATA_DIRECTORY" in soma.refusal("stats", code=2)
    assert not soma.data.exists()


def test_stored_escape_sequences_do_not_reach_the_terminal(served: Soma, space: str) -> None:
    evil = "title \x1b]0;owned\x07 and \x9b31m red \u202e backwards"
    memory_id = served.out("remember", evil, "-n", space, f"--actor={evil[:20]}").strip()

    for arguments in (
        ("get", memory_id),
        ("list", "-n", space),
        ("recall", "title", "-n", space, "--explain"),
        ("get", memory_id, "--json"),
        ("history", memory_id),
        ("export", "-n", space),
    ):
        shown = served.on_terminal(*arguments)
        assert "owned" in shown
        for steering in ("\x1b]", "\x07", "\x9b", "\u202e"):
            assert steering not in shown, arguments
    assert json.loads(served.out("get", memory_id, "--json"))["content"] == evil


def test_a_terminal_gets_a_table_that_fits(served: Soma, space: str) -> None:
    served.out("remember", "many words " * 40, "-n", space)

    shown = served.on_terminal("list", "-n", space)

    assert "content" in shown
    assert "\t" not in shown
    assert "─" in shown
