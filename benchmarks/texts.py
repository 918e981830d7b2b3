"""Texts to measure with: lines of a file, or made-up remarks that are all different.

No word but "I" and "the" is in more than a tenth or so of the remarks, as in real talk: a lexical
index works harder the more memories share a word of the question.
"""

from __future__ import annotations

import random
from pathlib import Path


def _listed(words: str) -> tuple[str, ...]:
    return tuple(words.split("|"))


_WHO = _listed("Ana|Ben|Chloe|Dario|Edda|Farid|Greta|Hugo|Ines|Jonas|Kemal|Lena|Mara|Nils")
_DID = _listed(
    "bought|repaired|painted|lost|borrowed|sketched|cooked|planted|cleaned|sold|carried|hid"
    "|measured|wrapped|described|missed|polished|rented|swapped|weighed|found|washed|dropped"
)
_WHAT = _listed(
    "kettle|bicycle|canoe|violin|lantern|carpet|bookshelf|telescope|tent|sweater|radio|clock|quilt"
    "|drum|ladder|teapot|camera|atlas|mirror|hammock|suitcase|piano|wallet|kite|umbrella|stove"
)
_LOOK = _listed(
    "green|broken|wooden|heavy|tiny|silver|rusty|old|striped|noisy|blue|folded|narrow|bright"
)
_WHERE = _listed(
    "market|harbour|library|garden|station|museum|attic|workshop|lake|office|bakery|bridge|school"
    "|cinema|hospital|stadium|farm|airport|chapel|theatre|beach|forest|castle|cellar"
)
_HOW = _listed("at|behind|outside|beside|inside|beyond|across from|close to|next to|opposite")
_WHEN = _listed(
    "yesterday|last Sunday|two weeks ago|this morning|in March|before the holidays|on my birthday"
    "|after lunch|at midnight|during the storm|when the guests had left|in early autumn"
)
_MANY = _listed("euros|visitors|letters|metres|chairs|minutes|stamps|apples|screws|photographs")
_THEN = _listed(
    "and everybody at dinner wanted to hear the whole story twice"
    "|which took far longer than we had planned"
    "|because my doctor recommends a quiet hobby against stress"
    "|so now a better place is needed to keep it dry"
    "|and I promised to show you pictures soon"
    "|although my budget was already spent on a trip"
    "|but nobody believed me until Monday"
    "|as a surprise for our neighbours and their twins"
    "|while the dog slept under a blanket"
    "|and it reminded me of my grandmother's kitchen"
)


def remarks(count: int, *, seed: int = 7, source: Path | None = None) -> list[str]:
    """Return `count` different texts of about 25 words; those of `source` come first."""
    texts: dict[str, None] = {}
    if source is not None:
        lines = source.read_text(encoding="utf-8").splitlines()
        texts.update(dict.fromkeys(line.strip() for line in lines if line.strip()))
    draw = random.Random(seed)
    while len(texts) < count:
        texts[_remark(draw)] = None
    return list(texts)[:count]


def questions(count: int, *, seed: int = 11) -> list[str]:
    """Return `count` different questions about what `remarks` tells."""
    draw = random.Random(seed)
    asked: dict[str, None] = {}
    while len(asked) < count:
        who, thing = draw.choice(_WHO), f"{draw.choice(_LOOK)} {draw.choice(_WHAT)}"
        where = f"{draw.choice(_HOW)} the {draw.choice(_WHERE)}"
        asked[f"What did {who} do with the {thing} {where} {draw.choice(_WHEN)}?"] = None
    return list(asked)


def _remark(draw: random.Random) -> str:
    return (
        f"{draw.choice(_WHO)}: {draw.choice(_WHEN)} I {draw.choice(_DID)} the"
        f" {draw.choice(_LOOK)} {draw.choice(_WHAT)} {draw.choice(_HOW)} the {draw.choice(_WHERE)},"
        f" {draw.randrange(2, 900)} {draw.choice(_MANY)}, {draw.choice(_THEN)}."
    )
