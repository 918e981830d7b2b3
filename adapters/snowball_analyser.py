"""Index terms: words stemmed as English, identifiers and numbers kept whole and in parts."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache

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

# Words that say nothing about what a text is about.
STOP_WORDS = frozenset(
    """
    a about above after again against all also am an and any are aren't as at
    be because been before being below between both but by
    can can't cannot could couldn't
    did didn't do does doesn't doing don't down during
    each either else ever
    few for from further
    had hadn't has hasn't have haven't having he he'd he'll her here hers herself him himself
    his how
    i i'd i'll i'm i've if in into is isn't it itself
    just
    let like
    me might more most much must my myself
    neither no nor not
    of off on once only or other our ours ourselves out over own
    perhaps
    quite
    rather really
    same shall she she'd she'll should shouldn't since so some such
    than that the their theirs them themselves then there these they they'd they'll they're they've
    this those though through to too
    under until up upon us
    very
    was wasn't we we'd we'll we're we've were weren't what when where whether which while who whom
    whose why will with within without won't would wouldn't
    yet you you'd you'll you're you've your yours yourself yourselves
    """.split()  # noqa: SIM905 (a list would hide the words between quotes)
)


class SnowballAnalyser:
    """The one analyser of every lexical backend.

    `snake_case`, `camelCase`, `3.11.2` and `ABC-123` give the whole and the parts, so either finds
    them. Text in scripts without spaces gives pairs of characters.
    """

    def __init__(self) -> None:
        self._stem = _stemmer()
        self._known = lru_cache(maxsize=_WORDS_MAX)(self._piece)

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
        lowered = word.lower().removesuffix("'s")
        if lowered in STOP_WORDS:
            return
        humps = _humps(word)
        yield self._stem(lowered)
        if len(humps) > 1:
            lowered_humps = (hump.lower() for hump in humps)
            yield from (self._stem(hump) for hump in lowered_humps if hump not in STOP_WORDS)


def _stemmer() -> Callable[[str], str]:
    """Load the Snowball stemmer; it keeps state while it works, so threads take turns."""
    import Stemmer

    stemmer = Stemmer.Stemmer("english", 0)
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
