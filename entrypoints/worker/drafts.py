"""The body of a message in the ingest topic: the same JSON that `POST /v1/memories` takes."""

from __future__ import annotations

from domain.draft import Draft
from entrypoints.http.requests import decoded
from entrypoints.http.schemas import RememberBody


def read_draft(body: bytes) -> Draft:
    """Return the memory to store; `wait` is accepted and means nothing here.

    Raises `InvalidInput` naming the field for what is no such JSON.
    """
    return decoded(body, RememberBody).draft()
