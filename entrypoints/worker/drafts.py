"""The body of a message in the ingest topic: the same JSON that `POST /v1/memories` takes."""

from __future__ import annotations

from domain.draft import Draft
from domain.namespace import Namespace
from entrypoints.decoding import decoded
from entrypoints.http.schemas import RememberBody


def read_draft(body: bytes, home: Namespace) -> Draft:
    """Return the memory to store; `wait` is accepted and means nothing here.

    `home` is where it goes without a namespace.

    Raises `InvalidInput` naming the field for what is no such JSON.
    """
    return decoded(body, RememberBody).draft(home)
