"""The composition root builds everything it promises."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from dependency_injector import providers

from adapters.environment import load_settings
from container import Container, build


@pytest.fixture
def container(tmp_path: Path) -> Container:
    """A container wired for the embedded profile; nothing in it is opened."""
    remote = {"embedder_url": "http://localhost/v1", "embedder_model": "m", "embedder_dimension": 2}
    remote["reranker_url"] = "http://localhost"
    return build(load_settings({}, {"data_dir": tmp_path, "embedder": "none", **remote}))


def test_every_provider_builds_what_it_stands_for(container: Container) -> None:
    """A misspelt keyword of a factory passes type checks and is only seen when it is called."""
    provided: list[providers.Provider[object]] = list(container.traverse())
    built = [
        provider()
        for provider in provided
        if isinstance(provider, providers.Factory | providers.Singleton)
    ]

    assert len(built) > 30
    assert not [thing for thing in built if inspect.isawaitable(thing)]


def test_building_the_container_touches_nothing(container: Container, tmp_path: Path) -> None:
    container.recall()
    container.remember()

    assert list(tmp_path.iterdir()) == []
