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
    function: str = "build"
    peer: bool = True
    on_postgres: bool = False
    #: The distribution whose version is reported.
    distribution: str | None = None

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


SYSTEMS = {
    "numpy": Known("numpy_scan", peer=False, distribution="numpy"),
    "soma": Known("soma", peer=False, distribution="somafractalmemory"),
    "soma-http": Known("soma_http", peer=False, distribution="somafractalmemory"),
    "soma-server": Known(
        "soma", peer=False, on_postgres=True, distribution="somafractalmemory"
    ),
    "chroma": Known("chroma", distribution="chromadb"),
    "mem0": Known("mem0", distribution="mem0ai"),
    "langgraph": Known("langgraph", "in_memory", distribution="langgraph-checkpoint"),
    "langgraph-postgres": Known(
        "langgraph", "on_postgres", on_postgres=True, distribution="langgraph-checkpoint-postgres"
    ),
    "qdrant-local": Known("qdrant_local", distribution="qdrant-client"),
    "mcp-memory": Known("mcp_memory", distribution="mcp-memory-service"),
}
