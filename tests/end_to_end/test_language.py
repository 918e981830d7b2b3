"""The language of an installation: asked as it was stored, and changed on purpose only."""

from __future__ import annotations

from pathlib import Path

import pytest

from container import Container, build, opened
from domain.draft import Draft, Wait
from domain.errors import LanguageMismatch
from domain.memory import Source
from domain.namespace import DEFAULT_NAMESPACE, Scope
from domain.recall import RecallQuery
from tests.end_to_end.cli_process import Soma
from tests.end_to_end.embedded import ACTOR, installation, settings_for

HOUSES = "Wir haben zwei alte Häuser gekauft."
QUESTION = "Haus"


async def remember(container: Container, *contents: str) -> None:
    drafts = [Draft(content=text, source=Source(session="s")) for text in contents]
    await container.remember_batch()(drafts, wait=Wait.STORED, actor=ACTOR)


async def by_words(container: Container, text: str = QUESTION) -> dict[str, float]:
    """Ask, and return what the words of each hit are worth."""
    answer = await container.recall()(RecallQuery(text=text, scope=Scope(DEFAULT_NAMESPACE)))
    parts = {hit.memory.content: hit.parts.get("lexical", 0.0) for hit in answer.hits}
    return {content: worth for content, worth in parts.items() if worth}


async def reanalyse(folder: Path, language: str) -> int:
    async with opened(build(settings_for(folder, language=language))) as container:
        return await container.reanalyse()()


async def test_a_new_store_takes_the_language_of_the_settings(tmp_path: Path) -> None:
    for _ in range(2):
        async with installation(tmp_path, language="german") as container:
            await remember(container, HOUSES)

            assert [HOUSES] == list(await by_words(container))


async def test_another_language_than_the_memories_have_is_refused(tmp_path: Path) -> None:
    async with installation(tmp_path) as container:
        await remember(container, HOUSES)

    with pytest.raises(LanguageMismatch, match=r"soma reconcile.*SOMA_LANGUAGE=german"):
        async with installation(tmp_path, language="german"):
            pass
    async with installation(tmp_path) as container:
        assert {} == await by_words(container)


async def test_reanalysing_gives_every_memory_the_words_of_the_new_language(tmp_path: Path) -> None:
    async with installation(tmp_path) as container:
        await remember(container, HOUSES, *(f"Satz {number}" for number in range(450)))

    assert 451 == await reanalyse(tmp_path, "german")
    assert 0 == await reanalyse(tmp_path, "german")

    async with installation(tmp_path, language="german") as container:
        assert [HOUSES] == list(await by_words(container))
        assert [] == await container.reconcile()(check=True)
    with pytest.raises(LanguageMismatch):
        async with installation(tmp_path):
            pass


async def test_there_and_back_leaves_what_was_there(tmp_path: Path) -> None:
    async with installation(tmp_path) as container:
        await remember(container, "She was running through the houses", HOUSES)
        before = await by_words(container, "run house")

    await reanalyse(tmp_path, "german")
    await reanalyse(tmp_path, "english")

    async with installation(tmp_path) as container:
        assert before == await by_words(container, "run house") != {}


def test_reconcile_does_it_from_the_command_line(tmp_path: Path) -> None:
    english, german = Soma(tmp_path), Soma(tmp_path, more={"SOMA_LANGUAGE": "german"})
    assert 0 == english.run("remember", HOUSES).returncode

    refused = german.run("list")
    checked = german.run("reconcile", "--check")
    done = german.run("reconcile")
    listed = german.run("list")

    assert [2, 2, 0, 0] == [run.returncode for run in (refused, checked, done, listed)]
    assert b"soma reconcile" in refused.stderr
    assert b"analysed 1 memories as german" in done.stderr
