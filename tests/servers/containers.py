"""Servers in containers: one of one's own to kill and pause, or one that the whole run shares."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.images import IMAGES, ServerImage
from tests.servers.server import free_port

if TYPE_CHECKING:
    from docker.models.containers import Container

START_SECONDS = 60.0
STOP_SECONDS = 20
CREATE_ATTEMPTS = 5
#: Where an engine listens unless DOCKER_HOST says otherwise.
ENGINE = "unix:///var/run/docker.sock"
SESSION_LABEL = "soma-test-session"
#: Names the folder that all processes of one test run share; set by `tests.servers.session`.
SESSION_VARIABLE = "PYTEST_SOMA_SESSION"
#: The file in it that says that there are containers to remove.
USED = "used"
# Read at import: later every test hides the settings from outside.
_CHOICE = os.environ.get("SOMA_TEST_CONTAINERS", "")
_DEMANDED = _CHOICE == "1" or os.environ.get("USE_REAL_INFRA") == "1"


class ContainerServer:
    """A server in a container; its address and its data outlive a stop, until `remove`."""

    def __init__(
        self, kind: ServerImage, *, lasting: bool = True, advertised_port: int | None = None
    ) -> None:
        """`lasting=False`: data is kept in memory and does not outlive a stop.

        Kafka's clients connect to what the broker advertises: to a proxy's port, if one is given.
        """
        self._kind = kind
        self._lasting = lasting
        self._advertised_port = advertised_port
        self._container: Container | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return self._kind.url.format(port=self._advertised_port or self.port)

    def start(self) -> None:
        """Start it, and return when it answers; OSError when it does not."""
        if self._container is None:
            self._container = self._created()
        else:
            self._container.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._kind.answers(self.port):
            self._container.reload()
            if self._container.status == "exited" or time.monotonic() > deadline:
                raise OSError(f"{self._kind.image} does not start: {self.log_tail()}")
            time.sleep(0.05)  # polls a condition

    def stop(self) -> None:
        """Let it end in order."""
        if self._container is not None:
            self.resume()
            self._container.stop(timeout=STOP_SECONDS)

    def kill(self) -> None:
        """End it at once."""
        if self._container is not None and self._status() in {"running", "paused"}:
            self._container.kill()
            self._container.wait(timeout=STOP_SECONDS)

    def pause(self) -> None:
        """Let it go silent."""
        if self._container is not None:
            self._container.pause()

    def resume(self) -> None:
        """Let it go on."""
        if self._container is not None and self._status() == "paused":
            self._container.unpause()

    def remove(self) -> None:
        """End it for good, with its data."""
        if self._container is not None:
            self._container.remove(force=True, v=True)
            _close(self._container)
            self._container = None

    def log_tail(self) -> str:
        """Return the end of what it wrote."""
        if self._container is None:
            return ""
        log: bytes = self._container.logs(tail=30)
        return log.decode(errors="replace")[-2000:]

    def _status(self) -> str:
        assert self._container is not None
        self._container.reload()
        status: str = self._container.status
        return status

    def _created(self) -> Container:
        from docker.errors import APIError, DockerException

        for _ in range(CREATE_ATTEMPTS - 1):
            try:
                return self._try_to_create()
            except APIError as error:
                if "already allocated" not in str(error) and "in use" not in str(error):
                    raise OSError(f"{self._kind.image}: {error}") from error
                self.port = free_port()
            except DockerException as error:
                raise OSError(f"{self._kind.image}: {error}") from error
        return self._try_to_create()

    def _try_to_create(self) -> Container:
        from testcontainers.core.config import testcontainers_config
        from testcontainers.core.container import DockerContainer

        # The plug-in `session` removes what is left: no container has to watch the others.
        testcontainers_config.ryuk_disabled = True
        advertised = self._advertised_port or self.port
        kind = self._kind
        started = DockerContainer(kind.image)
        environ = {**kind.environ, **(kind.lasting_environ if self._lasting else {})}
        for name, text in environ.items():
            started.with_env(name, text.replace("{advertised}", str(advertised)))
        started.ports[str(kind.port)] = ("127.0.0.1", self.port)  # type: ignore[assignment]
        if kind.command is not None:
            started.with_command(list(kind.command))
        if kind.data is not None and not self._lasting:
            started.with_tmpfs_mount(kind.data)
        started.with_kwargs(labels={SESSION_LABEL: _session()})
        try:
            started.start()
        except BaseException:
            started.stop()
            raise
        return started.get_wrapped_container()


def container_server(name: str, *, advertised_port: int | None = None) -> ContainerServer | None:
    """Return a server of one's own, not yet started; None where containers cannot be had."""
    if unusable(name) is not None:
        return None
    return ContainerServer(IMAGES[name], advertised_port=advertised_port)


def shared_container(name: str) -> str | None:
    """Return the URL of the server that the whole run shares, started by whoever asks first.

    None where containers cannot be had; what went wrong is kept for the run's closing lines.
    """
    if unusable(name) is not None:
        return None
    folder = Path(_session())
    address, failure = (folder / f"{name}.{kind}" for kind in ("url", "failure"))
    with _locked(folder / f"{name}.lock"):
        if failure.exists():
            return None
        if not address.exists():
            server = ContainerServer(IMAGES[name], lasting=False)
            try:
                server.start()
            except OSError as error:
                failure.write_text(str(error))
                server.remove()
                return None
            address.write_text(server.url)
        return address.read_text()


@cache
def unusable(name: str) -> str | None:
    """Return why a server cannot run in a container here, None when it can.

    An image that is not there is pulled only where containers or real servers are demanded.
    """
    if _CHOICE == "0":
        return "SOMA_TEST_CONTAINERS=0"
    try:
        import docker
        from docker.errors import DockerException, ImageNotFound
    except ImportError:
        return "testcontainers is not installed"
    if not _listens(os.environ.get("DOCKER_HOST", ENGINE)):
        return "no container engine answers"
    try:
        client = docker.from_env(timeout=10)
    except DockerException:
        return "no container engine answers"
    image = IMAGES[name].image
    try:
        client.images.get(image)
    except ImageNotFound:
        if not _DEMANDED:
            return f"the image {image} is not here (SOMA_TEST_CONTAINERS=1 pulls it)"
        try:
            client.images.pull(image)
        except DockerException as error:
            return f"the image {image} cannot be pulled ({type(error).__name__})"
    except DockerException as error:
        return f"the container engine fails ({type(error).__name__})"
    finally:
        client.close()
    return None


def _listens(engine: str) -> bool:
    """Tell whether anybody listens on the engine's socket; of other addresses it is assumed.

    The engine's client never closes the socket on which nobody answered, and whichever test runs
    when it is collected would fail for it.
    """
    scheme, _, path = engine.partition("://")
    if scheme != "unix":
        return True
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(path) == 0


def remove_session(session: str) -> None:
    """Remove every container of a test run."""
    import docker

    client = docker.from_env(timeout=30)
    try:
        left = client.containers.list(all=True, filters={"label": f"{SESSION_LABEL}={session}"})
        for container in left:
            container.remove(force=True, v=True)
    finally:
        client.close()


def _session() -> str:
    """Return the folder of this run, and note in it that there are containers to remove."""
    folder = os.environ[SESSION_VARIABLE]
    (Path(folder) / USED).touch()
    return folder


def _close(container: Container) -> None:
    client = container.client
    if client is not None:
        client.close()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process of the run at a time in."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
