"""The repositories of one transaction."""

from __future__ import annotations

from adapters.postgres.bodies import Bodies
from adapters.postgres.embeddings import PostgresEmbeddings
from adapters.postgres.feed import PostgresFeed
from adapters.postgres.fences import PostgresFences
from adapters.postgres.index_terms import PostgresIndexTerms
from adapters.postgres.jobs import PostgresErasures, PostgresJobs
from adapters.postgres.keys import PostgresApiKeys
from adapters.postgres.lexicon import PostgresLexicon
from adapters.postgres.links import PostgresLinks
from adapters.postgres.memories import PostgresMemories
from adapters.postgres.namespaces import PostgresNamespaces
from adapters.postgres.projections import PostgresProjections
from adapters.postgres.records import PostgresIdempotencyKeys, PostgresSettings
from adapters.postgres.session import Session
from adapters.postgres.versions import PostgresVersions
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


class PostgresTransaction:
    """Implements `domain.ports.Transaction`."""

    def __init__(self, session: Session, bodies: Bodies | None = None) -> None:
        self.memories: Memories = PostgresMemories(session, bodies)
        self.versions: Versions = PostgresVersions(session)
        self.links: Links = PostgresLinks(session)
        self.feed: Feed = PostgresFeed(session)
        self.lexicon: Lexicon = PostgresLexicon(session)
        self.terms: IndexTerms = PostgresIndexTerms(session)
        self.embeddings: Embeddings = PostgresEmbeddings(session)
        self.namespaces: Namespaces = PostgresNamespaces(session)
        self.idempotency: IdempotencyKeys = PostgresIdempotencyKeys(session)
        self.settings: Settings = PostgresSettings(session)
        self.projections: Projections = PostgresProjections(session)
        self.fences: Fences = PostgresFences(session)
        self.keys: ApiKeys = PostgresApiKeys(session)
        self.jobs: Jobs = PostgresJobs(session)
        self.erasures: Erasures = PostgresErasures(session)
