"""The id of a message that nothing can decode."""

from __future__ import annotations

import pytest

from entrypoints.mcp.unread import id_of

DEEP = '"params":' + "[" * 500 + "]" * 500


@pytest.mark.parametrize(
    ("spelt", "id"),
    [
        ("7", 7),
        ("-7", -7),
        ('"a"', "a"),
        (r'"a\"b"', 'a"b'),
        (r'"x\""', 'x"'),
        ("1.5", None),
        ("true", None),
        ("null", None),
        ("1" * 5000, None),
    ],
)
def test_the_id_is_read_as_json_would_read_it(spelt: str, id: object) -> None:
    assert id == id_of(f'{{"jsonrpc":"2.0","id":{spelt},{DEEP}}}')


def test_an_id_further_in_is_not_that_of_the_message() -> None:
    assert id_of(f'{{"params":{{"id":1}},{DEEP}}}') is None
