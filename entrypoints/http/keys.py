"""Routes that make, list and revoke API keys."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from application.access.permits import Operation
from domain.access import ApiKey, CreatedKey, Permission
from domain.draft import Page
from domain.namespace import parse_namespace
from entrypoints.http import shapes
from entrypoints.http.access import needs
from entrypoints.http.problems import BODY, documented
from entrypoints.http.requests import Soma
from entrypoints.http.schemas import Body, Later
from entrypoints.http.schemas_recall import CursorParameter, LimitParameter
from entrypoints.http.shapes import shaped


class KeyBody(Body):
    """A key to make."""

    name: Annotated[str, shaped(shapes.KEY_NAME, "who will use it", examples=["support-bot"])]
    permission: Annotated[
        Permission, Meta(description="each includes those before it", examples=["write"])
    ]
    namespace: (
        Annotated[
            str,
            shaped(
                shapes.NAMESPACE,
                "the subtree it reaches; null: as far as the key that makes it",
                examples=["acme/support"],
            ),
        ]
        | None
    ) = None
    expires_at: Later | None = None


@post("/keys", status_code=201, opt=needs(Operation.CREATE_KEY), responses=documented(400, *BODY))
async def create_key(data: JSONBody[KeyBody], soma: Soma) -> CreatedKey:
    """Make a key. Its token is in this answer and nowhere else."""
    return await soma.create_key(
        name=data.name,
        permission=data.permission,
        namespace=None if data.namespace is None else parse_namespace(data.namespace),
        expires_at=data.expires_at,
    )


@get("/keys", opt=needs(Operation.LIST_KEYS), responses=documented(400))
async def list_keys(
    soma: Soma, limit: LimitParameter = 100, cursor: CursorParameter = None
) -> Page[ApiKey]:
    """List keys, revoked and expired ones too; never their tokens."""
    return await soma.list_keys(limit=limit, cursor=cursor)


@delete("/keys/{key_id:str}", opt=needs(Operation.REVOKE_KEY), responses=documented(400, 404))
async def revoke_key(key_id: FromPath[str], soma: Soma) -> None:
    """Revoke a key for good: within 5 seconds no replica takes it any more."""
    await soma.revoke_key(key_id)


ROUTES = [create_key, list_keys, revoke_key]
