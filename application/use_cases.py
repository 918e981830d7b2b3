"""Everything a door can set in motion, wired."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from application.access.keys import CreateKey, ListKeys, RevokeKey
from application.connect import Connect, Disconnect, FindPath, Neighbors
from application.forget import Erase, Forget
from application.jobs.control import CancelJob, ListJobs, ShowJob
from application.jobs.long_work import BackupAsJob, ReconcileAsJob, ReindexAsJob
from application.namespaces import EraseNamespace, ListNamespaces, SetPolicy, ShowNamespace
from application.recall import Recall
from application.remember import Remember, RememberBatch
from application.revise import Revise
from application.show import History, ListMemories, Show
from application.transfer.as_jobs import ExportAsJob, ImportAsJob
from application.upkeep.maintain import Diagnose, Pending
from application.watch import Watch
from domain.access import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCases:
    """What a guard stands before. `confirm` raises `AccessDenied` once a key has ended."""

    remember: Remember
    remember_batch: RememberBatch
    recall: Recall
    show: Show
    list_memories: ListMemories
    history: History
    revise: Revise
    forget: Forget
    erase: Erase
    connect: Connect
    disconnect: Disconnect
    neighbors: Neighbors
    find_path: FindPath
    list_namespaces: ListNamespaces
    show_namespace: ShowNamespace
    set_policy: SetPolicy
    erase_namespace: EraseNamespace
    watch: Watch
    export: ExportAsJob
    import_lines: ImportAsJob
    create_key: CreateKey
    list_keys: ListKeys
    revoke_key: RevokeKey
    diagnose: Diagnose
    pending: Pending
    reindex: ReindexAsJob
    reconcile: ReconcileAsJob
    backup: BackupAsJob
    list_jobs: ListJobs
    show_job: ShowJob
    cancel_job: CancelJob
    shown_settings: Mapping[str, object]
    confirm: Callable[[Principal], Awaitable[None]]
