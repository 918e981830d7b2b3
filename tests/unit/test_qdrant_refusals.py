"""What Qdrant's client raises becomes one sort of error."""

from __future__ import annotations

import pytest
from httpx import ConnectError, Headers
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from adapters.qdrant.failures import CollectionMissing, translated
from domain.errors import IndexUnavailable


def answered(status: int) -> UnexpectedResponse:
    return UnexpectedResponse(status, "", b"the reason", Headers())


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (answered(500), "answered 500: the reason"),
        (answered(401), "answered 401"),
        (answered(400), "answered 400"),
        (ResponseHandlingException(ConnectError("no")), "ConnectError"),
        (ResourceExhaustedResponse("slowly", 5), "asks to wait"),
        (TimeoutError(), "within 2 s"),
    ],
)
def test_every_failure_is_an_unavailable_index(failure: Exception, said: str) -> None:
    with pytest.raises(IndexUnavailable, match=said), translated(2.0):
        raise failure


def test_a_missing_collection_is_told_apart() -> None:
    with pytest.raises(CollectionMissing), translated(2.0):
        raise answered(404)


def test_mistakes_of_ours_are_not_hidden() -> None:
    with pytest.raises(KeyError), translated(2.0):
        raise KeyError("a mistake")
