"""Who may do what, and where: permissions, principals, and the keys that make one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from domain.errors import InvalidInput
from domain.memory import checked_text
from domain.namespace import DEFAULT_NAMESPACE, Namespace, Scope, ScopeKind

NAME_LENGTH_MAX = 128
_NAME = re.compile(r"[A-Za-z0-9_.@+=/ -]+")


class Permission(StrEnum):
    """What a key is for; each includes those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    def includes(self, other: Permission) -> bool:
        """Tell whether whoever has this permission also has `other`."""
        order = list(Permission)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: `name` is what history and audit say, `within` the subtree they may reach.

    `within` is None for everywhere, `key_id` None for who needs no key of the store.
    """

    name: str
    permission: Permission
    within: Namespace | None = None
    key_id: str | None = None

    @property
    def home(self) -> Namespace:
        """Where a request goes that names no namespace: the root of what they may reach."""
        return DEFAULT_NAMESPACE if self.within is None else self.within

    def reaches(self, namespace: str) -> bool:
        """Tell whether a namespace lies in the subtree, existing or not."""
        return self.within is None or is_inside(Namespace(namespace), self.within)


def is_inside(namespace: Namespace, within: Namespace | None) -> bool:
    """Tell whether a namespace lies in a subtree; None is everywhere."""
    return within is None or Scope(within, ScopeKind.SUBTREE).contains(namespace)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What may be known of a key by those who look after it: everything but the secret.

    `namespace` None is everywhere; `last_used_at` is written in batches and lags a minute.
    """

    id: str
    name: str
    permission: Permission
    namespace: Namespace | None
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def works_at(self, moment: datetime) -> bool:
        """Tell whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or moment < self.expires_at)

    def principal(self) -> Principal:
        """Return who calls with this key. The id keeps two keys of one name apart."""
        return Principal(f"{self.name}:{self.id}", self.permission, self.namespace, self.id)


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A new key with its token, which is shown this once and kept nowhere."""

    key: ApiKey
    token: str = field(repr=False)


def check_key_name(name: str) -> str:
    """Return a name of 1 to 128 characters that no built-in caller can have (none has a `:`)."""
    checked_text(name, "name")
    if not 1 <= len(name) <= NAME_LENGTH_MAX or not _NAME.fullmatch(name):
        raise InvalidInput(
            "name", f"must be 1 to {NAME_LENGTH_MAX} of letters, digits, spaces and _.@+=/-"
        )
    return name
