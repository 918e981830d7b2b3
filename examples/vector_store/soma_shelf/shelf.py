"""The file: vectors and watermarks, as this store likes to keep them. Knows nothing of Soma."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS points (
    id TEXT PRIMARY KEY, namespace TEXT NOT NULL, own BLOB, context BLOB,
    valid_from REAL NOT NULL, valid_to REAL NOT NULL, expires_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS points_by_namespace ON points (namespace);
CREATE TABLE IF NOT EXISTS marks (
    namespace TEXT PRIMARY KEY, epoch TEXT NOT NULL, seq INTEGER NOT NULL
) WITHOUT ROWID;
"""
_COLUMNS = "id, own, context, valid_from, valid_to, expires_at"
#: SQLite takes 32,766 parameters at once.
_IDS_AT_ONCE = 10_000
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Point:
    """One memory's vectors (little-endian float32), and when it counts (Unix seconds)."""

    id: str
    own: bytes | None
    context: bytes | None
    span: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Shelf:
    """Every method is one transaction on a connection of its own; raises `sqlite3.Error`."""

    path: Path

    def mark(self, namespace: str) -> tuple[str, int]:
        """Return how far a namespace has come: its epoch and sequence number."""
        with self._opened() as db:
            found = db.execute(
                "SELECT epoch, seq FROM marks WHERE namespace = ?", (namespace,)
            ).fetchone()
        return ("", 0) if found is None else (found[0], found[1])

    def apply(
        self,
        namespace: str,
        epoch: str,
        seq: int,
        points: Sequence[Point],
        gone: Sequence[str],
        *,
        anew: bool,
    ) -> None:
        """Write points, remove others, move the watermark; `anew` empties the namespace first."""
        with self._opened() as db:
            if anew:
                db.execute("DELETE FROM points WHERE namespace = ?", (namespace,))
            db.executemany("DELETE FROM points WHERE id = ?", [(id,) for id in gone])
            db.executemany(
                f"INSERT OR REPLACE INTO points ({_COLUMNS}, namespace) VALUES (?,?,?,?,?,?,?)",
                [(point.id, point.own, point.context, *point.span, namespace) for point in points],
            )
            db.execute("INSERT OR REPLACE INTO marks VALUES (?, ?, ?)", (namespace, epoch, seq))

    def among(self, namespaces: Sequence[str]) -> list[Point]:
        """Return every point of these namespaces."""
        found: list[Point] = []
        with self._opened() as db:
            for namespace in namespaces:
                rows = db.execute(
                    f"SELECT {_COLUMNS} FROM points WHERE namespace = ?", (namespace,)
                )
                found += map(_point, rows)
        return found

    def these(self, ids: Sequence[str]) -> list[Point]:
        """Return those points that there are."""
        found: list[Point] = []
        with self._opened() as db:
            for start in range(0, len(ids), _IDS_AT_ONCE):
                some = ids[start : start + _IDS_AT_ONCE]
                holders = ",".join("?" * len(some))
                rows = db.execute(f"SELECT {_COLUMNS} FROM points WHERE id IN ({holders})", some)
                found += map(_point, rows)
        return found

    def clear(self) -> None:
        """Throw everything away."""
        with self._opened() as db:
            db.execute("DELETE FROM points")
            db.execute("DELETE FROM marks")

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=_TIMEOUT_SECONDS)) as db, db:
            db.executescript(_SCHEMA)
            db.execute("BEGIN")
            yield db


def _point(row: tuple[str, bytes | None, bytes | None, float, float, float]) -> Point:
    id, own, context, *span = row
    return Point(id, own, context, (span[0], span[1], span[2]))
