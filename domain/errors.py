"""Everything Soma refuses or cannot do.

SomaError
├── InvalidInput                 the request itself is wrong; names the field
│   └── DimensionMismatch
├── NotFound
│   ├── MemoryNotFound
│   ├── NamespaceNotFound
│   ├── LinkNotFound
│   ├── PathNotFound
│   └── JobNotFound
├── Conflict
│   ├── VersionConflict          somebody else changed the memory first
│   ├── LockLost                 somebody else took the job over
│   ├── IdempotencyConflict      the key was used with another request
│   ├── JobCancelled             somebody asked for the end of the job
│   ├── JobWaits                 the job is queued behind another of its kind
│   └── StoreNotEmpty            a restore would replace what is there
├── AccessDenied                 no valid key
├── TooLarge                     a configured limit is exceeded
├── TooSlow                      the request's body did not arrive in time
├── CallerGone                   whoever asked hung up before the body was there
├── Unavailable                  something outside does not answer
│   ├── Overloaded               too many requests at once: nothing was begun
│   ├── StoreUnavailable
│   │   └── ChangeCollided        two changes got in each other's way: this one left no trace
│   ├── EmbedderUnavailable
│   ├── RerankerUnavailable      recall keeps the order it has
│   ├── IndexUnavailable         the vector index; recall goes on without it
│   ├── CacheUnavailable         the cache; it is never raised to a caller, only reported
│   └── BrokerUnavailable        the event log; events wait in the store
├── DataDirectoryError           the data directory cannot be used as it is
│   ├── DataDirectoryBusy
│   ├── DataDirectoryNewer
│   └── DataDirectoryCorrupt
├── BackupDamaged                a backup is not what was written
└── ConfigurationError
"""

from __future__ import annotations


class SomaError(Exception):
    """Something went wrong that Soma knows how to name."""


class InvalidInput(SomaError):
    """The request is not valid."""

    def __init__(self, field: str, reason: str) -> None:
        """`field` is a path such as `memories[3].content`; `reason` completes the sentence."""
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason

    def within(self, prefix: str) -> InvalidInput:
        """Return the same refusal, seen from an enclosing object."""
        return InvalidInput(f"{prefix}.{self.field}", self.reason)

    def without(self, prefix: str) -> InvalidInput:
        """Return the same refusal, seen from the enclosed object."""
        return InvalidInput(self.field.removeprefix(f"{prefix}."), self.reason)


class DimensionMismatch(InvalidInput):
    """A vector does not have the dimension of the installed embedding model."""

    def __init__(self, field: str, *, expected: int, actual: int) -> None:
        super().__init__(field, f"has {actual} dimensions, the embedding model has {expected}")
        self.expected = expected
        self.actual = actual

    def within(self, prefix: str) -> DimensionMismatch:
        return DimensionMismatch(
            f"{prefix}.{self.field}", expected=self.expected, actual=self.actual
        )

    def without(self, prefix: str) -> DimensionMismatch:
        field = self.field.removeprefix(f"{prefix}.")
        return DimensionMismatch(field, expected=self.expected, actual=self.actual)


class NotFound(SomaError):
    """What was asked for does not exist."""


class MemoryNotFound(NotFound):
    """No such memory, or it was forgotten."""

    def __init__(self, memory_id: str) -> None:
        super().__init__(f"no memory {memory_id}")
        self.memory_id = memory_id


class NamespaceNotFound(NotFound):
    """No such namespace."""

    def __init__(self, namespace: str) -> None:
        super().__init__(f"no namespace {namespace!r}")
        self.namespace = namespace


class KeyNotFound(NotFound):
    """No such API key."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"no key {key_id!r}")


class LinkNotFound(NotFound):
    """No such link."""

    def __init__(self, source: str, target: str, link_type: str) -> None:
        super().__init__(f"no link {link_type!r} from {source} to {target}")


class PathNotFound(NotFound):
    """No path leads from one memory to the other."""

    def __init__(self, source: str, target: str) -> None:
        super().__init__(f"no path from {source} to {target}")


class JobNotFound(NotFound):
    """No such job."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"no job {job_id}")
        self.job_id = job_id


class Conflict(SomaError):
    """The request contradicts the present state."""


class VersionConflict(Conflict):
    """The memory has changed since the caller read it."""

    def __init__(self, memory_id: str, *, expected: int, actual: int) -> None:
        super().__init__(f"memory {memory_id} is at version {actual}, not {expected}")
        self.expected = expected
        self.actual = actual


class IdempotencyConflict(Conflict):
    """The idempotency key was used before with another request."""

    def __init__(self, key: str) -> None:
        super().__init__(f"idempotency key {key!r} was used with a different request")


class LockLost(Conflict):
    """Another worker has taken over the job whose lock was held here."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the lock {name!r} was taken over")
        self.name = name


class JobCancelled(Conflict):
    """The job was cancelled while it ran."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"the job {job_id} was cancelled")
        self.job_id = job_id


class JobWaits(Conflict):
    """Another job of the same kind runs; this one follows it."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"the job {job_id} waits for another of its kind to end")
        self.job_id = job_id


class StoreNotEmpty(Conflict):
    """A restore would replace what the store holds."""


class AccessDenied(SomaError):
    """There is no key, or none that is known, works and has not expired: which, is not said."""

    def __init__(self) -> None:
        super().__init__("a valid API key is required")


class Forbidden(SomaError):
    """The caller is known and may not do this; whether what they asked for exists is not said."""


class RateLimited(SomaError):
    """The caller has made too many requests; `retry_seconds` until there is room again."""

    def __init__(self, *, limit: int, window_seconds: float, retry_seconds: float) -> None:
        super().__init__(f"more than {limit} requests in {window_seconds:g} seconds")
        self.limit = limit
        self.window_seconds = window_seconds
        self.retry_seconds = retry_seconds


class TooLarge(SomaError):
    """A configured limit is exceeded."""

    def __init__(self, field: str, *, limit: int, unit: str) -> None:
        super().__init__(f"{field}: larger than the limit of {limit} {unit}")
        self.field = field
        self.limit = limit
        self.unit = unit

    def within(self, prefix: str) -> TooLarge:
        """Return the same refusal, seen from an enclosing object."""
        return TooLarge(f"{prefix}.{self.field}", limit=self.limit, unit=self.unit)

    def without(self, prefix: str) -> TooLarge:
        """Return the same refusal, seen from the enclosed object."""
        field = self.field.removeprefix(f"{prefix}.")
        return TooLarge(field, limit=self.limit, unit=self.unit)


class TooSlow(SomaError):
    """The body of a request, or the next piece of it, did not arrive in time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"body: did not arrive within {seconds:g} seconds")


class CallerGone(SomaError):
    """The caller hung up before the body of the request was there: nobody hears the answer."""


class Unavailable(SomaError):
    """Something Soma depends on does not answer."""


class Overloaded(Unavailable):
    """More requests at once than the process takes in; nothing of this one was begun."""


class StoreUnavailable(Unavailable):
    """The canonical store does not answer."""


class ChangeCollided(StoreUnavailable):
    """Two changes got in each other's way; this one left no trace and can be made again."""


class EmbedderUnavailable(Unavailable):
    """The embedder does not answer."""


class RerankerUnavailable(Unavailable):
    """The reranker does not answer."""


class IndexUnavailable(Unavailable):
    """The vector index does not answer, or is too far behind to be worth asking."""


class CacheUnavailable(Unavailable):
    """The cache, which also counts rate limits and keeps locks, does not answer."""


class BrokerUnavailable(Unavailable):
    """The event log does not answer."""


class DataDirectoryError(SomaError):
    """The data directory cannot be used as it is."""


class DataDirectoryBusy(DataDirectoryError):
    """Another process owns the data directory and does not answer on its socket."""


class DataDirectoryNewer(DataDirectoryError):
    """The data directory was written by a newer version of Soma."""


class DataDirectoryCorrupt(DataDirectoryError):
    """The database in the data directory is damaged."""


class BackupDamaged(SomaError):
    """A backup is incomplete, changed, or of an unknown format."""


class LanguageMismatch(SomaError):
    """The memories were analysed in another language than the settings name."""

    def __init__(self, stored: str, named: str) -> None:
        """Both languages by their names in the settings."""
        super().__init__(
            f"the memories are analysed as {stored}, SOMA_LANGUAGE says {named}: set it back, or"
            f" stop every process and run `soma reconcile` with SOMA_LANGUAGE={named}"
        )


class ConfigurationError(SomaError):
    """A setting is unknown or has an unusable value."""
