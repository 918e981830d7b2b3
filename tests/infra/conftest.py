"""The chart, rendered; skipped where there is no helm, saying so."""

from __future__ import annotations

import pytest

from infra.helm_program import HelmMissing, helm
from tests.infra.manifests import VARIANTS, Manifests, rendered


@pytest.fixture(scope="session")
def chart() -> None:
    """Skip with the reason where no helm can be found."""
    try:
        helm()
    except HelmMissing as error:
        pytest.skip(f"the chart was not rendered: {error}")


@pytest.fixture(params=VARIANTS)
def manifests(request: pytest.FixtureRequest, chart: None) -> Manifests:
    """Give each profile as it is installed, and the larger one with everything turned on."""
    return rendered(request.param)


@pytest.fixture(params=[name for name in VARIANTS if name.startswith("prod-ha")])
def production(request: pytest.FixtureRequest, chart: None) -> Manifests:
    """Give what serves in production."""
    return rendered(request.param)


@pytest.fixture
def development(chart: None) -> Manifests:
    """Give what serves on a laptop."""
    return rendered("local-dev")
