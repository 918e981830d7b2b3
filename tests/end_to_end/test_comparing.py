"""What is too far behind to be compared is said to be so, never passed over as right."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from application.projecting import comparing
from application.projecting.comparing import CompareVectors
from application.projecting.vectors import Projector
from domain.draft import Draft, Wait
from domain.namespace import Namespace
from domain.ports import VectorProjection
from tests.end_to_end.embedded import ACTOR, installation

SPACE = Namespace("acme/alice")


class Untold:
    """An index that was told nothing."""

    async def open(self) -> str:
        """Return its name."""
        return "untold"


@pytest.mark.parametrize(("late_max", "far"), [(1, True), (2, False)])
async def test_tells_a_namespace_that_is_too_far_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late_max: int, far: bool
) -> None:
    monkeypatch.setattr(comparing, "LATE_MAX", late_max)
    async with installation(tmp_path, background_embedding=False) as soma:
        drafts = [Draft(content=f"note {number}", namespace=SPACE) for number in range(2)]
        await soma.remember_batch()(drafts, wait=Wait.STORED, actor=ACTOR)
        compare = CompareVectors(
            store=soma.store(),
            projection=cast(VectorProjection, Untold()),
            projector=Projector(analyser=soma.analyser(), embedder=soma.embedder()),
        )

        assert far == await compare.is_far_behind(SPACE)
