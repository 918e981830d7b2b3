"""How an import is to be done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from domain.access import is_inside
from domain.draft import Wait
from domain.errors import Forbidden
from domain.namespace import Namespace


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
