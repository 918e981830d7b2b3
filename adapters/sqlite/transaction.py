"""The repositories of one transaction."""

from __future__ import annotations

from adapters.sqlite.embeddings import SqliteEmbeddings
from adapters.sqlite.feed import SqliteFeed
from adapters.sqlite.fences import SqliteFences
from adapters.sqlite.index_terms import SqliteIndexTerms
from adapters.sqlite.jobs import SqliteErasures, SqliteJobs
from adapters.sqlite.keys import SqliteApiKeys
from adapters.sqlite.lexicon import SqliteLexicon
from adapters.sqlite.links import SqliteLinks
from adapters.sqlite.memories import SqliteMemories
from adapters.sqlite.namespaces import SqliteNamespaces
from adapters.sqlite.projections import SqliteProjections
from adapters.sqlite.records import SqliteIdempotencyKeys, SqliteSettings
from adapters.sqlite.session import Session
from adapters.sqlite.versions import SqliteVersions
from domain.ports import (
    ApiKeys,
    Embeddings,
    Erasures,
    Feed,
    Fences,
    IdempotencyKeys,
    IndexTerms,
    Jobs,
    Lexicon,
    Links,
    Memories,
    Namespaces,
    Projections,
    Settings,
    Versions,
)


class SqliteTransaction:
    """Implements `domain.ports.Transaction`."""

    def __init__(self, session: Session) -> None:
        self.memories: Memories = SqliteMemories(session)
        self.versions: Versions = SqliteVersions(session)
        self.links: Links = SqliteLinks(session)
        self.feed: Feed = SqliteFeed(session)
        self.lexicon: Lexicon = SqliteLexicon(session)
        self.terms: IndexTerms = SqliteIndexTerms(session)
        self.embeddings: Embeddings = SqliteEmbeddings(session)
        self.namespaces: Namespaces = SqliteNamespaces(session)
        self.idempotency: IdempotencyKeys = SqliteIdempotencyKeys(session)
        self.settings: Settings = SqliteSettings(session)
        self.projections: Projections = SqliteProjections(session)
        self.fences: Fences = SqliteFences(session)
        self.keys: ApiKeys = SqliteApiKeys(session)
        self.jobs: Jobs = SqliteJobs(session)
        self.erasures: Erasures = SqliteErasures(session)
