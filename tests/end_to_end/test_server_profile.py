"""Two installations on one PostgreSQL: each sees what the other did, on its next call."""

from __future__ import annotations

from pathlib import Path

from application.show import Show
from container import Container
from domain.draft import Changes, Draft
from domain.namespace import Namespace, Scope
from domain.recall import RecallQuery
from tests.end_to_end.embedded import ACTOR, installation

SPACE = "acme/alice"


async def recalled(container: Container, text: str) -> list[str]:
    """Return the contents that a recall finds."""
    answer = await container.recall()(RecallQuery(text=text, scope=Scope(Namespace(SPACE))))
    return [hit.memory.content for hit in answer.hits]


async def test_two_installations_share_one_memory(postgres_url: str, tmp_path: Path) -> None:
    async with (
        installation(tmp_path / "one", postgres_url=postgres_url) as one,
        installation(tmp_path / "two", postgres_url=postgres_url) as two,
    ):
        assert one.settings().profile == "server"
        assert await recalled(two, "where is the kettle") == []

        draft = Draft(content="The kettle stands on the stove.", namespace=SPACE)
        stored = (await one.remember()(draft, actor=ACTOR)).memory
        assert await recalled(two, "where is the kettle") == [stored.content]

        changes = Changes(content="The kettle stands on the table.")
        again = await two.revise()(stored.id, changes, actor=ACTOR)
        assert await recalled(one, "where is the kettle") == [again.memory.content]
        show: Show = one.show()
        assert (await show(stored.id)).version == 2

        twin = Draft(content="The kettle stands on the table.", namespace=SPACE)
        assert (await one.remember()(twin, actor=ACTOR)).deduplicated

        await one.forget()(stored.id, actor=ACTOR)
        assert await recalled(two, "where is the kettle") == []
        assert await recalled(one, "where is the kettle") == []
        assert await one.store().check() == []
    assert not (tmp_path / "one" / "soma.db").exists()


async def test_a_later_process_finds_everything_again(postgres_url: str, tmp_path: Path) -> None:
    async with installation(tmp_path, postgres_url=postgres_url) as first:
        drafts = [Draft(content=f"note {number} of many", namespace=SPACE) for number in range(50)]
        await first.remember_batch()(drafts, actor=ACTOR)

    async with installation(tmp_path, postgres_url=postgres_url) as later:
        assert "note 7 of many" in await recalled(later, "note 7")
