"""`soma-shelf`: the command `soma`, with the shelf behind the port `VectorIndex`."""

from __future__ import annotations

from pathlib import Path

import somafractalmemory
from dependency_injector import providers

from adapters.environment import Settings
from container import Container
from soma_shelf.index import ShelfIndex
from soma_shelf.shelf import Shelf


def main() -> None:
    """Put the adapter in its place, then run the command line as it is."""
    model = Container.embedder.provided.model
    Container.index.override(
        providers.Singleton(
            ShelfIndex,
            Container.store,
            providers.Singleton(_shelf, Container.settings, model.id),
            model.id,
            model.dimension,
        )
    )
    somafractalmemory.main()


def _shelf(settings: Settings, model: str) -> Shelf:
    """Name the file: beside the store, one for each embedding model."""
    name = "".join(letter if letter.isalnum() else "-" for letter in model)
    return Shelf(Path(settings.data_dir) / f"shelf-{name}.db")


if __name__ == "__main__":
    main()
