"""Compare everything derived inside the database with the canonical rows."""

from __future__ import annotations

from collections import Counter

from adapters.postgres.session import Session
from adapters.postgres.terms import space_lexeme
from domain.ports import Finding

_FINDINGS_MAX = 1000

# (subject, statement): each row of a statement is one finding, already in words.
_QUERIES = (
    (
        "namespaces",
        "SELECT n.path || ' counts ' || n.memories || ' memories and holds '"
        " || coalesce(m.actual, 0) FROM namespaces n LEFT JOIN (SELECT namespace_id,"
        " count(*) AS actual FROM memories WHERE forgotten_at IS NULL GROUP BY namespace_id) m"
        " ON m.namespace_id = n.id WHERE n.memories <> coalesce(m.actual, 0)",
    ),
    (
        "namespaces",
        "SELECT n.path || ' counts ' || n.links || ' links and holds ' || coalesce(l.actual, 0)"
        " FROM namespaces n LEFT JOIN (SELECT namespace_id, count(*) AS actual FROM links"
        " GROUP BY namespace_id) l ON l.namespace_id = n.id WHERE n.links <> coalesce(l.actual, 0)",
    ),
    (
        "events",
        "SELECT n.path || ' is at ' || n.head || ' but its feed has ' || count(e.seq)"
        " || ' events from ' || coalesce(min(e.seq), 0) || ' to ' || coalesce(max(e.seq), 0)"
        " FROM namespaces n LEFT JOIN events e ON e.namespace_id = n.id GROUP BY n.id"
        " HAVING coalesce(max(e.seq), 0) <> n.head"
        " OR (n.head > 0 AND count(e.seq) <> n.head - min(e.seq) + 1)",
    ),
    (
        "projections",
        "SELECT p.name || ' stands at ' || p.seq || ' of ' || n.path || ', which is at ' || n.head"
        " FROM projections p JOIN namespaces n ON n.id = p.namespace_id WHERE p.seq > n.head"
        " AND p.epoch = (SELECT value FROM settings WHERE name = 'epoch')",
    ),
    (
        "projections",
        "SELECT n.path || ' has moved without a note for the projections' FROM namespaces n"
        " LEFT JOIN feed_moves m ON m.namespace_id = n.id"
        " WHERE n.head > 0 AND m.namespace_id IS NULL",
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


async def find_inconsistencies(session: Session) -> list[Finding]:
    """Check every derived number in one snapshot; the structure is PostgreSQL's to guard."""
    findings: list[Finding] = []
    for subject, statement in _QUERIES:
        rows = await session.rows(f"{statement} LIMIT {_FINDINGS_MAX}")
        findings += [Finding(subject, str(detail)) for (detail,) in rows]
    namespaces = await session.rows(
        "SELECT id, path, documents, own_length, context_length FROM namespaces ORDER BY path"
    )
    for namespace, path, *noted in namespaces:
        findings += await _lexical_findings(session, namespace, path, tuple(noted))
    return findings


async def _lexical_findings(
    session: Session, namespace: int, path: str, noted: tuple[int, ...]
) -> list[Finding]:
    """Count one namespace's terms anew; holds its vocabulary in memory."""
    findings: list[Finding] = []
    documents, own, context = 0, Counter[str](), Counter[str]()
    sums = [0, 0]
    rows = await session.rows(
        "SELECT own, coalesce(context, own), own_length, context_length,"
        " tsvector_to_array(document) FROM memory_terms WHERE namespace_id = %s",
        [namespace],
    )
    for own_text, context_text, own_length, context_length, lexemes in rows:
        documents += 1
        own_words, context_words = own_text.split(), context_text.split()
        lengths = [len(own_words), len(context_words)]
        if lengths != [own_length, context_length]:
            findings.append(
                Finding("lexicon", f"a memory of {path} has terms of another length than noted")
            )
        if set(lexemes) != {*own_words, *context_words, space_lexeme(namespace)}:
            findings.append(Finding("lexicon", f"a memory of {path} is indexed by other terms"))
        sums = [total + length for total, length in zip(sums, lengths, strict=True)]
        own.update(set(own_words))
        context.update(set(context_words))
    if noted != (documents, *sums):
        findings.append(
            Finding("lexicon", f"{path} notes sums {noted}, they are {(documents, *sums)}")
        )
    stored = {
        term: (own_df, context_df)
        for term, own_df, context_df in await session.rows(
            "SELECT term, own_df, context_df FROM lexical_terms WHERE namespace_id = %s",
            [namespace],
        )
    }
    actual = {term: (own[term], context[term]) for term in own.keys() | context.keys()}
    wrong = [term for term in stored.keys() | actual.keys() if stored.get(term) != actual.get(term)]
    if wrong:
        findings.append(
            Finding("lexicon", f"{path} has wrong document frequencies for {len(wrong)} terms")
        )
    return findings
