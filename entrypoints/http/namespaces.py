"""Routes about namespaces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

from litestar import Request, delete, get, patch
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody, QueryParameter

from application.access.guarded import Guarded
from application.access.permits import Operation
from domain.draft import Page
from domain.namespace import Namespace, NamespaceStats, parse_namespace
from entrypoints.http import shapes
from entrypoints.http.access import needs
from entrypoints.http.problems import BODY, documented
from entrypoints.http.requests import Soma
from entrypoints.http.schemas import NamespaceBody
from entrypoints.http.schemas_recall import CursorParameter, LimitParameter

Call = Request[Any, Guarded, State]


@dataclass(frozen=True, slots=True)
class ErasedNamespace:
    """How many memories were erased."""

    erased: int


@get("/namespaces", opt=needs(Operation.LIST_NAMESPACES), responses=documented(400))
async def list_namespaces(
    soma: Soma,
    under: Annotated[
        str | None,
        QueryParameter(description="only this subtree", schema_extra=dict(shapes.NAMESPACE)),
    ] = None,
    limit: LimitParameter = 100,
    cursor: CursorParameter = None,
) -> Page[NamespaceStats]:
    """List namespaces in path order."""
    return await soma.list_namespaces(
        under=None if under is None else parse_namespace(under, "under"),
        limit=limit,
        cursor=cursor,
    )


@get("/namespaces/{path:path}", opt=needs(Operation.SHOW_NAMESPACE), responses=documented(400, 404))
async def show_namespace(path: FromPath[Path], request: Call, soma: Soma) -> NamespaceStats:
    """Show what a namespace holds, its lag and its own policy."""
    return await soma.show_namespace(_namespace(request))


@patch("/namespaces/{path:path}", opt=needs(Operation.SET_POLICY), responses=documented(400, *BODY))
async def set_policy(
    path: FromPath[Path], data: JSONBody[NamespaceBody], request: Call, soma: Soma
) -> NamespaceStats:
    """Replace a namespace's own policy; an absent namespace comes into being."""
    return await soma.set_policy(_namespace(request), data.policy.policy())


@delete(
    "/namespaces/{path:path}",
    opt=needs(Operation.ERASE_NAMESPACE),
    status_code=200,
    responses=documented(400, 404),
)
async def erase_namespace(path: FromPath[Path], request: Call, soma: Soma) -> ErasedNamespace:
    """Erase every memory of a namespace and of everything below it."""
    return ErasedNamespace(await soma.erase_namespace(_namespace(request)))


def _namespace(request: Call) -> Namespace:
    """Read the path as it was sent: the `path` of a handler lost its empty segments and dots."""
    sent = unquote(request.scope["raw_path"])
    return parse_namespace(sent.partition("/namespaces/")[2], "path")


ROUTES = [list_namespaces, show_namespace, set_policy, erase_namespace]
