"""How an import is to be done, and how it goes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from domain.access import is_inside
from domain.draft import Wait
from domain.errors import Forbidden
from domain.namespace import Namespace
from domain.transfer import ImportReport, LineError

ERRORS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Order:
    """How to load lines: what to wait for, for whom, and where they may go."""

    wait: Wait
    actor: str
    within: Namespace | None

    def check(self, namespaces: Iterable[str]) -> None:
        """Refuse what is to go outside; whether the namespace exists makes no difference."""
        for namespace in namespaces:
            if not is_inside(Namespace(namespace), self.within):
                raise Forbidden(f"the key does not reach the namespace {namespace!r}")


@dataclass
class Tally:
    """What has become of the lines so far."""

    imported: int = 0
    skipped: int = 0
    errors_total: int = 0
    errors: list[LineError] = field(default_factory=list)

    def fail(self, line: int, detail: str) -> None:
        """Note a bad line; of a thousand the detail is kept."""
        self.errors_total += 1
        if len(self.errors) < ERRORS_MAX:
            self.errors.append(LineError(line, detail))

    def report(self) -> ImportReport:
        """Return it as the caller gets it."""
        return ImportReport(self.imported, self.skipped, tuple(self.errors), self.errors_total)
