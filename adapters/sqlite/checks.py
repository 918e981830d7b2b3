"""Compare everything derived inside the database with the canonical rows."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator

from domain.ports import Finding

_FINDINGS_MAX = 1000

# (subject, statement): each row of a statement is one finding, already in words.
_QUERIES = (
    (
        "namespaces",
        "SELECT path || ' counts ' || memories || ' memories and holds ' || actual FROM"
        " (SELECT n.path, n.memories, (SELECT count(*) FROM memories m"
        " WHERE m.namespace_id = n.id AND m.forgotten_at IS NULL) AS actual FROM namespaces n)"
        " WHERE memories <> actual",
    ),
    (
        "namespaces",
        "SELECT n.path || ' counts ' || n.links || ' links and holds ' || ifnull(l.actual, 0)"
        " FROM namespaces n LEFT JOIN (SELECT namespace_id, count(*) AS actual FROM links"
        " GROUP BY namespace_id) l ON l.namespace_id = n.id WHERE n.links <> ifnull(l.actual, 0)",
    ),
    (
        "events",
        "SELECT n.path || ' is at ' || n.head || ' but its feed has ' || count(e.seq)"
        " || ' events from ' || ifnull(min(e.seq), 0) || ' to ' || ifnull(max(e.seq), 0)"
        " FROM namespaces n LEFT JOIN events e ON e.namespace_id = n.id GROUP BY n.id"
        " HAVING ifnull(max(e.seq), 0) <> n.head"
        " OR (n.head > 0 AND count(e.seq) <> n.head - min(e.seq) + 1)",
    ),
    (
        "projections",
        "SELECT p.name || ' stands at ' || p.seq || ' of ' || n.path || ', which is at ' || n.head"
        " FROM projections p JOIN namespaces n ON n.id = p.namespace_id WHERE p.seq > n.head"
        " AND p.epoch = (SELECT value FROM settings WHERE name = 'epoch')",
    ),
    (
        "embeddings",
        "SELECT 'a ' || e.role || ' vector belongs to no live memory: ' || m.id"
        " FROM embeddings e JOIN memories m ON m.number = e.memory"
        " WHERE m.forgotten_at IS NOT NULL",
    ),
    (
        "embedding_tasks",
        "SELECT 'a task belongs to no live memory: ' || m.id"
        " FROM embedding_tasks t JOIN memories m ON m.number = t.memory"
        " WHERE m.forgotten_at IS NOT NULL",
    ),
    (
        "links",
        "SELECT 'a link has an end that is not live: ' || l.source || ' to ' || l.target"
        " FROM links l JOIN memories s ON s.id = l.source JOIN memories t ON t.id = l.target"
        " WHERE s.forgotten_at IS NOT NULL OR t.forgotten_at IS NOT NULL",
    ),
    (
        "lexicon",
        "SELECT 'a live memory is not indexed: ' || m.id FROM memories m"
        " LEFT JOIN memory_terms t ON t.memory = m.number"
        " WHERE m.forgotten_at IS NULL AND t.memory IS NULL",
    ),
    (
        "lexicon",
        "SELECT 'terms belong to no live memory: ' || m.id"
        " FROM memory_terms t JOIN memories m ON m.number = t.memory"
        " WHERE m.forgotten_at IS NOT NULL OR m.namespace_id <> t.namespace_id",
    ),
)


def find_inconsistencies(connection: sqlite3.Connection) -> list[Finding]:
    """Check the file's structure and every derived number, in one snapshot."""
    findings = [
        Finding("database", str(message))
        for (message,) in connection.execute(f"PRAGMA quick_check({_FINDINGS_MAX})")
        if message != "ok"
    ]
    findings += [
        Finding("database", f"row {row} of {table} refers to a row of {parent} that is not there")
        for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check")
    ]
    for subject, statement in _QUERIES:
        rows = connection.execute(statement).fetchmany(_FINDINGS_MAX)
        findings += [Finding(subject, str(detail)) for (detail,) in rows]
    namespaces = connection.execute("SELECT id, path FROM namespaces ORDER BY path").fetchall()
    for namespace, path in namespaces:
        findings += _lexical_findings(connection, namespace, path)
    return findings


def find_damage_in_index(connection: sqlite3.Connection) -> list[Finding]:
    """Have FTS5 compare its index with the terms. Needs the writer, though nothing is written."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            "INSERT INTO lexical_index (lexical_index, rank) VALUES ('integrity-check', 1)"
        )
    except sqlite3.DatabaseError as error:
        return [Finding("lexicon", f"the full-text index is damaged: {error}")]
    finally:
        connection.execute("ROLLBACK")
    return []


def _lexical_findings(
    connection: sqlite3.Connection, namespace: int, path: str
) -> Iterator[Finding]:
    """Count one namespace's terms anew; holds its vocabulary in memory."""
    documents, own, context = 0, Counter[str](), Counter[str]()
    sums = [0, 0]
    rows = connection.execute(
        "SELECT own, ifnull(context, own), own_length, context_length FROM memory_terms"
        " JOIN memories ON number = memory WHERE memories.namespace_id = ?",
        [namespace],
    )
    for own_text, context_text, own_length, context_length in rows:
        documents += 1
        lengths = [len(own_text.split()), len(context_text.split())]
        if lengths != [own_length, context_length]:
            yield Finding("lexicon", f"a memory of {path} has terms of another length than noted")
        sums = [total + length for total, length in zip(sums, lengths, strict=True)]
        own.update(set(own_text.split()))
        context.update(set(context_text.split()))
    noted = connection.execute(
        "SELECT documents, own_length, context_length FROM namespaces WHERE id = ?", [namespace]
    ).fetchone()
    if tuple(noted) != (documents, *sums):
        yield Finding("lexicon", f"{path} notes sums {noted}, they are {(documents, *sums)}")
    stored = {
        term: (own_df, context_df)
        for term, own_df, context_df in connection.execute(
            "SELECT term, own_df, context_df FROM lexical_terms WHERE namespace_id = ?", [namespace]
        )
    }
    actual = {term: (own[term], context[term]) for term in own.keys() | context.keys()}
    wrong = [term for term in stored.keys() | actual.keys() if stored.get(term) != actual.get(term)]
    if wrong:
        yield Finding("lexicon", f"{path} has wrong document frequencies for {len(wrong)} terms")
