"""Texts to measure with: lines of a file, or made-up remarks that are all different."""

from __future__ import annotations

import random
from pathlib import Path

_WHO = [
    "Ana",
    "Ben",
    "Chloe",
    "Dario",
    "Edda",
    "Farid",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Kemal",
    "Lena",
    "Mara",
    "Nils",
]
_DID = [
    "bought",
    "repaired",
    "painted",
    "lost",
    "borrowed",
    "sketched",
    "cooked",
    "planted",
    "cleaned",
    "sold",
]
_WHAT = [
    "kettle",
    "bicycle",
    "canoe",
    "violin",
    "lantern",
    "carpet",
    "bookshelf",
    "telescope",
    "tent",
    "sweater",
    "radio",
    "clock",
    "quilt",
    "drum",
    "ladder",
    "teapot",
    "camera",
    "atlas",
    "mirror",
    "hammock",
]
_LOOK = [
    "green",
    "broken",
    "wooden",
    "heavy",
    "tiny",
    "silver",
    "borrowed",
    "old",
    "striped",
    "noisy",
    "blue",
    "folded",
]
_WHERE = [
    "market",
    "harbour",
    "library",
    "garden",
    "station",
    "museum",
    "attic",
    "workshop",
    "lake",
    "office",
]
_WHEN = [
    "yesterday",
    "last Sunday",
    "two weeks ago",
    "this morning",
    "in March",
    "before the holidays",
]
_THEN = (
    "and everybody at dinner wanted to hear the whole story twice",
    "which took far longer than we had planned for the weekend",
    "because the doctor said a quiet hobby would help against stress",
    "so now we need a better place to keep it when it rains",
    "and I promised to show you the pictures as soon as they are ready",
    "although the budget for this month was already spent on the trip",
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
        thing = f"{draw.choice(_LOOK)} {draw.choice(_WHAT)}"
        place = draw.choice(_WHERE)
        who, number = draw.choice(_WHO), draw.randrange(2, 90)
        asked[f"What did {who} do with the {thing} near the {place} with {number} steps?"] = None
    return list(asked)


def _remark(draw: random.Random) -> str:
    return (
        f"{draw.choice(_WHO)}: {draw.choice(_WHEN)} I {draw.choice(_DID)} the"
        f" {draw.choice(_LOOK)} {draw.choice(_WHAT)} near the {draw.choice(_WHERE)} with"
        f" {draw.randrange(2, 90)} steps, {draw.choice(_THEN)}."
    )
