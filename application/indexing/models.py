"""Which embedding model answers, which one is being filled beside it, and which ones are past.

The store has the last word, so that all processes change over together: whoever reads or writes
asks in a transaction of its own which models are in force.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import lru_cache

from application.projecting.comparing import CompareVectors
from application.recalling.candidates import Gatherer
from domain.errors import EmbedderUnavailable, InvalidInput
from domain.memory import MemoryId
from domain.ports import CanonicalStore, Embedder, PassageReader, Transaction, VectorProjection
from domain.vector import MODEL_SETTING, VECTORS, EmbeddingModel, Role, Vector

REQUEUE_CHUNK = 1000
#: The name of the embedder that embeds nothing: callers give the vectors.
GIVEN = "none"
#: A model that others are so little ahead of is about to answer.
NEARLY_FILLED = 64
LOOKED_AT_MAX = 5000
_STATES_CACHED = 16


@dataclass(frozen=True, slots=True)
class ModelState:
    """Models by their ids: one answers, `next` is being filled, `retired` are past since a time.

    `chosen` is the one that the settings named when a process last started with other ones.
    """

    active: str
    next: str | None = None
    chosen: str | None = None
    retired: Mapping[str, str] = field(default_factory=dict)

    @property
    def filled(self) -> tuple[str, ...]:
        """The models that every write is embedded for, the one that answers first."""
        return (self.active,) if self.next is None else (self.active, self.next)

    def towards(self, model: str, at: datetime) -> ModelState:
        """Return the state in which `model` is being filled, or in force already."""
        past = {} if self.next in (None, model) else {str(self.next): at.isoformat()}
        kept = {id: since for id, since in self.retired.items() if id != model}
        wanted = None if model == self.active else model
        return replace(self, next=wanted, retired={**kept, **past})

    def switched(self, model: str, at: datetime) -> ModelState:
        """Return the state in which `model` answers."""
        begun = self.towards(model, at)
        if model == self.active:
            return begun
        retired = {**begun.retired, self.active: at.isoformat()}
        return replace(begun, active=model, next=None, retired=retired)

    def cleared(self, model: str) -> ModelState:
        """Return the state in which nothing is left of a model that is past."""
        kept = {id: since for id, since in self.retired.items() if id != model}
        return replace(self, retired=kept)

    def encoded(self) -> str:
        """Return it as the store keeps it."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, kw_only=True)
class Outside:
    """The vectors of one model outside the store: what holds, fills and compares them."""

    projection: VectorProjection
    project: Callable[[], Awaitable[int]]
    compare: CompareVectors


@dataclass(frozen=True, kw_only=True)
class Installed:
    """An embedding model that this process can use, under its name in the settings.

    Where token states are kept for a reranker, `reader` gives them along with the own vectors.
    """

    name: str
    embedder: Embedder
    gatherer: Gatherer
    outside: Sequence[Outside]
    reader: PassageReader | None = None

    @property
    def model(self) -> EmbeddingModel:
        """Its identity; raises `EmbedderUnavailable` when it is not configured here."""
        return self.embedder.model

    @property
    def roles(self) -> tuple[Role, ...]:
        """What is computed of every memory."""
        return VECTORS if self.reader is None else (*VECTORS, Role.STATES)


@dataclass(slots=True)
class Heard:
    """What the store last said of the models in force: a guess at what it will say next."""

    text: str | None = None
    known: bool = False


@dataclass(frozen=True, kw_only=True)
class Models:
    """The models that are installed here, and which of them the store says are in force.

    `absent` says, by name, why other models cannot be used.
    """

    configured: Installed
    others: Sequence[Installed]
    absent: Mapping[str, str]
    heard: Heard = field(default_factory=Heard)

    @property
    def installed(self) -> tuple[Installed, ...]:
        """All of them, the one that the settings name first."""
        return (self.configured, *self.others)

    async def state(self, tx: Transaction) -> ModelState:
        """Return which models are in force."""
        if self.configured.name == GIVEN:
            # Nothing could be filled: the store has no say in what the callers use.
            return ModelState(self.configured.model.id)
        return await self.stored(tx) or ModelState(self.configured.model.id)

    @staticmethod
    async def stored(tx: Transaction) -> ModelState | None:
        """Return what the store says, None when it has never been asked to embed."""
        return _decoded(await tx.settings.get(MODEL_SETTING))

    async def serving(self, tx: Transaction) -> Installed:
        """Return the model that answers.

        If it is not installed here it is one that cannot be asked: words remain.
        """
        return self.answering((await self.state(tx)).active)

    async def guessed(self, store: CanonicalStore) -> Installed:
        """Return the model that most probably answers: the one that did before.

        Who goes on with it has to ask `told` afterwards.
        """
        if not self.heard.known and self.configured.name != GIVEN:
            self.told(await store.glance(lambda tx: tx.settings.get(MODEL_SETTING)))
        return self.answering(self._active(self.heard.text))

    def told(self, text: str | None) -> Installed:
        """Return the model that answers, given what the store says of the models in force."""
        self.heard.text, self.heard.known = text, True
        return self.answering(self._active(text))

    def _active(self, text: str | None) -> str:
        state = None if self.configured.name == GIVEN else _decoded(text)
        return self.configured.model.id if state is None else state.active

    def answering(self, active: str) -> Installed:
        """Return the model of this id, or what stands for it where it is not installed."""
        known = self.known(active)
        if known is not None:
            return known
        embedder = _Absent(active)
        gatherer = replace(self.configured.gatherer, embedder=embedder)
        return Installed(name=active, embedder=embedder, gatherer=gatherer, outside=())

    def roles(self, id: str) -> tuple[Role, ...]:
        """Return what a model computes of every memory, as far as this process knows."""
        known = self.known(id)
        return VECTORS if known is None else known.roles

    def known(self, id: str) -> Installed | None:
        """Return an installed model by its id."""
        return next((one for one in self.installed if one.model.id == id), None)

    async def nearly_filled(self, tx: Transaction, state: ModelState) -> Installed | None:
        """Return the model that is being filled, once it may answer at any moment."""
        known = None if state.next is None else self.known(state.next)
        if known is None:
            return None
        behind = await tx.embeddings.behind(known.model.id, state.active, limit=LOOKED_AT_MAX)
        return known if behind.alone <= NEARLY_FILLED else None

    def in_force(self, state: ModelState) -> list[Installed]:
        """Return those installed models that every write is embedded for."""
        return [known for id in state.filled if (known := self.known(id)) is not None]

    def named(self, name: str) -> Installed:
        """Return an installed model by its name; raise `InvalidInput` saying what it lacks."""
        if self.configured.name == GIVEN:
            raise InvalidInput("model", "cannot be chosen while vectors are given by the callers")
        for one in self.installed:
            if one.name == name:
                return one
        if name in self.absent:
            raise InvalidInput("model", f"{name} cannot be used here: {self.absent[name]}")
        names = sorted([*(one.name for one in self.installed), *self.absent])
        raise InvalidInput("model", f"must be one of {', '.join(names)}")


@lru_cache(maxsize=_STATES_CACHED)
def _decoded(text: str | None) -> ModelState | None:
    if text is None:
        return None
    # Stores of earlier versions hold the bare id.
    return ModelState(**json.loads(text)) if text.startswith("{") else ModelState(text)


async def requeue(
    store: CanonicalStore,
    model: str,
    roles: Sequence[Role],
    *,
    after: MemoryId | None = None,
    kept: Callable[[MemoryId], Awaitable[None]] | None = None,
) -> None:
    """Queue all that is missing of a model in these roles; `kept` is told how far that has come."""
    while True:
        async with store.writing() as tx:
            after = await tx.embeddings.requeue(model, roles, limit=REQUEUE_CHUNK, after=after)
        if after is None:
            return
        if kept is not None:
            await kept(after)


@dataclass(frozen=True, slots=True)
class _Absent:
    """Stands for a model that another process has switched to and that is not configured here."""

    id: str

    @property
    def model(self) -> EmbeddingModel:
        raise self._refusal()

    async def embed_passages(self, texts: Sequence[str], /) -> list[Vector]:
        raise self._refusal()

    async def embed_query(self, text: str, /) -> Vector:
        raise self._refusal()

    def _refusal(self) -> EmbedderUnavailable:
        return EmbedderUnavailable(f"the embedding model is now {self.id}, not configured here")


@dataclass(frozen=True, kw_only=True)
class ProjectModels:
    """Bring the indexes outside the store up to date, that of a model being filled among them."""

    store: CanonicalStore
    models: Models

    async def __call__(self) -> int:
        """Return how many events were applied; 0 when all are current."""
        async with self.store.reading() as tx:
            filled = self.models.in_force(await self.models.state(tx))
        return sum([await outside.project() for one in filled for outside in one.outside])
