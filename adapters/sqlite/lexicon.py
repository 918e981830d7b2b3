# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""The lexical index: FTS5 nominates, exact statistics let the domain's BM25 rank."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from adapters.sqlite.filters import filter_sql
from adapters.sqlite.rows import list_json, scope_sql, within_sql
from adapters.sqlite.session import Session
from adapters.sqlite.terms import counts_of, joined, match_expression
from domain.filter import Filter
from domain.lexical import AnalysedText, FieldStatistics, LexicalEvidence, TermCounts, encoded
from domain.memory import MemoryId
from domain.namespace import Scope

QUERY_TERMS_MAX = 64
"""Beyond this many, only the rarest terms of a query nominate."""

_NAMESPACES_IN_MATCH_MAX = 32
_CONTEXT_WEIGHT = 0.5

#: (memory number, namespace id, own, context or None when it is the same as own)
Document = tuple[int, int, str, str | None]


class SqliteLexicon:
    """Implements `domain.ports.Lexicon`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def put(self, texts: Mapping[MemoryId, AnalysedText], /) -> None:
        """Index or re-index live memories and keep the namespace's statistics exact."""
        await self._session.run(_put, texts)

    async def nominate(
        self, terms: Sequence[str], scope: Scope, filter: Filter, /, *, limit: int
    ) -> list[MemoryId]:
        """Return memories with any term, best first by FTS5's BM25, ties by id."""
        return await self._session.run(_nominate, terms, scope, filter, limit)

    async def evidence(
        self, ids: Sequence[MemoryId], terms: Sequence[str], scope: Scope, /
    ) -> LexicalEvidence:
        """Return the scope's statistics and the term counts of `ids`."""
        return await self._session.run(_evidence, ids, terms, scope)


def remove_terms(connection: sqlite3.Connection, numbers: str) -> None:
    """Take memories (their numbers as JSON) out of the index and its statistics."""
    _take_out(connection, _documents(connection, numbers), _Change())


def forget_deleted_terms(connection: sqlite3.Connection) -> None:
    """Merge the full-text index into one segment, without the terms of deleted rows.

    Until then FTS5 keeps them (its secure-delete option is newer than SQLite 3.40). Costs a
    rewrite of the index, so only an erasure asks for it, once, before its commit.
    """
    connection.execute("INSERT INTO lexical_index (lexical_index) VALUES ('optimize')")


@dataclass(slots=True)
class _Tally:
    """What a change does to one namespace: document frequencies and sums, gains minus losses."""

    own: Counter[str] = field(default_factory=Counter)
    context: Counter[str] = field(default_factory=Counter)
    sums: list[int] = field(default_factory=lambda: [0, 0, 0])

    def count(self, own: str, context: str | None, sign: int) -> None:
        """Count one document in (1) or out (-1)."""
        own_words = own.split()
        context_words = own_words if context is None else context.split()
        add = Counter.update if sign > 0 else Counter.subtract
        add(self.own, set(own_words))
        add(self.context, set(context_words))
        self.sums[0] += sign
        self.sums[1] += sign * len(own_words)
        self.sums[2] += sign * len(context_words)


class _Change:
    """What a change does to the statistics of every namespace it touches."""

    def __init__(self) -> None:
        self._tallies: defaultdict[int, _Tally] = defaultdict(_Tally)

    def count(self, document: Document, sign: int) -> None:
        """Count one document in (1) or out (-1)."""
        _, namespace, own, context = document
        self._tallies[namespace].count(own, context, sign)

    def apply(self, connection: sqlite3.Connection) -> None:
        """Write the differences; terms that nothing holds any more leave no row."""
        for namespace, tally in self._tallies.items():
            changed = [
                (namespace, term, tally.own[term], tally.context[term])
                for term in sorted(tally.own.keys() | tally.context.keys())
                if tally.own[term] or tally.context[term]
            ]
            connection.executemany(
                "INSERT INTO lexical_terms (namespace_id, term, own_df, context_df)"
                " VALUES (?, ?, ?, ?) ON CONFLICT (namespace_id, term) DO UPDATE SET"
                " own_df = own_df + excluded.own_df, context_df = context_df + excluded.context_df",
                changed,
            )
            connection.executemany(
                "DELETE FROM lexical_terms"
                " WHERE namespace_id = ? AND term = ? AND own_df <= 0 AND context_df <= 0",
                [(space, term) for space, term, own, context in changed if own < 0 or context < 0],
            )
            connection.execute(
                "UPDATE namespaces SET documents = documents + ?, own_length = own_length + ?,"
                " context_length = context_length + ? WHERE id = ?",
                [*tally.sums, namespace],
            )


def _put(connection: sqlite3.Connection, texts: Mapping[MemoryId, AnalysedText]) -> None:
    rows = connection.execute(
        "SELECT m.id, m.number, m.namespace_id FROM json_each(?) w"
        " CROSS JOIN memories m ON m.id = w.value WHERE m.forgotten_at IS NULL",
        [list_json(texts)],
    ).fetchall()
    if len(rows) != len(texts):
        missing = sorted(set(texts) - {id for id, _, _ in rows})
        raise AssertionError(f"cannot index what is not live: {missing}")
    new = {_document(number, namespace, texts[id]) for id, number, namespace in rows}
    old = set(_documents(connection, list_json(str(number) for _, number, _ in rows)))
    change = _Change()
    _take_out(connection, old - new, change, apply=False)
    _bring_in(connection, new - old, change)
    change.apply(connection)


def _document(number: int, namespace: int, text: AnalysedText) -> Document:
    context = None if text.context == text.own else joined(text.context)
    return number, namespace, joined(text.own), context


def _documents(connection: sqlite3.Connection, numbers: str) -> list[Document]:
    return connection.execute(
        "SELECT memory, namespace_id, own, context FROM memory_terms"
        " WHERE memory IN (SELECT CAST(value AS INTEGER) FROM json_each(?))",
        [numbers],
    ).fetchall()


def _bring_in(
    connection: sqlite3.Connection, documents: Iterable[Document], change: _Change
) -> None:
    ordered = sorted(documents)
    for document in ordered:
        change.count(document, 1)
    connection.executemany(
        "INSERT INTO memory_terms (memory, namespace_id, own, context, own_length, context_length)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [
            (*document, own := len(document[2].split()), _context_length(document[3], own))
            for document in ordered
        ],
    )
    connection.executemany(
        "INSERT INTO lexical_index (rowid, scope, own, context)"
        " VALUES (?1, 'n' || ?2, ?3, ifnull(?4, ''))",
        ordered,
    )


def _context_length(context: str | None, own_length: int) -> int:
    return own_length if context is None else len(context.split())


def _take_out(
    connection: sqlite3.Connection,
    documents: Iterable[Document],
    change: _Change,
    *,
    apply: bool = True,
) -> None:
    ordered = sorted(documents)
    for document in ordered:
        change.count(document, -1)
    # The index has no copy of the text: it has to be told what to take out.
    connection.executemany(
        "INSERT INTO lexical_index (lexical_index, rowid, scope, own, context)"
        " VALUES ('delete', ?1, 'n' || ?2, ?3, ifnull(?4, ''))",
        ordered,
    )
    connection.executemany(
        "DELETE FROM memory_terms WHERE memory = ?", [(document[0],) for document in ordered]
    )
    if apply:
        change.apply(connection)


def _nominate(
    connection: sqlite3.Connection,
    terms: Sequence[str],
    scope: Scope,
    filter: Filter,
    limit: int,
) -> list[MemoryId]:
    tokens = _rarest(connection, list(dict.fromkeys(map(encoded, terms))), scope)
    namespaces = _namespaces(connection, scope)
    if not tokens or not namespaces:
        return []
    within, scope_parameters = "1", list[object]()
    narrow: list[int] | None = namespaces
    if len(namespaces) > _NAMESPACES_IN_MATCH_MAX:
        narrow = None
        within, scope_parameters = within_sql(scope)
    passes, parameters = filter_sql(filter)
    rows = connection.execute(
        "SELECT m.id FROM lexical_index CROSS JOIN memories m ON m.number = lexical_index.rowid"
        f" WHERE lexical_index MATCH ? AND {within} AND ({passes})"
        f" ORDER BY bm25(lexical_index, 0.0, 1.0, {_CONTEXT_WEIGHT}), m.id LIMIT ?",
        [match_expression(tokens, narrow), *scope_parameters, *parameters, limit],
    )
    return [MemoryId(id) for (id,) in rows]


def _namespaces(connection: sqlite3.Connection, scope: Scope) -> list[int]:
    inside, parameters = scope_sql(scope)
    rows = connection.execute(
        f"SELECT id FROM namespaces WHERE {inside} AND documents > 0", parameters
    )
    return [id for (id,) in rows]


def _rarest(connection: sqlite3.Connection, tokens: list[str], scope: Scope) -> list[str]:
    if len(tokens) <= QUERY_TERMS_MAX:
        return tokens
    known = _frequencies(connection, tokens, scope)
    known.sort(key=lambda row: (row[1] + row[2], row[0]))
    return [token for token, _, _ in known[:QUERY_TERMS_MAX]]


def _frequencies(
    connection: sqlite3.Connection, tokens: Iterable[str], scope: Scope
) -> list[tuple[str, int, int]]:
    within, parameters = within_sql(scope, "namespace_id")
    return connection.execute(
        f"SELECT term, sum(own_df), sum(context_df) FROM lexical_terms WHERE {within}"
        " AND term IN (SELECT value FROM json_each(?)) GROUP BY term",
        [*parameters, list_json(tokens)],
    ).fetchall()


def _evidence(
    connection: sqlite3.Connection, ids: Sequence[MemoryId], terms: Sequence[str], scope: Scope
) -> LexicalEvidence:
    wanted = {encoded(term): term for term in terms}
    inside, parameters = scope_sql(scope)
    documents, own_length, context_length = connection.execute(
        "SELECT ifnull(sum(documents), 0), ifnull(sum(own_length), 0),"
        f" ifnull(sum(context_length), 0) FROM namespaces WHERE {inside}",
        parameters,
    ).fetchone()
    known = _frequencies(connection, wanted, scope)
    own = {wanted[term]: df for term, df, _ in known if df}
    context = {wanted[term]: df for term, _, df in known if df}
    return LexicalEvidence(
        FieldStatistics(documents, own_length, own),
        FieldStatistics(documents, context_length, context),
        _counts(connection, ids, wanted),
    )


def _counts(
    connection: sqlite3.Connection, ids: Sequence[MemoryId], wanted: dict[str, str]
) -> dict[MemoryId, tuple[TermCounts, TermCounts]]:
    rows = connection.execute(
        "SELECT m.id, t.own, t.context, t.own_length, t.context_length FROM json_each(?) w"
        " CROSS JOIN memories m ON m.id = w.value CROSS JOIN memory_terms t ON t.memory = m.number",
        [list_json(ids)],
    )
    found: dict[MemoryId, tuple[TermCounts, TermCounts]] = {}
    for id, own, context, own_length, context_length in rows:
        counts = counts_of(own, wanted, own_length)
        found[id] = (
            counts,
            counts if context is None else counts_of(context, wanted, context_length),
        )
    return found
