"""How much the words of Fast Core cost: `python benchmarks/fast_words.py`.

No store: postings are filled from made-up remarks, each beside its neighbours in a session of
twenty or alone, and asked distinct questions. `CPU ms` is the time of the searching thread, which
a machine shared with others leaves comparable.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence

from adapters.fastcore.counting import evidence
from adapters.fastcore.matching import Target, best
from adapters.fastcore.postings import Postings
from adapters.snowball.analyser import SnowballAnalyser
from benchmarks.measuring import percentile, report
from benchmarks.texts import questions, remarks
from domain.lexical import encoded
from domain.memory import MemoryId
from domain.ports import IndexedTerms

ALWAYS = (-math.inf, math.inf, math.inf)
PAGE = 2000
NOMINATED = 50
SESSION_TURNS = 20


def filled(texts: Sequence[str], *, sessions: bool) -> Postings:
    """Index remarks."""
    analyser = SnowballAnalyser()
    own = [" ".join(map(encoded, analyser.terms(text))) for text in texts]
    postings = Postings("epoch", 0)
    for start in range(0, len(own), PAGE):
        items = [
            IndexedTerms(
                MemoryId(f"{row:036}"), own[row], _beside(own, row) if sessions else None, ALWAYS
            )
            for row in range(start, min(start + PAGE, len(own)))
        ]
        postings.install(postings.prepared(items, (), 1))
    return postings


def _beside(own: Sequence[str], row: int) -> str:
    first = row - row % SESSION_TURNS
    around = range(max(first, row - 1), min(first + SESSION_TURNS, row + 2, len(own)))
    return " ".join(own[place] for place in around)


def measured(size: int, asked: int, *, sessions: bool) -> dict[str, object]:
    """Fill and ask."""
    started = time.process_time()
    postings = filled(remarks(size), sessions=sessions)
    loaded = time.process_time() - started
    analyser = SnowballAnalyser()
    nominating, counting = [], []
    for text in questions(asked):
        terms = [encoded(term) for term in analyser.terms(text)]
        began = time.thread_time()
        found = best(terms, [Target(postings.view, None)], NOMINATED)
        ended = time.thread_time()
        evidence(found, terms, [(postings.view, postings.places)])
        nominating.append(1000 * (ended - began))
        counting.append(1000 * (time.thread_time() - ended))
    return {
        "memories": size,
        "sessions": sessions,
        "nominate p50 CPU ms": f"{percentile(nominating, 0.5):.2f}",
        "p95": f"{percentile(nominating, 0.95):.2f}",
        "least": f"{min(nominating):.2f}",
        "evidence of 50, p50 CPU ms": f"{percentile(counting, 0.5):.2f}",
        "bytes a memory": str(postings.size_bytes // size),
        "load CPU s": f"{loaded:.1f}",
    }


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--memories", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    options = parser.parse_args()
    rows = [
        measured(size, options.queries, sessions=sessions)
        for size in options.memories
        for sessions in (False, True)
    ]
    report("Words of Fast Core", rows, as_json=options.json)


if __name__ == "__main__":
    main()
