"""The web framework with nothing behind it: the floor under what HTTP can cost.

`python benchmarks/bare_server.py PORT BYTES` answers every POST to /v1/recall with so many bytes,
after decoding the body as JSON.
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import uvicorn
from litestar import Litestar, Request, Response, get, post


@post("/v1/recall", status_code=200)
async def answer(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Answer as long as a recall does."""
    msgspec.json.decode(await request.body())
    return Response(bytes(int(sys.argv[2])), media_type="application/json")


@get("/readyz")
async def ready() -> None:
    """Say that it is there."""


def main() -> None:
    """Serve until told to stop."""
    app = Litestar([answer, ready], openapi_config=None, logging_config=None)
    uvicorn.run(
        app, port=int(sys.argv[1]), loop="uvloop", http="httptools", log_level="error", ws="none"
    )


if __name__ == "__main__":
    main()
