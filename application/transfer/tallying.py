"""Count what becomes of the lines of an import, over all its runs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from domain.transfer import ImportReport, LineError

ERRORS_MAX = 1000


@dataclass
class Tally:
    """What became of the lines up to `line`; `digest` stands for those lines."""

    line: int = 0
    digest: str = ""
    imported: int = 0
    skipped: int = 0
    errors_total: int = 0
    errors: list[LineError] = field(default_factory=list)

    @staticmethod
    def read(place: str | None) -> Tally:
        """Return what an interrupted run had counted."""
        if place is None:
            return Tally()
        facts = json.loads(place)
        errors = [LineError(**error) for error in facts.pop("errors")]
        return Tally(errors=errors, **facts)

    def written(self) -> str:
        """Return it as the place where to go on."""
        return json.dumps(asdict(self))

    def fail(self, line: int, detail: str) -> None:
        """Count a line that is wrong."""
        self.errors_total += 1
        if len(self.errors) < ERRORS_MAX:
            self.errors.append(LineError(line, detail))

    def report(self) -> ImportReport:
        """Return what is told in the end."""
        return ImportReport(self.imported, self.skipped, tuple(self.errors), self.errors_total)
