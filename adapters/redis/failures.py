"""What the library's errors mean. It is imported late: it takes long, and may not be needed."""

from __future__ import annotations


def troubles() -> tuple[type[Exception], ...]:
    """Return everything a question may fail with when the server or the way to it is to blame."""
    from redis.exceptions import RedisClusterException, RedisError

    return RedisError, RedisClusterException, OSError


def is_refusal(error: Exception) -> bool:
    """Tell whether the server answered, and quickly, though not with what was asked for."""
    from redis.exceptions import ClusterError, ResponseError

    return (
        isinstance(error, ResponseError)
        and not isinstance(error, ClusterError)
        and not is_demotion(error)
    )


def is_demotion(error: Exception) -> bool:
    """Tell whether the connection leads to a server that has become a replica."""
    from redis.exceptions import ReadOnlyError

    return isinstance(error, ReadOnlyError)


def is_unknown_script(error: Exception) -> bool:
    """Tell whether the server has to be given the text of a script."""
    from redis.exceptions import NoScriptError

    return isinstance(error, NoScriptError)


def first_line(error: Exception) -> str:
    """Return a line for people."""
    return (str(error).splitlines() or [type(error).__name__])[0]
