"""Candidates with their raw evidence, as recall gathers them before it ranks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from adapters.environment import load_settings
from benchmarks.conversations import Conversation, Question
from benchmarks.doors import InProcess
from benchmarks.locomo import ingest
from container import Container, build, running
from domain.filter import Filter
from domain.namespace import Scope, parse_namespace
from domain.ranking import Candidate

WANTED = 25


@dataclass(frozen=True, slots=True)
class Pool:
    """A question, the conversation it was put to, and the candidates that came up."""

    conversation: str
    question: Question
    candidates: list[Candidate]

    def is_gold(self, candidate: Candidate) -> bool:
        """Tell whether a candidate is evidence for the question."""
        return turn_id(candidate) in self.question.evidence


def turn_id(candidate: Candidate) -> str:
    """Return the LoCoMo id of a candidate."""
    return str(candidate.memory.payload["dia_id"])


@asynccontextmanager
async def stored(
    conversations: Sequence[Conversation], data: Path | None, **settings: object
) -> AsyncIterator[Container]:
    """Open a store that holds the conversations, in `data` or in a folder for this run."""
    with TemporaryDirectory() as temporary:
        given = load_settings({}, {"data_dir": data or Path(temporary), **settings})
        async with running(build(given)) as container:
            await ingest(InProcess(container), conversations)
            yield container


async def gather_pools(
    container: Container, asked: Sequence[Conversation], of: Conversation
) -> list[Pool]:
    """Put the questions of `asked` to the memories of one conversation."""
    gatherer = container.gatherer()
    scope = Scope(parse_namespace(of.namespace))
    pools = []
    for conversation in asked:
        for question in conversation.questions:
            search = await gatherer.prepare(
                question.text, None, scope, Filter(valid_at=datetime.now(UTC)), WANTED
            )
            gathered = await gatherer.gather(search)
            pools.append(Pool(of.name, question, gathered.pool))
    return pools


def left_out(conversations: Sequence[Conversation]) -> Iterator[tuple[str, list[str]]]:
    """Yield each conversation's name with those of all others."""
    for conversation in conversations:
        yield conversation.name, [c.name for c in conversations if c is not conversation]
