"""Index terms: words stemmed by language, identifiers and numbers kept whole and in parts."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache

from adapters.snowball.stop_words import STOP_WORDS

_WORDS_MAX = 50_000
_TERM_LENGTH_MAX = 64

# Vowel signs of Indic scripts and combining marks are no letters to `re`, but belong to the word.
_LETTER = "(?:[^\\W_]|[\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff])"
# Thai, Lao, Burmese, Khmer, kana, Han, Hangul: written without spaces, or with long words.
_UNSPACED = (
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"
)
_WORD = f"(?:(?!{_UNSPACED}){_LETTER})+"
_CHUNK = re.compile(f"{_UNSPACED}+|_*{_WORD}(?:(?:_+|[-.']){_WORD})*")
_RUN = re.compile(_UNSPACED)
_PART = re.compile(f"{_WORD}(?:'{_WORD})?")
_DIGIT = re.compile(r"\d")
_VERSION = re.compile(r"[vV](?=\d)")

_UNSTEMMED = "none"
_NOTHING = re.compile("(?!)")
# What a language hangs on to a word with an apostrophe: "Ann's", "l'eau", "dell'acqua".
_ELIDED = {
    "english": re.compile("'s$"),
    "french": re.compile("^(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu)'"),
    "italian": re.compile("^(?:[cdlmnstv]|[dn]ell|all|dall|sull|un|quest|quell|anch)'"),
}


class SnowballAnalyser:
    """The one analyser of every lexical backend.

    `snake_case`, `camelCase`, `3.11.2` and `ABC-123` give the whole and the parts, so either finds
    them. Text in scripts without spaces gives pairs of characters. The language `none` stems
    nothing and leaves nothing out.
    """

    def __init__(self, language: str = "english") -> None:
        self._language = language
        self._stop_words = STOP_WORDS[language]
        self._elided = _ELIDED.get(language, _NOTHING)
        self._stem = _stemmer(language)
        self._known = lru_cache(maxsize=_WORDS_MAX)(self._piece)

    @property
    def language(self) -> str:
        """Whose words are stemmed and left out."""
        return self._language

    def terms(self, text: str, /) -> tuple[str, ...]:
        """Return the terms in the order of the text; a whole comes before its parts."""
        text = unicodedata.normalize("NFKC", text).replace("\u2019", "'")
        terms: list[str] = []
        for piece in text.split():
            # Language repeats its words; what is long does not come again.
            terms += self._known(piece) if len(piece) <= _TERM_LENGTH_MAX else self._piece(piece)
        return tuple(terms)

    def _piece(self, piece: str) -> tuple[str, ...]:
        """Return the terms of what stands between white space: no term reaches across it."""
        return tuple(term for chunk in _CHUNK.findall(piece) for term in self._chunk(chunk))

    def _chunk(self, chunk: str) -> Iterator[str]:
        """Yield the terms of what stands between white space or punctuation."""
        found = _pairs(chunk) if _RUN.match(chunk) else self._spaced(chunk)
        yield from (term[:_TERM_LENGTH_MAX] for term in found)

    def _spaced(self, chunk: str) -> Iterator[str]:
        yield from _wholes(chunk)
        for part in _PART.findall(chunk):
            yield from self._word(part)

    def _word(self, word: str) -> Iterator[str]:
        lowered = self._elided.sub("", word.lower())
        if lowered in self._stop_words:
            return
        humps = _humps(word)
        yield self._stem(lowered)
        if len(humps) > 1:
            lowered_humps = (hump.lower() for hump in humps)
            yield from (self._stem(hump) for hump in lowered_humps if hump not in self._stop_words)


def _stemmer(language: str) -> Callable[[str], str]:
    """Load the Snowball stemmer; it keeps state while it works, so threads take turns."""
    if language == _UNSTEMMED:
        return str
    import Stemmer

    stemmer = Stemmer.Stemmer(language, 0)
    lock = threading.Lock()

    def stem(word: str) -> str:
        if _DIGIT.search(word):
            return word
        with lock:
            return str(stemmer.stemWord(word))

    return stem


def _wholes(chunk: str) -> Iterator[str]:
    """Yield what is looked for in one piece: `ABC-123`, `3.11.2` of `v3.11.2`, `snake_case`."""
    chunk = chunk.strip("_").lower()
    pieces = [piece.strip("_") for piece in re.split(r"[-.']", chunk)]
    if len(pieces) > 1 and "'" not in chunk and ("_" in chunk or _DIGIT.search(chunk)):
        yield _VERSION.sub("", chunk, count=1) if _VERSION.match(chunk) else chunk
    yield from (piece for piece in pieces if "_" in piece)


def _humps(word: str) -> list[str]:
    """Split `parseHTTPResponse` into `parse`, `HTTP`, `Response`; other words stay whole."""
    if word.isupper() or word[1:].islower() or "'" in word:
        return [word]
    starts = [0]
    for index in range(1, len(word)):
        if not word[index].isupper():
            continue
        follows = word[index + 1 : index + 2]
        if not word[index - 1].isupper() or follows.islower():
            starts.append(index)
    return [word[a:b] for a, b in zip(starts, [*starts[1:], len(word)], strict=True)]


def _pairs(run: str) -> Iterator[str]:
    if len(run) == 1:
        yield run
    yield from (run[index : index + 2] for index in range(len(run) - 1))
