"""Calls the REST application without a network, as somebody who is somewhere with a key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from litestar import Litestar

FAR = "192.0.2.7"
NEAR = "127.0.0.1"


@asynccontextmanager
async def calling(
    app: Litestar, token: str | None = None, *, address: str = FAR, **headers: str
) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client that calls from an address; headers are written with `_` for `-`."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if token is not None:
        given["Authorization"] = f"Bearer {token}"
    host = "localhost" if address == NEAR else "soma.example"
    transport = httpx.ASGITransport(app=app, client=(address, 4242))  # type: ignore[arg-type]
    async with httpx.AsyncClient(
        transport=transport, base_url=f"http://{host}", headers=given
    ) as http:
        yield http
