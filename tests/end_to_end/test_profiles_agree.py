"""The same doings on SQLite and on PostgreSQL give the same hits with the same scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from container import Container
from domain.draft import Changes, Draft
from domain.memory import Source
from domain.namespace import Namespace, Scope, ScopeKind
from domain.recall import RecallQuery
from tests.end_to_end.embedded import ACTOR, installation, settled

THINGS = ("kettle", "stove", "garden", "letter", "train", "violin", "harbour", "lamp")
DOINGS = ("cleaned", "lost", "painted", "carried", "repaired", "hid", "sold")
QUESTIONS = ("Who painted the garden?", "kettle stove lamp", "the violin that was sold", "lost")


async def _filled(container: Container) -> None:
    """Store, revise and forget what a conversation in three namespaces has left."""
    drafts = [
        Draft(
            content=f"{number} We {DOINGS[number % 7]} the {THINGS[number % 8]}"
            f" beside the {THINGS[number * 5 % 8]}" + " again" * (number % 3),
            namespace=("acme", "acme/a", "acme/b")[number % 3],
            tags=("even",) if number % 2 == 0 else (),
            source=Source(session=f"session {number // 20}"),
        )
        for number in range(180)
    ]
    stored = [one.memory.id for one in await container.remember_batch()(drafts, actor=ACTOR)]
    await _answers(container)  # What follows has to be caught up with
    for number in range(0, 180, 17):
        changes = Changes(content=f"{number} They {DOINGS[number % 5]} the lamp in the harbour")
        await container.revise()(stored[number], changes, actor=ACTOR)
    for number in range(5, 180, 23):
        await container.forget()(stored[number], actor=ACTOR)
    await settled(container)


async def _answers(container: Container) -> list[list[tuple[str, float, dict[str, float]]]]:
    """Return contents, scores and parts of the hits of every question in every scope."""
    answers = []
    for text in QUESTIONS:
        for scope in (
            Scope(Namespace("acme/a")),
            Scope(Namespace("acme"), ScopeKind.SUBTREE),
        ):
            answer = await container.recall()(RecallQuery(text=text, scope=scope, k=25))
            assert answer.degraded == ()
            answers.append([(h.memory.content, h.score, dict(h.parts)) for h in answer.hits])
    return answers


async def test_both_profiles_give_the_same_answers(postgres_url: str, tmp_path: Path) -> None:
    async with (
        installation(tmp_path / "here") as here,
        installation(tmp_path / "there", postgres_url=postgres_url) as there,
    ):
        await _filled(here)
        await _filled(there)

        found, expected = await _answers(there), await _answers(here)

    assert any(len(answer) == 25 for answer in expected)
    for one, other in zip(found, expected, strict=True):
        assert [content for content, _, _ in one] == [content for content, _, _ in other]
        assert [score for _, score, _ in one] == pytest.approx([s for _, s, _ in other], abs=1e-6)
        for (_, _, parts), (_, _, others) in zip(one, other, strict=True):
            assert parts == pytest.approx(others, abs=1e-6)
