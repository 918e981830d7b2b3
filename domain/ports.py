"""What the core needs from the world, in the core's words.

Times are timezone-aware UTC. Every method that talks to the outside has a timeout in its adapter
and raises `StoreUnavailable` or `EmbedderUnavailable` when nothing answers.
"""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

from domain.access import ApiKey
from domain.backup import Manifest, StoreFacts
from domain.events import Event, FeedPosition
from domain.filter import Filter
from domain.job import Job, JobCount, JobKind, JobState
from domain.lexical import AnalysedText, LexicalEvidence
from domain.link import Direction, Link
from domain.memory import Kind, Life, Memory, MemoryId, MemoryVersion
from domain.namespace import Namespace, NamespacePolicy, NamespaceStats, Scope
from domain.vector import EmbeddingModel, Role, TokenStates, Vector

Answer = TypeVar("Answer")

# --- The canonical store: one place of truth, one transaction per change -------------------------


@dataclass(frozen=True, slots=True)
class Verified:
    """Candidates as they really are now, and how far the scope's feeds have come."""

    memories: Mapping[MemoryId, Memory]
    position: FeedPosition


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a reader holds of candidates, by version (0: nothing).

    The `sure` ones were live in the scope, at that version, when its feeds stood at `seen_at`.
    """

    sure: Mapping[MemoryId, int]
    others: Mapping[MemoryId, int]
    seen_at: FeedPosition | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a scope stands against a claim, and what is in force there.

    `versions` are those of the candidates that live in the scope; of the `sure` ones only where the
    feeds do not stand at `seen_at` any more. `changed` holds those whole whose version is not the
    one that was claimed. `policy` is that of the scope's own namespace, `fact` the setting asked
    for.
    """

    position: FeedPosition
    versions: Mapping[MemoryId, int]
    changed: Mapping[MemoryId, Memory]
    policy: NamespacePolicy
    fact: str | None


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ends: lists are ordered by `(happened_at, id)`, newest first."""

    happened_at: datetime
    id: MemoryId


@dataclass(frozen=True, slots=True)
class SessionPlace:
    """The live memories next to one memory in its namespace and session, by (happened_at, id)."""

    previous: MemoryId | None
    next: MemoryId | None


class Memories(Protocol):
    """Live memories and their versions. Methods after `history` need a writing transaction."""

    async def get(self, ids: Sequence[MemoryId], /) -> dict[MemoryId, Memory]:
        """Return the live ones among `ids`."""

    async def verify(self, ids: Sequence[MemoryId], scope: Scope, filter: Filter, /) -> Verified:
        """Return those of `ids` that are live, in scope and pass, with the scope's heads."""

    async def standing(self, scope: Scope, claim: Claim, /, *, fact: str) -> Standing:
        """Hold a claim against the store, together with the scope's heads."""

    async def find(
        self, scope: Scope, filter: Filter, /, *, limit: int, after: Cursor | None = None
    ) -> list[Memory]:
        """Return one page, newest first."""

    async def find_ids(self, scope: Scope, filter: Filter, /) -> list[MemoryId]:
        """Return the ids of all matches (for filtered vector search)."""

    async def not_erased(self, namespace: Namespace, /, *, limit: int) -> list[MemoryId]:
        """Return some ids, live or forgotten, whose content is still there."""

    async def history(self, id: MemoryId, /) -> list[MemoryVersion]:
        """Return every version, newest first, also when forgotten; [] when erased or unknown."""

    async def life(self, id: MemoryId, /) -> tuple[Life, Namespace | None]:
        """Tell what has become of an id, and in which namespace it lives or lived."""

    async def session_places(self, ids: Sequence[MemoryId], /) -> dict[MemoryId, SessionPlace]:
        """Return the session neighbours of those ids that are live and have a session."""

    async def by_content(self, namespace: Namespace, hashes: Sequence[str], /) -> dict[str, Memory]:
        """Return the oldest live memory for each content hash that has one."""

    async def by_coordinate(
        self, namespace: Namespace, coordinates: Sequence[tuple[float, ...]], /
    ) -> dict[tuple[float, ...], Memory]:
        """Return the live memory at each occupied coordinate."""

    async def add(self, memories: Sequence[Memory], /, *, actor: str) -> None:
        """Insert new memories (version 1, or as imported)."""

    async def replace(self, memories: Sequence[Memory], /, *, actor: str) -> None:
        """Make each the current version; the version before becomes history."""

    async def forget(self, ids: Sequence[MemoryId], /, *, at: datetime, actor: str) -> None:
        """Hide memories from every read but `history`; their links go, history stays."""

    async def erase(self, ids: Sequence[MemoryId], /, *, at: datetime, actor: str) -> None:
        """Remove everything but the bare id; an audit record without content stays."""


class Versions(Protocol):
    """Earlier versions, written directly only by import."""

    async def add(self, versions: Sequence[MemoryVersion], /) -> None:
        """Insert history entries of memories added in the same transaction."""


class Links(Protocol):
    """Edges between live memories. `put` and `remove` need a writing transaction."""

    async def of(
        self, ids: Sequence[MemoryId], /, *, direction: Direction, limit: int
    ) -> list[Link]:
        """Return links at these memories, ordered by (source, target, type)."""

    async def page(
        self, scope: Scope, /, *, limit: int, after: tuple[str, str, str] | None = None
    ) -> list[Link]:
        """Return links whose source lies in scope, ordered by (source, target, type)."""

    async def put(self, links: Sequence[Link], /) -> None:
        """Insert, or replace weight, properties and seq of, links."""

    async def remove(self, source: MemoryId, target: MemoryId, type: str, /) -> bool:
        """Remove one link; tell whether it was there."""


class Feed(Protocol):
    """The change feed of every namespace and its counters."""

    async def lock(self, namespaces: Iterable[Namespace], /) -> dict[Namespace, int]:
        """Lock the counters in path order, creating absent ones, and return the heads."""

    async def append(self, events: Sequence[Event], /) -> None:
        """Insert events that continue the locked heads without gaps, and advance them."""

    async def position(self, scope: Scope, /) -> FeedPosition:
        """Return the epoch and the sum of the heads in scope."""

    async def after(self, namespace: Namespace, seq: int, /, *, limit: int) -> list[Event]:
        """Return events of one namespace beyond `seq`, in order."""

    async def heads(
        self, scope: Scope, /, *, limit: int, after: Namespace | None = None
    ) -> dict[Namespace, int]:
        """Return one page of heads in path order."""


class Lexicon(Protocol):
    """The lexical index, written in the same transaction as the memory it describes."""

    async def put(self, texts: Mapping[MemoryId, AnalysedText], /) -> None:
        """Index or re-index live memories and keep the namespace's statistics exact."""

    async def nominate(
        self, terms: Sequence[str], scope: Scope, filter: Filter, /, *, limit: int
    ) -> list[MemoryId]:
        """Return promising matches on any term, best first by the backend's own ranking."""

    async def evidence(
        self, ids: Sequence[MemoryId], terms: Sequence[str], scope: Scope, /
    ) -> LexicalEvidence:
        """Return what BM25 needs to score `ids`: the scope's statistics and term counts."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a filter may look at in a memory beside its validity.

    `happened_at` is in microseconds since the Unix epoch, `payload` is JSON.
    """

    kind: str = Kind.EPISODIC
    level: int = 0
    tags: tuple[str, ...] = ()
    actor: str | None = None
    session: str | None = None
    happened_at: int = 0
    coordinate: tuple[float, ...] | None = None
    payload: str = "{}"


NO_FACTS = Facts()


@dataclass(frozen=True, slots=True)
class IndexedTerms:
    """A live memory's index terms with what a text index needs to filter.

    `own` and `context` are terms as `domain.lexical.encoded` spells them, separated by spaces;
    `context` is None where it is the same as `own`. `span` and `facts` are as in `IndexedVector`.
    """

    memory_id: MemoryId
    own: str
    context: str | None
    span: tuple[float, float, float]
    facts: Facts = field(default=NO_FACTS, compare=False)


class IndexTerms(Protocol):
    """What the lexicon holds of each live memory, for text indexes built from it."""

    async def page(
        self, namespace: Namespace, /, *, limit: int, after: MemoryId | None = None
    ) -> list[IndexedTerms]:
        """Return live memories that are in the lexicon, in id order."""

    async def of(self, ids: Sequence[MemoryId], /) -> list[IndexedTerms]:
        """Return the live ones among `ids` that are in the lexicon."""


@dataclass(frozen=True, slots=True)
class EmbeddingTask:
    """A vector that is missing, or token states: what has to be computed of a memory."""

    memory_id: MemoryId
    namespace: Namespace
    role: Role
    version: int


#: What stands for the hash of a text where there was none: the caller gave the vector.
GIVEN = "given"


@dataclass(frozen=True, slots=True)
class Embedding:
    """A computed vector; `input_hash` is the SHA-256 of the embedded text, or `GIVEN`."""

    memory_id: MemoryId
    version: int
    role: Role
    model: str
    input_hash: str
    vector: Vector

    @property
    def data(self) -> bytes:
        """What is kept."""
        return self.vector.data


@dataclass(frozen=True, slots=True)
class KeptStates:
    """The token states of a memory's own text; `input_hash` is the SHA-256 of that text."""

    memory_id: MemoryId
    version: int
    model: str
    input_hash: str
    states: TokenStates

    @property
    def role(self) -> Role:
        """What they are among that which is computed of a memory."""
        return Role.STATES

    @property
    def data(self) -> bytes:
        """What is kept."""
        return self.states.data


Computed = Embedding | KeptStates


@dataclass(frozen=True, slots=True)
class IndexedVector:
    """A live memory's vectors with what a vector index needs to filter.

    `span` is (valid_from, valid_to, expires_at) in Unix seconds, with infinities for open ends.
    `facts` do not count when two are compared: they are what the memory is, not its vectors.
    """

    memory_id: MemoryId
    own: Vector | None
    context: Vector | None
    span: tuple[float, float, float]
    facts: Facts = field(default=NO_FACTS, compare=False)


@dataclass(frozen=True, slots=True)
class Behind:
    """What a model lacks: how many vectors, and how many of these another model has."""

    missing: int
    alone: int


class Embeddings(Protocol):
    """Vectors of live memories, and the queue of those that are missing."""

    async def queue(
        self, tasks: Sequence[EmbeddingTask], /, *, model: str, lease_until: datetime | None
    ) -> None:
        """Delete these vectors and note them as missing; a lease keeps workers off."""

    async def drop(self, tasks: Sequence[EmbeddingTask], /) -> None:
        """Delete these vectors and their tasks: there is no text for them any more."""

    async def claim(
        self, model: str, /, *, now: datetime, lease_until: datetime, limit: int
    ) -> list[EmbeddingTask]:
        """Lease tasks whose lease is over, oldest first."""

    async def release(self) -> None:
        """Take back every lease: for a process that knows it is alone."""

    async def store(self, computed: Sequence[Computed], /) -> list[Computed]:
        """Insert those whose memory is live at that version and drop their tasks; return them."""

    async def pending(self, model: str, ids: Sequence[MemoryId] | None = None, /) -> int:
        """Count missing vectors, of all memories or of these."""

    async def behind(self, model: str, other: str, /, *, limit: int) -> Behind:
        """Count up to `limit` missing vectors of a model, and those of them the other has."""

    async def page(
        self, namespace: Namespace, model: str, /, *, limit: int, after: MemoryId | None = None
    ) -> list[IndexedVector]:
        """Return live memories that have a vector, in id order."""

    async def of(self, ids: Sequence[MemoryId], model: str, /) -> list[IndexedVector]:
        """Return the live ones among `ids` that have a vector."""

    async def stored(self, ids: Sequence[MemoryId], model: str, /) -> list[Embedding]:
        """Return the vectors of the live ones among `ids` with what they were computed from."""

    async def states(self, ids: Sequence[MemoryId], model: str, /) -> list[KeptStates]:
        """Return the token states of the live ones among `ids`."""

    async def requeue(
        self, model: str, roles: Collection[Role], /, *, limit: int, after: MemoryId | None
    ) -> MemoryId | None:
        """Queue what of `model` the next `limit` live memories lack in these roles.

        Returns the last id looked at, None at the end.
        """

    async def discard(
        self, model: str, /, *, limit: int, after: MemoryId | None
    ) -> MemoryId | None:
        """Delete vectors and tasks of `model` of the next `limit` live memories.

        Returns the last id looked at, None at the end.
        """


class Namespaces(Protocol):
    """Which namespaces exist, what they hold and their policies."""

    async def stats(
        self, scope: Scope | None, /, *, limit: int, after: Namespace | None = None
    ) -> list[NamespaceStats]:
        """Return one page in path order; None means everywhere."""

    async def policy(self, namespace: Namespace, /) -> NamespacePolicy:
        """Return the policy in force: its own over its ancestors'."""

    async def set_policy(self, namespace: Namespace, policy: NamespacePolicy, /) -> None:
        """Replace the namespace's own policy."""


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """What an idempotency key stood for: no content."""

    request_hash: str
    memory_ids: tuple[MemoryId, ...]
    versions: tuple[int, ...]


class IdempotencyKeys(Protocol):
    """Keys already used, per owner."""

    async def find(self, owner: str, key: str, /) -> IdempotencyRecord | None:
        """Return what the key stood for."""

    async def add(
        self, owner: str, key: str, record: IdempotencyRecord, /, *, at: datetime
    ) -> None:
        """Remember a key; keys older than eight days may be dropped."""


class Settings(Protocol):
    """Facts about the store itself that must survive, such as the active embedding model."""

    async def get(self, name: str, /) -> str | None:
        """Return one fact."""

    async def set(self, name: str, value: str, /) -> None:
        """Replace one fact."""


@dataclass(frozen=True, slots=True)
class Lag:
    """What a projection has not applied yet in a scope.

    With the `touched` memories taken from the store, the projection stands at `position`.
    `complete` is False when more memories are concerned than were asked for.
    """

    position: FeedPosition
    touched: tuple[MemoryId, ...]
    complete: bool


class Projections(Protocol):
    """How far projections outside the store have come, by name and namespace.

    Watermarks of an earlier epoch count as 0: such a projection has to be built again.
    """

    async def lock_shard(self, name: str, shard: int, /) -> bool:
        """Take one share of the namespaces until the transaction ends; False when it is taken.

        A namespace belongs to the share `number of the namespace modulo shares`. Needs a writing
        transaction. Whoever does nothing for a minute while it holds a share loses it.
        """

    async def outstanding(
        self, name: str, /, *, shard: int, shards: int, limit: int
    ) -> list[Event]:
        """Return events beyond the watermarks of a share, each namespace's in order.

        No single namespace fills the answer while others wait.
        """

    async def advance(self, name: str, marks: Mapping[Namespace, int], /) -> None:
        """Set the watermarks of namespaces whose share is held, in the present epoch."""

    async def lag(self, name: str, scope: Scope, /, *, limit: int) -> Lag:
        """Return which memories' vectors or fields changed beyond the watermarks of a scope."""

    async def backlog(self, name: str, /) -> int:
        """Count the events of all namespaces beyond their watermarks."""

    async def discard(self, name: str, namespace: Namespace | None = None, /) -> None:
        """Drop the watermark of one namespace, or all of a projection: it is built again."""


class Fences(Protocol):
    """Numbers that tell the latest holder of a lock from earlier ones (fencing tokens)."""

    async def take(self, name: str, /) -> int:
        """Return a number higher than all before, and thereby end what earlier holders may do."""

    async def check(self, name: str, token: int, /) -> None:
        """Raise `LockLost` unless `token` is the latest; it stays so until this change ends."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key with what its secret is checked against: a keyed hash in hexadecimal digits."""

    key: ApiKey
    digest: str


class ApiKeys(Protocol):
    """Keys to the doors. Adding and revoking leave a record in the audit log."""

    async def add(self, stored: StoredKey, /) -> None:
        """Insert a key; `created_by` is who did it."""

    async def find(self, id: str, /) -> StoredKey | None:
        """Return a key, whether or not it still works."""

    async def exist(self) -> bool:
        """Tell whether there ever was a key."""

    async def page(
        self, within: Namespace | None, /, *, limit: int, after: str | None = None
    ) -> list[ApiKey]:
        """Return one page, in id order, of those bound inside a subtree (None: of all)."""

    async def revoke(self, id: str, /, *, at: datetime, actor: str) -> None:
        """End a key for good; one that was revoked before stays as it was."""

    async def used(self, at: Mapping[str, datetime], /) -> None:
        """Note when keys were last used; an earlier time than the one noted changes nothing."""


class Jobs(Protocol):
    """The jobs there are, and what became of them."""

    async def add(self, job: Job, /) -> None:
        """Insert a job; one of the same id stays as it is."""

    async def get(self, id: str, /) -> Job | None:
        """Return one job; in a change nobody else changes it until the end."""

    async def put(self, job: Job, /) -> None:
        """Replace a job that was read in the same change."""

    async def page(
        self,
        *,
        kind: JobKind | None = None,
        state: JobState | None = None,
        limit: int,
        after: tuple[datetime, str] | None = None,
    ) -> list[Job]:
        """Return one page, newest first, after a job by its (created_at, id)."""

    async def unfinished(self, kinds: Iterable[JobKind], /, *, limit: int) -> list[Job]:
        """Return queued and running jobs of these kinds, oldest first."""

    async def latest(self, kind: JobKind, /) -> Job | None:
        """Return the newest job of a kind."""

    async def counts(self) -> list[JobCount]:
        """Count the jobs by kind and state."""

    async def prune(self, before: datetime, /) -> None:
        """Remove what was over before a time, but the newest of each kind."""


class Erasures(Protocol):
    """Memories that a restored store must still erase, before it serves anybody."""

    async def due(self, *, limit: int) -> list[MemoryId]:
        """Return some of them."""

    async def settle(self, ids: Sequence[MemoryId], /) -> None:
        """Note that these need nothing more."""


class Transaction(Protocol):
    """One transaction: a consistent snapshot to read from, or a change that is whole or absent."""

    memories: Memories
    versions: Versions
    links: Links
    feed: Feed
    lexicon: Lexicon
    terms: IndexTerms
    embeddings: Embeddings
    namespaces: Namespaces
    idempotency: IdempotencyKeys
    settings: Settings
    projections: Projections
    fences: Fences
    keys: ApiKeys
    jobs: Jobs
    erasures: Erasures


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be."""

    subject: str
    detail: str


class CanonicalStore(Protocol):
    """The one place of truth. Each call gives a transaction of its own."""

    def reading(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a snapshot."""

    async def glance(self, ask: Callable[[Transaction], Awaitable[Answer]], /) -> Answer:
        """Ask one thing, in one trip where that is possible.

        `ask` makes exactly one call on the transaction that it is given, which sees one snapshot.
        It may be asked again when the connection turns out to be broken.
        """

    def writing(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a change: commits on a clean exit, durable when the block ends; else rolls back."""

    async def ping(self) -> None:
        """Raise `StoreUnavailable` when the store does not answer."""

    async def check(self) -> list[Finding]:
        """Compare everything derived inside the store with the canonical rows."""


class Snapshots(Protocol):
    """Consistent copies of the whole canonical store, made while it works, and put in its place."""

    async def write(
        self, folder: Path, /, *, report: Callable[[int, int | None], Awaitable[None]]
    ) -> StoreFacts:
        """Write one moment of the store as files into a folder and return what they hold.

        `report` is told how many bytes of about how many are written; what it raises ends it.
        Raises `OSError` when the folder cannot be written: another attempt would not help.
        """

    async def holds_anything(self) -> bool:
        """Tell whether there is something that `put_in_place` would replace."""

    async def put_in_place(
        self,
        folder: Path,
        facts: StoreFacts,
        /,
        *,
        epoch: str,
        at: datetime,
        erased: AsyncIterator[Sequence[MemoryId]],
    ) -> None:
        """Make the store what the files hold, in a new epoch: all of it, or nothing.

        It then owes the erasure of what lives in it and is among `erased`, or was erased in what
        it replaces. Nobody else may use the store meanwhile:
        raises `StoreNotEmpty` when others are connected, `BackupDamaged` for files it cannot read.
        """


class Archives(Protocol):
    """Folders with a snapshot in them that can be trusted, or are not there."""

    def making(self, path: Path, /, *, name: str) -> AbstractAsyncContextManager[Path]:
        """Give a folder to write into, which goes unless it is sealed; `name` tells it from others.

        Raises `InvalidInput` when `path` is there already, lies inside of the store's own folder,
        or cannot be written, be it later: then the block may raise `OSError`.
        """

    async def seal(
        self, folder: Path, path: Path, facts: StoreFacts, /, *, at: datetime
    ) -> Manifest:
        """Add the checksums and let the folder appear at `path`, whole and on the disk."""

    async def verify(self, path: Path, /) -> Manifest:
        """Read everything again; raise `BackupDamaged` unless it is what was written."""


class ErasureLedger(Protocol):
    """Which memories were erased, kept apart from the store, so that no restore brings them back.

    Holds ids and times, no content. Raises `StoreUnavailable`.
    """

    async def note(self, ids: Sequence[MemoryId], /, *, at: datetime) -> None:
        """Remember erasures; they are on the disk when this returns."""

    def pages(self) -> AsyncIterator[list[MemoryId]]:
        """Iterate over all erased ids, some at a time; some may come twice."""


# --- Projections ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VectorNominations:
    """The nearest memories by each role with their cosines, and the state they were taken from.

    `substitute` says that another index answered for the one that should have.
    """

    own: tuple[tuple[MemoryId, float], ...]
    context: tuple[tuple[MemoryId, float], ...]
    position: FeedPosition
    exact: bool
    substitute: bool = False


class VectorIndex(Protocol):
    """Nearest vectors in a scope. A projection: it may lag, and says by how much.

    Every method may raise `IndexUnavailable`: recall then goes on without it.
    """

    async def nominate(
        self, vector: Vector, scope: Scope, filter: Filter, /, *, limit: int
    ) -> VectorNominations:
        """Return the nearest per role among memories that pass the filter (ties by id)."""

    async def similarities(
        self, vector: Vector, ids: Sequence[MemoryId], /
    ) -> dict[MemoryId, tuple[float | None, float | None]]:
        """Return the cosine by own and by context vector of those ids that are indexed."""

    async def pairwise(self, ids: Sequence[MemoryId], /) -> list[list[float]]:
        """Return cosines between own vectors, `(n, n)`; 0 where a vector is missing."""

    async def catch_up(self, scope: Scope, /) -> None:
        """Apply every event committed before this call."""

    async def reset(self) -> None:
        """Throw everything away; it is rebuilt on demand."""


@dataclass(frozen=True, slots=True)
class Walk:
    """Memories reached over links: (id, depth, links of the last hop), nearest first."""

    steps: tuple[tuple[MemoryId, int, tuple[Link, ...]], ...]
    position: FeedPosition


class TextIndex(Protocol):
    """Promising matches for words; whatever it leaves out of what is committed, it adds."""

    async def nominate(
        self, terms: Sequence[str], scope: Scope, filter: Filter, /, *, limit: int
    ) -> list[MemoryId]:
        """Return memories with any of the terms, best first by the backend's own ranking."""

    def evidence(
        self,
        ids: Sequence[MemoryId],
        terms: Sequence[str],
        scope: Scope,
        position: FeedPosition,
        /,
    ) -> LexicalEvidence | None:
        """Return what `Lexicon.evidence` would, as of exactly this position of the scope.

        Asks nobody: None when the index does not hold just that state at hand. Then the lexicon
        must be asked.
        """


@dataclass(frozen=True, slots=True)
class ProjectedMemory:
    """Everything a vector index outside the store keeps of one live memory.

    `embeddings` are those of the live model, at most one per role.
    """

    memory: Memory
    embeddings: tuple[Embedding, ...]
    terms: AnalysedText


class ContentCopies(Protocol):
    """Files beside the store that are made of what memories say: an erasure has to reach them."""

    async def discard(self, namespace: Namespace, /) -> None:
        """Remove what there is of a namespace, and let nothing come of what is being written."""


class VectorProjection(Protocol):
    """The writing side of a vector index outside the store. Every method confirms its effect.

    Raises `IndexUnavailable`. A point is named by what it was made from, so a late write never
    replaces a newer one.
    """

    async def open(self) -> str:
        """Make the index where there is none, and return its name for `Projections`.

        The name changes when the index was lost and made again.
        """

    async def put(self, memories: Sequence[ProjectedMemory], /) -> None:
        """Write the points of memories and remove those they supersede."""

    async def remove(self, ids: Sequence[MemoryId], /) -> None:
        """Remove every point of these memories."""

    async def clear(self, namespace: Namespace, /) -> None:
        """Remove every point of one namespace."""

    def points(self, memory: ProjectedMemory, /) -> frozenset[str]:
        """Return the ids of the points that `put` writes for a memory."""

    async def held(self, ids: Sequence[MemoryId], /) -> dict[MemoryId, frozenset[str]]:
        """Return the ids of the points that there are of each of these memories."""

    async def contents(
        self, namespace: Namespace, /, *, limit: int, after: str | None = None
    ) -> list[tuple[str, MemoryId]]:
        """Return one page of (point id, memory id), in point id order."""

    async def ping(self) -> None:
        """Raise `IndexUnavailable` when nothing answers."""


class MemoryGraph(Protocol):
    """Links as a graph, one per root namespace. A projection like the vector index.

    A root may be any namespace: links with an end outside its subtree are not part of the graph.
    """

    async def neighbors(
        self,
        ids: Sequence[MemoryId],
        root: Namespace,
        /,
        *,
        direction: Direction,
        type: str | None,
        depth: int,
        limit: int,
    ) -> Walk:
        """Return what is reached from `ids` within `depth` hops, breadth first, ties by id."""

    async def path(
        self,
        source: MemoryId,
        target: MemoryId,
        root: Namespace,
        /,
        *,
        type: str | None,
        weighted: bool,
    ) -> Walk | None:
        """Return the shortest path along link direction (weighted: least sum of 1/weight)."""

    async def catch_up(self, root: Namespace, /) -> None:
        """Apply every event committed before this call."""

    async def reset(self) -> None:
        """Throw everything away; it is rebuilt on demand."""


# --- Language and meaning ------------------------------------------------------------------------


class Analyser(Protocol):
    """Turns text into index terms; the same one feeds every lexical backend."""

    @property
    def language(self) -> str:
        """Whose words it stems and leaves out; of another language nothing is compared."""

    def terms(self, text: str, /) -> tuple[str, ...]:
        """Return stemmed terms in order, without stop words."""


class Embedder(Protocol):
    """Turns texts into unit vectors. Must not depend on what else is in the batch."""

    @property
    def model(self) -> EmbeddingModel:
        """Which model this is."""

    async def embed_passages(self, texts: Sequence[str], /) -> list[Vector]:
        """Embed what is remembered."""

    async def embed_query(self, text: str, /) -> Vector:
        """Embed what is asked."""


class PassageReader(Protocol):
    """Embeds texts and keeps the states of their tokens, from the same run of the model."""

    async def read_passages(self, texts: Sequence[str], /) -> list[tuple[Vector, TokenStates]]:
        """Read what is remembered; raise `EmbedderUnavailable`."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A text to be judged; `beside` are the positions of those said right before or after it.

    `states` are its token states, where they are kept and of use to the reranker.
    """

    text: str
    beside: tuple[int, ...] = ()
    states: TokenStates | None = None


class Reranker(Protocol):
    """Reads the question and each of the best candidates together."""

    async def scores(self, question: str, passages: Sequence[Passage], /) -> list[float]:
        """Return a finite number per passage, higher for better: they compare in one call only.

        Raises `RerankerUnavailable`.
        """


# --- Plumbing ------------------------------------------------------------------------------------


class Cache(Protocol):
    """Immutable values under versioned keys: nothing in it can be stale, all of it can be lost."""

    async def get(self, key: str, /) -> bytes | None:
        """Return the value if it is still there."""

    async def put(self, key: str, value: bytes, /) -> None:
        """Keep the value for as long as there is room."""

    async def get_many(self, keys: Sequence[str], /) -> dict[str, bytes]:
        """Return those values that are still there, in one round trip."""

    async def put_many(self, values: Mapping[str, bytes], /) -> None:
        """Keep the values, in one round trip."""

    async def drop(self, keys: Sequence[str], /) -> bool:
        """Remove values whose content must not stay; False when nobody could be asked."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a rate limit: `reset_seconds` until the window gives room again."""

    granted: bool
    limit: int
    remaining: int
    reset_seconds: float


class RateLimiter(Protocol):
    """Counts calls per key in a sliding window."""

    async def take(
        self, key: str, /, *, limit: int, window_seconds: float, calls: int = 1
    ) -> Allowance:
        """Count calls, all or none, unless they exceed `limit` in any window of that length."""


class Locks(Protocol):
    """Keeps two workers from doing the same job; what protects the data is the fence.

    Where nobody can be asked a lock is granted: the job is then done twice at worst.
    """

    async def acquire(self, name: str, owner: str, /, *, ttl_seconds: float) -> bool:
        """Take a free lock, or renew one's own."""

    async def release(self, name: str, owner: str, /) -> None:
        """Give the lock back if it is still one's own."""


class EventBus(Protocol):
    """Wakes those who follow a change feed; a lost or double wake-up is harmless."""

    async def publish(self, namespaces: Iterable[Namespace], /) -> None:
        """Say that these feeds have moved."""

    def subscribe(self, scope: Scope | None, /) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Iterate over wake-ups for a scope (None: everywhere); several may be merged into one."""
