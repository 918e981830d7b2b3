"""Routes about namespaces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from litestar import delete, get, patch
from litestar.params import FromPath, JSONBody, QueryParameter

from domain.draft import Page
from domain.namespace import Namespace, NamespaceStats, parse_namespace
from entrypoints.http.problems import documented
from entrypoints.http.requests import Caller, Soma
from entrypoints.http.schemas import NamespaceBody
from entrypoints.http.schemas_recall import CursorParameter, LimitParameter


@dataclass(frozen=True, slots=True)
class ErasedNamespace:
    """How many memories were erased."""

    erased: int


@get("/namespaces", responses=documented(400))
async def list_namespaces(
    container: Soma,
    under: Annotated[str | None, QueryParameter(description="only this subtree")] = None,
    limit: LimitParameter = 100,
    cursor: CursorParameter = None,
) -> Page[NamespaceStats]:
    """List namespaces in path order."""
    return await container.list_namespaces()(
        under=None if under is None else parse_namespace(under, "under"),
        limit=limit,
        cursor=cursor,
    )


@get("/namespaces/{path:path}", responses=documented(400, 404))
async def show_namespace(path: FromPath[Path], container: Soma) -> NamespaceStats:
    """Show what a namespace holds, its lag and its own policy."""
    return await container.show_namespace()(_namespace(path))


@patch("/namespaces/{path:path}", responses=documented(400))
async def set_policy(
    path: FromPath[Path], data: JSONBody[NamespaceBody], container: Soma, caller: Caller
) -> NamespaceStats:
    """Replace a namespace's own policy; an absent namespace comes into being."""
    return await container.set_policy()(_namespace(path), data.policy.policy(), actor=caller)


@delete("/namespaces/{path:path}", status_code=200, responses=documented(400, 404))
async def erase_namespace(path: FromPath[Path], container: Soma, caller: Caller) -> ErasedNamespace:
    """Erase every memory of a namespace and of everything below it."""
    return ErasedNamespace(await container.erase_namespace()(_namespace(path), actor=caller))


def _namespace(path: FromPath[Path]) -> Namespace:
    return parse_namespace(path.as_posix().lstrip("/"), "path")


ROUTES = [list_namespaces, show_namespace, set_policy, erase_namespace]
