"""The one place that decides whether a principal may do something; every door asks here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from domain.access import Permission, Principal
from domain.errors import Forbidden


class Operation(StrEnum):
    """Everything that can be asked for through any door."""

    REMEMBER = "remember"
    RECALL = "recall"
    SHOW = "show"
    LIST_MEMORIES = "list_memories"
    HISTORY = "history"
    REVISE = "revise"
    FORGET = "forget"
    ERASE = "erase"
    CONNECT = "connect"
    DISCONNECT = "disconnect"
    NEIGHBORS = "neighbors"
    FIND_PATH = "find_path"
    LIST_NAMESPACES = "list_namespaces"
    SHOW_NAMESPACE = "show_namespace"
    SET_POLICY = "set_policy"
    ERASE_NAMESPACE = "erase_namespace"
    WATCH = "watch"
    EXPORT = "export"
    IMPORT_LINES = "import_lines"
    CREATE_KEY = "create_key"
    LIST_KEYS = "list_keys"
    REVOKE_KEY = "revoke_key"
    READ_SCHEMA = "read_schema"
    READ_METRICS = "read_metrics"
    DIAGNOSE = "diagnose"
    PENDING = "pending"
    REINDEX = "reindex"
    RECONCILE = "reconcile"
    BACKUP = "backup"
    LIST_JOBS = "list_jobs"
    SHOW_JOB = "show_job"
    CANCEL_JOB = "cancel_job"


@dataclass(frozen=True, slots=True)
class Rule:
    """What an operation needs; `everywhere`: it cannot be cut to a subtree."""

    permission: Permission
    everywhere: bool = False


_READ = Rule(Permission.READ)
_WRITE = Rule(Permission.WRITE)
_ADMIN = Rule(Permission.ADMIN)
_OPERATOR = Rule(Permission.ADMIN, everywhere=True)

RULES: Mapping[Operation, Rule] = {
    Operation.REMEMBER: _WRITE,
    Operation.RECALL: _READ,
    Operation.SHOW: _READ,
    Operation.LIST_MEMORIES: _READ,
    Operation.HISTORY: _READ,
    Operation.REVISE: _WRITE,
    Operation.FORGET: _WRITE,
    Operation.ERASE: _WRITE,
    Operation.CONNECT: _WRITE,
    Operation.DISCONNECT: _WRITE,
    Operation.NEIGHBORS: _READ,
    Operation.FIND_PATH: _READ,
    Operation.LIST_NAMESPACES: _READ,
    Operation.SHOW_NAMESPACE: _READ,
    Operation.SET_POLICY: _ADMIN,
    Operation.ERASE_NAMESPACE: _ADMIN,
    Operation.WATCH: _READ,
    Operation.EXPORT: _READ,
    Operation.IMPORT_LINES: _WRITE,
    Operation.CREATE_KEY: _ADMIN,
    Operation.LIST_KEYS: _ADMIN,
    Operation.REVOKE_KEY: _ADMIN,
    Operation.READ_SCHEMA: _READ,
    Operation.READ_METRICS: _OPERATOR,
    Operation.DIAGNOSE: _OPERATOR,
    Operation.PENDING: _OPERATOR,
    Operation.REINDEX: _OPERATOR,
    Operation.RECONCILE: _OPERATOR,
    Operation.BACKUP: _OPERATOR,
    Operation.LIST_JOBS: _OPERATOR,
    Operation.SHOW_JOB: _OPERATOR,
    Operation.CANCEL_JOB: _OPERATOR,
}


def permit(principal: Principal, operation: Operation, *namespaces: str) -> None:
    """Raise `Forbidden` unless the principal may do this in all of these namespaces.

    The answer does not depend on what exists.
    """
    rule = RULES[operation]
    if not principal.permission.includes(rule.permission):
        raise Forbidden(f"{operation} needs the permission {rule.permission.value!r}")
    if rule.everywhere and principal.within is not None:
        raise Forbidden(f"{operation} needs a key that is not bound to a namespace")
    for namespace in namespaces:
        if not principal.reaches(namespace):
            raise Forbidden(f"the key does not reach the namespace {namespace!r}")
