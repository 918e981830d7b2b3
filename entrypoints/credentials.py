"""How callers show their key, whatever the door."""

from __future__ import annotations

import ipaddress

AUTHORIZATION = "authorization"
API_KEY = "x-api-key"


def token_of(authorization: str | None, api_key: str | None) -> str | None:
    """Return the token of `Authorization: Bearer ...`, or else of `X-API-Key`."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip() or None
    return api_key or None


def is_loopback(host: str | None) -> bool:
    """Tell whether an address or host name means this machine."""
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
