"""Which systems can be compared, and with which interpreter each of them runs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from benchmarks.peers.system import Place, System

ROOT = Path(__file__).resolve().parent.parent.parent
#: Made by `just bench-setup`: the peers and matplotlib, apart from the development environment.
PEERS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class Known:
    """Where an adapter is, and what it needs."""

    module: str
    #: The distribution whose version is reported.
    distribution: str
    function: str = "build"
    peer: bool = True
    on_postgres: bool = False

    @property
    def python(self) -> Path:
        """The interpreter that has its libraries."""
        return PEERS_PYTHON if self.peer else Path(sys.executable)

    def build(self, place: Place) -> System:
        """Make it, in the process that runs it."""
        made: System = getattr(import_module(f"benchmarks.peers.{self.module}"), self.function)(
            place
        )
        return made


_SOMA = "somafractalmemory"
SYSTEMS = {
    "numpy": Known("numpy_scan", "numpy", peer=False),
    "soma": Known("soma", _SOMA, peer=False),
    "soma-http": Known("soma_http", _SOMA, peer=False),
    "soma-server": Known("soma", _SOMA, peer=False, on_postgres=True),
    "chroma": Known("chroma", "chromadb"),
    "mem0": Known("mem0", "mem0ai"),
    "langgraph": Known("langgraph", "langgraph-checkpoint", "in_memory"),
    "langgraph-postgres": Known(
        "langgraph", "langgraph-checkpoint-postgres", "on_postgres", on_postgres=True
    ),
    "langgraph-flat": Known(
        "langgraph", "langgraph-checkpoint-postgres", "on_postgres_flat", on_postgres=True
    ),
    "qdrant-local": Known("qdrant_local", "qdrant-client"),
    "mcp-memory": Known("mcp_memory", "mcp-memory-service"),
}
