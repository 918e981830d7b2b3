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
    """What one kind of error becomes: an HTTP problem, a gRPC status, an exit code of a command.

    `grpc` is the name of a gRPC status code.
    """

    status: int
    title: str
    slug: str
    grpc: str
    exit_code: int = REFUSED


OUTCOMES: dict[type[SomaError], Outcome] = {
    errors.InvalidInput: Outcome(
        400, "The request is not valid", "invalid-input", "INVALID_ARGUMENT"
    ),
    errors.DimensionMismatch: Outcome(
        400, "The vector has the wrong dimension", "dimension-mismatch", "INVALID_ARGUMENT"
    ),
    errors.AccessDenied: Outcome(
        401, "A valid API key is required", "access-denied", "UNAUTHENTICATED"
    ),
    errors.Forbidden: Outcome(403, "Not allowed", "forbidden", "PERMISSION_DENIED"),
    errors.RateLimited: Outcome(429, "Too many requests", "rate-limited", "RESOURCE_EXHAUSTED"),
    errors.NotFound: Outcome(404, "Not found", "not-found", "NOT_FOUND"),
    errors.MemoryNotFound: Outcome(404, "No such memory", "memory-not-found", "NOT_FOUND"),
    errors.NamespaceNotFound: Outcome(404, "No such namespace", "namespace-not-found", "NOT_FOUND"),
    errors.KeyNotFound: Outcome(404, "No such API key", "key-not-found", "NOT_FOUND"),
    errors.LinkNotFound: Outcome(404, "No such link", "link-not-found", "NOT_FOUND"),
    errors.PathNotFound: Outcome(
        404, "No path between the memories", "path-not-found", "NOT_FOUND"
    ),
    errors.Conflict: Outcome(
        409, "The request contradicts the present state", "conflict", "FAILED_PRECONDITION"
    ),
    errors.JobNotFound: Outcome(404, "No such job", "job-not-found", "NOT_FOUND"),
    errors.IdempotencyConflict: Outcome(
        409,
        "The idempotency key was used with another request",
        "idempotency-conflict",
        "ALREADY_EXISTS",
    ),
    errors.VersionConflict: Outcome(412, "The memory has changed", "version-conflict", "ABORTED"),
    errors.LockLost: Outcome(409, "Another worker took the job over", "lock-lost", "ABORTED"),
    errors.TooLarge: Outcome(413, "Larger than the limit", "too-large", "INVALID_ARGUMENT"),
    errors.TooSlow: Outcome(
        408, "The request did not arrive in time", "too-slow", "DEADLINE_EXCEEDED"
    ),
    # 499 is nginx's number for it; no answer is sent, it is what counts and lines say.
    errors.CallerGone: Outcome(499, "The caller hung up", "caller-gone", "CANCELLED"),
    errors.Unavailable: Outcome(503, "Temporarily unavailable", "unavailable", "UNAVAILABLE"),
    errors.StoreUnavailable: Outcome(
        503, "The store does not answer", "store-unavailable", "UNAVAILABLE"
    ),
    errors.ChangeCollided: Outcome(
        503, "Too many changes at once: try again", "change-collided", "UNAVAILABLE"
    ),
    errors.JobCancelled: Outcome(409, "The job was cancelled", "job-cancelled", "ABORTED"),
    errors.JobWaits: Outcome(409, "The job waits for another one", "job-waits", "ABORTED"),
    errors.StoreNotEmpty: Outcome(
        409, "The store is not empty", "store-not-empty", "FAILED_PRECONDITION"
    ),
    errors.Overloaded: Outcome(503, "Too many requests at once", "overloaded", "UNAVAILABLE"),
    errors.EmbedderUnavailable: Outcome(
        503, "The embedder does not answer", "embedder-unavailable", "UNAVAILABLE"
    ),
    errors.RerankerUnavailable: Outcome(
        503, "The reranker does not answer", "reranker-unavailable", "UNAVAILABLE"
    ),
    errors.IndexUnavailable: Outcome(
        503, "The vector index does not answer", "index-unavailable", "UNAVAILABLE"
    ),
    errors.BrokerUnavailable: Outcome(
        503, "The event log does not answer", "broker-unavailable", "UNAVAILABLE"
    ),
    errors.CacheUnavailable: Outcome(
        503, "The cache does not answer", "cache-unavailable", "UNAVAILABLE"
    ),
    errors.DataDirectoryError: Outcome(
        500, "The data directory cannot be used", "data-directory", "INTERNAL"
    ),
    errors.DataDirectoryBusy: Outcome(
        503, "Another process owns the data directory", "data-directory-busy", "UNAVAILABLE"
    ),
    errors.DataDirectoryNewer: Outcome(
        500, "The data directory belongs to a newer version", "data-directory-newer", "INTERNAL"
    ),
    errors.DataDirectoryCorrupt: Outcome(
        500, "The database is damaged", "data-directory-corrupt", "DATA_LOSS"
    ),
    errors.BackupDamaged: Outcome(500, "The backup cannot be used", "backup-damaged", "DATA_LOSS"),
    errors.LanguageMismatch: Outcome(
        500,
        "The memories are analysed in another language",
        "language-mismatch",
        "FAILED_PRECONDITION",
        exit_code=MISUSED,
    ),
    errors.ConfigurationError: Outcome(
        500, "A setting is not usable", "configuration", "INTERNAL", exit_code=MISUSED
    ),
    errors.SomaError: Outcome(500, "Something went wrong", "internal", "INTERNAL"),
}


def outcome_of(error: SomaError) -> Outcome:
    """Return what an error becomes."""
    return outcome_of_kind(type(error))


def outcome_of_kind(kind: type[SomaError]) -> Outcome:
    """Return what errors of a kind become.

    An adapter may raise kinds of its own; they become what the nearest kind in the table becomes.
    """
    return next(
        OUTCOMES[base] for base in kind.__mro__ if issubclass(base, SomaError) and base in OUTCOMES
    )
