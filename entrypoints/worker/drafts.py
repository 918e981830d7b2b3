"""The body of a message in the ingest topic: the same JSON that `POST /v1/memories` takes."""

from __future__ import annotations

import msgspec

from domain.draft import Draft
from domain.errors import InvalidInput
from entrypoints.http.schemas import RememberBody

_DECODER = msgspec.json.Decoder(RememberBody)


def read_draft(body: bytes) -> Draft:
    """Return the memory to store; `wait` is accepted and means nothing here.

    Raises `InvalidInput` for what is no such JSON.
    """
    try:
        return _DECODER.decode(body).draft()
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("body", str(error)) from error
