"""How every refusal looks from outside: one table for all doors."""

from __future__ import annotations

from dataclasses import dataclass

from domain import errors
from domain.errors import SomaError

DONE = 0
REFUSED = 1
MISUSED = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one kind of error becomes: an HTTP problem, and an exit code of a command."""

    status: int
    title: str
    slug: str
    exit_code: int = REFUSED


OUTCOMES: dict[type[SomaError], Outcome] = {
    errors.InvalidInput: Outcome(400, "The request is not valid", "invalid-input"),
    errors.DimensionMismatch: Outcome(
        400, "The vector has the wrong dimension", "dimension-mismatch"
    ),
    errors.AccessDenied: Outcome(401, "A valid API key is required", "access-denied"),
    errors.NotFound: Outcome(404, "Not found", "not-found"),
    errors.MemoryNotFound: Outcome(404, "No such memory", "memory-not-found"),
    errors.NamespaceNotFound: Outcome(404, "No such namespace", "namespace-not-found"),
    errors.LinkNotFound: Outcome(404, "No such link", "link-not-found"),
    errors.PathNotFound: Outcome(404, "No path between the memories", "path-not-found"),
    errors.Conflict: Outcome(409, "The request contradicts the present state", "conflict"),
    errors.IdempotencyConflict: Outcome(
        409, "The idempotency key was used with another request", "idempotency-conflict"
    ),
    errors.VersionConflict: Outcome(412, "The memory has changed", "version-conflict"),
    errors.LockLost: Outcome(409, "Another worker took the job over", "lock-lost"),
    errors.TooLarge: Outcome(413, "Larger than the limit", "too-large"),
    errors.Unavailable: Outcome(503, "Temporarily unavailable", "unavailable"),
    errors.Overloaded: Outcome(503, "Too many requests at once", "overloaded"),
    errors.StoreUnavailable: Outcome(503, "The store does not answer", "store-unavailable"),
    errors.ChangeCollided: Outcome(503, "Too many changes at once: try again", "change-collided"),
    errors.EmbedderUnavailable: Outcome(
        503, "The embedder does not answer", "embedder-unavailable"
    ),
    errors.RerankerUnavailable: Outcome(
        503, "The reranker does not answer", "reranker-unavailable"
    ),
    errors.IndexUnavailable: Outcome(503, "The vector index does not answer", "index-unavailable"),
    errors.BrokerUnavailable: Outcome(503, "The event log does not answer", "broker-unavailable"),
    errors.CacheUnavailable: Outcome(503, "The cache does not answer", "cache-unavailable"),
    errors.DataDirectoryError: Outcome(500, "The data directory cannot be used", "data-directory"),
    errors.DataDirectoryBusy: Outcome(
        503, "Another process owns the data directory", "data-directory-busy"
    ),
    errors.DataDirectoryNewer: Outcome(
        500, "The data directory belongs to a newer version", "data-directory-newer"
    ),
    errors.DataDirectoryCorrupt: Outcome(500, "The database is damaged", "data-directory-corrupt"),
    errors.ConfigurationError: Outcome(
        500, "A setting is not usable", "configuration", exit_code=MISUSED
    ),
    errors.SomaError: Outcome(500, "Something went wrong", "internal"),
}


def outcome_of(error: SomaError) -> Outcome:
    """Return what an error becomes."""
    return OUTCOMES[type(error)]
