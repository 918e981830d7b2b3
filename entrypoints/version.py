"""Which version of Soma this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def version_text() -> str:
    """Return the version of the installed package; "0" in a checkout that is not installed."""
    try:
        return version("somafractalmemory")
    except PackageNotFoundError:
        return "0"
