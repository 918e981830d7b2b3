"""What every analyser must do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.snowball.analyser import SnowballAnalyser
from adapters.snowball.stop_words import STOP_WORDS
from domain.ports import Analyser

_SHARED = SnowballAnalyser()


@pytest.fixture
def analyser() -> Analyser:
    """The analyser that feeds every lexical index."""
    return _SHARED


def test_words_are_lower_cased_and_stemmed_without_stop_words(analyser: Analyser) -> None:
    assert ("carolin", "dog", "run") == analyser.terms("Caroline's dogs aren't RUNNING")[:3]
    assert analyser.terms("connected connections") == analyser.terms("Connection, connecting!")


@pytest.mark.parametrize(
    "text", ["", "   ", "?!", "the of and", "I'm", "\N{PILE OF POO}", "'", "__"]
)
def test_what_says_nothing_gives_nothing(analyser: Analyser, text: str) -> None:
    assert () == analyser.terms(text)


@pytest.mark.parametrize(
    ("text", "queries"),
    [
        ("see ABC-123.", ["abc-123", "ABC", "123"]),
        ("on v3.11.2", ["3.11.2", "v3.11.2", "11"]),
        ("set max_batch_size in my_file.py", ["max_batch_size", "batch", "my_file", "my_file.py"]),
        ("call parseHTTPResponse2()", ["parseHTTPResponse2", "parse", "HTTP", "response2"]),
        ("the iPhone of McDonald", ["iphone", "phone", "McDonald", "mcdonald"]),
        ("a well-known fact", ["well-known", "known"]),
        ("mail ann@example.com", ["example.com", "ann"]),
        ("on 2026-01-31", ["2026-01-31", "2026"]),
        ("Ann\u2019s caf\u00e9", ["ann", "CAFE\u0301"]),
        ("\uff21\uff22\uff23", ["abc"]),
    ],
)
def test_identifiers_are_found_whole_and_by_their_parts(
    analyser: Analyser, text: str, queries: list[str]
) -> None:
    for query in queries:
        terms = analyser.terms(query)
        assert terms
        assert set(terms) & set(analyser.terms(text)), query


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("我喜欢吃苹果和梨", "苹果"),
        ("東京タワーに行った", "東京"),
        ("ฉันรักกรุงเทพ", "กรุงเทพ"),
        ("나는 서울에서 살았다", "서울"),
    ],
)
def test_text_without_spaces_is_found_by_a_part(analyser: Analyser, text: str, part: str) -> None:
    assert set(analyser.terms(part)) <= set(analyser.terms(text)) | {part}
    assert set(analyser.terms(part)) & set(analyser.terms(text))


@pytest.mark.parametrize("word", ["हिन्दी", "ελληνικά", "русский", "עברית", "العربية"])
def test_words_of_other_scripts_stay_whole(analyser: Analyser, word: str) -> None:
    assert 1 == len(analyser.terms(word))


def test_stop_words_are_written_as_they_are_compared() -> None:
    assert all(word == word.lower() and "\u2019" not in word for word in STOP_WORDS["english"])
    assert not any(word.endswith("'s") for word in STOP_WORDS["english"])


@given(text=st.text(max_size=80))
def test_terms_are_bounded_repeatable_and_storable(text: str) -> None:
    terms = _SHARED.terms(text)

    assert SnowballAnalyser().terms(text) == terms
    assert all(0 < len(term) <= 64 and not term.isspace() for term in terms)


@given(st.text(), st.sampled_from(" \n\t\u3000\u2028"), st.text("abc-._'\u0e01\u4e00 1A"))
def test_no_term_reaches_across_white_space(one: str, space: str, other: str) -> None:
    together = _SHARED.terms(f"{one}{space}{other}")

    assert together == _SHARED.terms(one) + _SHARED.terms(other)


def test_threads_do_not_disturb_each_other() -> None:
    analyser = SnowballAnalyser()
    texts = [f"running{number % 7} horses connected generalizations" for number in range(400)]
    expected = [_SHARED.terms(text) for text in texts]

    with ThreadPoolExecutor(4) as threads:
        assert expected == list(threads.map(analyser.terms, texts))


@pytest.mark.parametrize(
    ("language", "one", "other", "stopped"),
    [
        ("german", "Die Häuser", "des Hauses", "und nicht für"),
        ("french", "l'eau, les chansons qu'on aime", "eau chanson aimer", "d'elle ce n'est pas"),
        ("spanish", "las canciones", "una canción", "para nosotros también"),
        ("italian", "dell'acqua, le canzoni", "acqua canzone", "c'è anche questo"),
        ("portuguese", "as casas", "uma casa", "não está também"),
        ("dutch", "de boeken", "het boek", "niet voor ons"),
        ("none", "Das HAUS", "das haus", ""),
    ],
)
def test_each_language_has_its_stems_and_its_stop_words(
    language: str, one: str, other: str, stopped: str
) -> None:
    analyser = SnowballAnalyser(language)

    assert language == analyser.language
    assert set(analyser.terms(one)) == set(analyser.terms(other)) != set()
    assert () == analyser.terms(stopped)


@pytest.mark.parametrize("language", STOP_WORDS)
def test_in_every_language_identifiers_and_numbers_are_kept(language: str) -> None:
    terms = SnowballAnalyser(language).terms("ABC-123 v3.11.2 max_batch_size parseHTTP 我喜欢")

    assert {"abc-123", "123", "3.11.2", "max_batch_size", "喜欢"} <= set(terms)


def test_without_a_language_every_word_counts_as_it_stands() -> None:
    assert ("the", "dogs", "are", "running") == SnowballAnalyser("none").terms(
        "The dogs are running"
    )
