"""What Qdrant's client raises, as domain errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from domain.errors import IndexUnavailable

_NOT_FOUND = 404


class CollectionMissing(IndexUnavailable):
    """The collection is not there (any more)."""


class CollectionRemade(IndexUnavailable):
    """The collection is not the one that was asked before: it was lost and made again."""


@contextmanager
def translated(seconds: float) -> Iterator[None]:
    """Raise `IndexUnavailable` for whatever keeps Qdrant from answering.

    A refusal (4xx) counts too: recall goes on without an index whose key is wrong.
    """
    import grpc
    from qdrant_client.common.client_exceptions import QdrantException
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    try:
        yield
    except TimeoutError as error:
        raise IndexUnavailable(f"Qdrant did not answer within {seconds:g} s") from error
    except UnexpectedResponse as error:
        if error.status_code == _NOT_FOUND:
            raise CollectionMissing("Qdrant does not know the collection") from error
        raise IndexUnavailable(f"Qdrant answered {error.status_code}: {_reason(error)}") from error
    except ResponseHandlingException as error:
        cause = type(error.source).__name__
        raise IndexUnavailable(f"Qdrant cannot be asked: {cause}") from error
    except QdrantException as error:
        raise IndexUnavailable("Qdrant asks to wait") from error
    except grpc.RpcError as error:
        code = error.code() if isinstance(error, grpc.Call | grpc.aio.AioRpcError) else None
        if code is grpc.StatusCode.NOT_FOUND:
            raise CollectionMissing("Qdrant does not know the collection") from error
        raise IndexUnavailable(f"Qdrant cannot be asked: {code}") from error


def _reason(error: object) -> str:
    """Return the beginning of what the server wrote."""
    content = getattr(error, "content", b"")
    return content[:200].decode(errors="replace") if isinstance(content, bytes) else ""
