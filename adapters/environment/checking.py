"""What the types of the settings cannot say of their values."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from adapters.environment.settings import KEYS
from domain.errors import InvalidInput
from domain.namespace import parse_namespace

_PRINTABLE = re.compile(r"[ -~]+")
_PORT_MAX = 65535
#: What browsers send as `Origin`: in small letters, without a path; `*` and `null` name nobody.
_ORIGIN = re.compile(
    r"[a-z][a-z0-9+.-]*://([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?"
)


def cleaned(name: str, value: object) -> object:
    """Return a value without what came along by mistake: the line end of a key, above all."""
    return value.strip() if name in KEYS and isinstance(value, str) else value


def objection(name: str, value: object) -> str | None:
    """Return what is wrong with a value of the right type, without the value; None for nothing."""
    if not isinstance(value, str):
        return None
    if name in KEYS:
        return None if _PRINTABLE.fullmatch(value) else "expected printable ASCII characters only"
    if name == "url":
        return None if _is_http(value) else "must look like http://127.0.0.1:8420"
    if name == "cors_origins":
        return _no_origins(value)
    if name == "namespace":
        return _no_namespace(value)
    if name == "postgres_url":
        return None if _is_postgres(value) else "is not a URL of PostgreSQL's form"
    return None


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and (port is None or port <= _PORT_MAX)
        and not (parts.query or parts.fragment or re.search(r"\s", url))
    )


def _no_origins(sites: str) -> str | None:
    if all(_ORIGIN.fullmatch(site.strip()) for site in sites.split(",")):
        return None
    return "expected scheme://host[:port] as browsers send it, several separated by commas"


def _is_postgres(url: str) -> bool:
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        parts = conninfo_to_dict(url)
        [int(port) for port in str(parts.get("port") or 0).split(",")]
    except (ProgrammingError, ValueError):
        return False
    return True


def _no_namespace(path: str) -> str | None:
    try:
        parse_namespace(path)
    except InvalidInput as error:
        return error.reason
    return None
