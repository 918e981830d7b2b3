# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""The lexical index: a GIN index nominates, exact statistics let the domain's BM25 rank."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from adapters.postgres import arrays
from adapters.postgres.filters import filter_sql
from adapters.postgres.namespaces import lock_namespaces_of
from adapters.postgres.rows import scope_sql, storable, within_sql
from adapters.postgres.session import Session
from adapters.postgres.terms import counts_of, document, joined, query
from domain.filter import Filter
from domain.lexical import AnalysedText, B, FieldStatistics, LexicalEvidence, TermCounts, encoded
from domain.memory import MemoryId
from domain.namespace import Scope

QUERY_TERMS_MAX = 64
"""Beyond this many, only the rarest terms of a query nominate."""

_NAMESPACES_IN_MATCH_MAX = 32
_WEIGHTS = "'{0.5, 0, 0, 1}'"
_COLUMNS = (
    "memory", "namespace_id", "own", "context", "own_length", "context_length", "document",
)  # fmt: skip

_SUM_NAMES = ("documents", "own_length", "context_length")

#: (memory number, namespace id, own, context or None when it is the same as own)
Document = tuple[int, int, str, str | None]


class PostgresLexicon:
    """Implements `domain.ports.Lexicon`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def put(self, texts: Mapping[MemoryId, AnalysedText], /) -> None:
        """Index or re-index live memories and keep the namespace's statistics exact."""
        added = self._session.added
        rows = [(id, *added[id][:2]) for id in texts if id in added]
        others = [id for id in texts if id not in added]
        if others:
            await lock_namespaces_of(self._session, others)
            rows += await self._session.rows(
                "SELECT id, number, namespace_id FROM memories"
                " WHERE id = ANY(%s::text[]) AND forgotten_at IS NULL",
                [others],
            )
        if len(rows) != len(texts):
            missing = sorted(set(texts) - {id for id, _, _ in rows})
            raise AssertionError(f"cannot index what is not live: {missing}")
        new = {_document(number, namespace, texts[id]) for id, number, namespace in rows}
        blank = self._session.without_terms
        known = [number for _, number, _ in rows if number not in blank]
        old = set(await _documents(self._session, known)) if known else set()
        blank.difference_update(number for _, number, _ in rows)
        change = _Change()
        await _take_out(self._session, old - new, change)
        await _bring_in(self._session, new - old, change)
        await change.apply(self._session)

    async def nominate(
        self, terms: Sequence[str], scope: Scope, filter: Filter, /, *, limit: int
    ) -> list[MemoryId]:
        """Return memories with any term: the rarer, the more often and the shorter, the better."""
        documents, length = await self._extent(scope)
        tokens = await self._rarest(set(map(encoded, terms)), scope)
        if not tokens:
            return []
        narrow = await self._few_namespaces(scope)
        within, scope_parameters = "true", list[object]()
        if narrow is None:
            within, scope_parameters = within_sql(scope)
        passes, parameters = filter_sql(filter)
        average = max(1.0, length / max(1, documents))
        rows = await self._session.rows(
            "SELECT m.id FROM memory_terms t JOIN memories m ON m.number = t.memory"
            " CROSS JOIN LATERAL (SELECT sum(w.worth * ts_rank("
            f"{_WEIGHTS}, t.document, w.term)) AS worth"
            " FROM unnest(%s::tsquery[], %s::float8[]) w (term, worth)"
            " WHERE t.document @@ w.term) found"
            f" WHERE t.document @@ %s::tsquery AND {within} AND ({passes})"
            " ORDER BY found.worth / (%s::float8 + %s::float8 * t.own_length) DESC, m.id LIMIT %s",
            [
                [query([token], None) for token, _ in tokens],
                [math.log(1 + documents / (count + 0.5)) for _, count in tokens],
                query([token for token, _ in tokens], narrow),
                *scope_parameters,
                *parameters,
                1 - B,
                B / average,
                limit,
            ],
        )
        return [MemoryId(id) for (id,) in rows]

    async def evidence(
        self, ids: Sequence[MemoryId], terms: Sequence[str], scope: Scope, /
    ) -> LexicalEvidence:
        """Return the scope's statistics and the term counts of `ids`."""
        wanted = {encoded(term): term for term in terms}
        inside, parameters = scope_sql(scope)
        row = await self._session.row(
            "SELECT coalesce(sum(documents), 0)::bigint, coalesce(sum(own_length), 0)::bigint,"
            f" coalesce(sum(context_length), 0)::bigint FROM namespaces WHERE {inside}",
            parameters,
        )
        assert row is not None
        documents, own_length, context_length = row
        known = await self._frequencies(wanted, scope)
        own = {wanted[term]: df for term, df, _ in known if df}
        context = {wanted[term]: df for term, _, df in known if df}
        return LexicalEvidence(
            FieldStatistics(documents, own_length, own),
            FieldStatistics(documents, context_length, context),
            await self._counts(ids, wanted),
        )

    async def _counts(
        self, ids: Sequence[MemoryId], wanted: dict[str, str]
    ) -> dict[MemoryId, tuple[TermCounts, TermCounts]]:
        rows = await self._session.rows(
            "SELECT m.id, t.own, t.context, t.own_length, t.context_length FROM memories m"
            " JOIN memory_terms t ON t.memory = m.number WHERE m.id = ANY(%s::text[])",
            [storable(ids)],
        )
        found: dict[MemoryId, tuple[TermCounts, TermCounts]] = {}
        for id, own, context, own_length, context_length in rows:
            counts = counts_of(own, wanted, own_length)
            found[MemoryId(id)] = (
                counts,
                counts if context is None else counts_of(context, wanted, context_length),
            )
        return found

    async def _extent(self, scope: Scope) -> tuple[int, int]:
        inside, parameters = scope_sql(scope)
        row = await self._session.row(
            "SELECT coalesce(sum(documents), 0)::bigint, coalesce(sum(own_length), 0)::bigint"
            f" FROM namespaces WHERE {inside}",
            parameters,
        )
        assert row is not None
        return row[0], row[1]

    async def _few_namespaces(self, scope: Scope) -> list[int] | None:
        """Return the namespaces that hold documents; None when they are many."""
        inside, parameters = scope_sql(scope)
        rows = await self._session.rows(
            f"SELECT id FROM namespaces WHERE {inside} AND documents > 0 LIMIT %s",
            [*parameters, _NAMESPACES_IN_MATCH_MAX + 1],
        )
        return [id for (id,) in rows] if len(rows) <= _NAMESPACES_IN_MATCH_MAX else None

    async def _rarest(self, tokens: Iterable[str], scope: Scope) -> list[tuple[str, int]]:
        known = [
            (token, int(max(own, context)))
            for token, own, context in await self._frequencies(tokens, scope)
        ]
        known.sort(key=lambda row: (row[1], row[0]))
        return known[:QUERY_TERMS_MAX]

    async def _frequencies(self, tokens: Iterable[str], scope: Scope) -> list[tuple[str, int, int]]:
        within, parameters = within_sql(scope, "namespace_id")
        rows = await self._session.rows(
            "SELECT term, sum(own_df)::bigint, sum(context_df)::bigint FROM lexical_terms"
            f" WHERE {within} AND term = ANY(%s::text[]) GROUP BY term",
            [*parameters, list(tokens)],
        )
        return [(term, own, context) for term, own, context in rows]


async def remove_terms(session: Session, numbers: Sequence[int]) -> None:
    """Take memories out of the index and its statistics; their counters must be held."""
    change = _Change()
    await _take_out(session, await _documents(session, numbers), change)
    await change.apply(session)


@dataclass(slots=True)
class _Tally:
    """What a change does to one namespace: document frequencies and sums, gains minus losses."""

    own: Counter[str] = field(default_factory=Counter)
    context: Counter[str] = field(default_factory=Counter)
    sums: list[int] = field(default_factory=lambda: [0, 0, 0])

    def count(self, own: Sequence[str], context: Sequence[str], sign: int) -> None:
        """Count one document in (1) or out (-1)."""
        add = Counter.update if sign > 0 else Counter.subtract
        own_terms = set(own)
        add(self.own, own_terms)
        add(self.context, own_terms if context is own else set(context))
        self.sums[0] += sign
        self.sums[1] += sign * len(own)
        self.sums[2] += sign * len(context)

    def frequencies(self) -> list[tuple[str, int, int]]:
        """Return the terms whose document frequencies differ, in order."""
        own, context = self.own, self.context
        terms = sorted(own.keys() | context.keys())
        return [(term, own[term], context[term]) for term in terms if own[term] or context[term]]


class _Change:
    """What a change does to the statistics of every namespace it touches."""

    def __init__(self) -> None:
        self._tallies: defaultdict[int, _Tally] = defaultdict(_Tally)

    def note(self, namespace: int, own: Sequence[str], context: Sequence[str], sign: int) -> None:
        """Count one document in (1) or out (-1)."""
        self._tallies[namespace].count(own, context, sign)

    async def apply(self, session: Session) -> None:
        """Write the differences; terms that nothing holds any more leave no row."""
        changed = [
            (namespace, *frequencies)
            for namespace, tally in sorted(self._tallies.items())
            for frequencies in tally.frequencies()
        ]
        if changed:
            await session.write(
                "INSERT INTO lexical_terms AS l (namespace_id, term, own_df, context_df)"
                " SELECT * FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bigint[])"
                " ON CONFLICT (namespace_id, term) DO UPDATE SET"
                " own_df = l.own_df + excluded.own_df,"
                " context_df = l.context_df + excluded.context_df",
                _columns_of(changed),
            )
        fewer = [(space, term) for space, term, own, context in changed if min(own, context) < 0]
        if fewer:
            await session.run(
                "DELETE FROM lexical_terms l USING unnest(%s::bigint[], %s::text[]) w (space, term)"
                " WHERE l.namespace_id = w.space AND l.term = w.term"
                " AND l.own_df <= 0 AND l.context_df <= 0",
                _columns_of(fewer),
            )
        for namespace, tally in self._tallies.items():
            for name, difference in zip(_SUM_NAMES, tally.sums, strict=True):
                session.counters.count(namespace, name, difference)


def _columns_of(rows: Sequence[tuple[int | str, ...]]) -> list[str]:
    """Return arrays: of namespaces, of terms, and of any numbers that follow."""
    spaces, terms, *rest = zip(*rows, strict=True)
    return [arrays.numbers(spaces), arrays.texts(terms), *map(arrays.numbers, rest)]


def _document(number: int, namespace: int, text: AnalysedText) -> Document:
    context = None if text.context == text.own else joined(text.context)
    return number, namespace, joined(text.own), context


async def _documents(session: Session, numbers: Sequence[int]) -> list[Document]:
    rows = await session.rows(
        "SELECT memory, namespace_id, own, context FROM memory_terms"
        " WHERE memory = ANY(%s::bigint[])",
        [list(numbers)],
    )
    return [(memory, namespace, own, context) for memory, namespace, own, context in rows]


async def _bring_in(session: Session, documents: Iterable[Document], change: _Change) -> None:
    rows = []
    for one in sorted(documents, key=_number):
        namespace, words, others = one[1], *_words(one)
        change.note(namespace, words, others, 1)
        lengths = (len(words), len(others))
        around = () if one[3] is None else others
        rows.append((*one, *lengths, document(namespace, words, around)))
    await session.insert("memory_terms", _COLUMNS, rows)


async def _take_out(session: Session, documents: Iterable[Document], change: _Change) -> None:
    ordered = sorted(documents, key=_number)
    for one in ordered:
        change.note(one[1], *_words(one), -1)
    if ordered:
        await session.run(
            "DELETE FROM memory_terms WHERE memory = ANY(%s::bigint[])",
            [[_number(one) for one in ordered]],
        )


def _words(document: Document) -> tuple[list[str], list[str]]:
    """Return the own words of a document, and those it has among its neighbours."""
    _, _, own, context = document
    words = own.split()
    return words, words if context is None else context.split()


def _number(document: Document) -> int:
    return document[0]
