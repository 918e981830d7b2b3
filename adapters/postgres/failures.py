"""What PostgreSQL's errors mean to the core: the only place where they are translated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from domain.errors import ChangeCollided, StoreUnavailable

_AGAIN = (errors.SerializationFailure, errors.DeadlockDetected)
# Neither is an OperationalError: a standby that was promoted away, a transaction left waiting.
_ALSO_UNAVAILABLE = (
    errors.ReadOnlySqlTransaction,
    errors.IdleInTransactionSessionTimeout,
    psycopg.InterfaceError,
)


@contextmanager
def translated() -> Iterator[None]:
    """Raise PostgreSQL's errors as the core's; a violated constraint or bad SQL stays what it is.

    Nothing of the connection string gets into a message: it may hold a password.
    """
    try:
        yield
    except _AGAIN as error:
        raise ChangeCollided("two changes got in each other's way: try again") from error
    except errors.QueryCanceled as error:
        raise StoreUnavailable("PostgreSQL took too long for a statement") from error
    except (psycopg.OperationalError, *_ALSO_UNAVAILABLE) as error:
        raise StoreUnavailable(f"PostgreSQL does not answer ({_first_line(error)})") from error


def _first_line(error: psycopg.Error) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].strip()
