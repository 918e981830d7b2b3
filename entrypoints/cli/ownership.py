"""Who owns a data directory: one process at a time, and everybody else goes through its socket.

The owner holds a lock on `soma.lock` and serves the REST API on `soma.sock`. A command that finds
no owner becomes it for as long as it runs, so a server and a terminal side by side just work.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from domain.errors import DataDirectoryBusy, DataDirectoryError

if TYPE_CHECKING:
    from adapters.environment import Settings
    from container import Container

LOCK_NAME = "soma.lock"
SOCKET_NAME = "soma.sock"
BUSY_SECONDS = 10.0
POLL_SECONDS = 0.05
SOCKET_PATH_BYTES_MAX = 90  # the kernel takes 108 on Linux and 104 on macOS


class Directory:
    """A data directory as one process sees it. `acquire` makes sure that its socket answers."""

    def __init__(self, settings: Settings, address: str, stack: AsyncExitStack) -> None:
        """`address` is a path to the socket that is short enough; `stack` closes what is owned."""
        self.address = address
        self._settings = settings
        self._stack = stack
        self.served: Container | None = None  # what answers on the socket, where it is ours

    async def acquire(self) -> None:
        """Reach the owner, or become it; raise `DataDirectoryBusy` when neither works in 10 s."""
        deadline = time.monotonic() + BUSY_SECONDS
        while self.served is None and not _answers(self.address):
            if container := await self.own():
                await self._serve(container)
                return
            if time.monotonic() > deadline:
                raise DataDirectoryBusy(
                    f"{self._settings.data_dir} belongs to another process that does not answer"
                )
            await asyncio.sleep(POLL_SECONDS)

    def alone(self) -> None:
        """Become the owner and open nothing; raise `DataDirectoryBusy` when there is another."""
        if not self._locked():
            raise DataDirectoryBusy(
                f"{self._settings.data_dir} is owned by another process: stop it first"
            )

    def _locked(self) -> bool:
        lock = _lock(self._settings.data_dir)
        if lock is not None:
            self._stack.callback(os.close, lock)
        return lock is not None

    async def own(self) -> Container | None:
        """Become the owner and open everything; None when another process is the owner."""
        if not self._locked():
            return None
        from container import build, running

        return await self._stack.enter_async_context(running(build(self._settings)))

    async def reanalyse(self) -> int:
        """Analyse the memories in the language of the settings, unless somebody owns them now."""
        lock = _lock(self._settings.data_dir)
        if lock is None:
            return 0
        try:
            from container import build, opened

            async with opened(build(self._settings)) as container:
                return await container.reanalyse()()
        finally:
            os.close(lock)

    async def _serve(self, container: Container) -> None:
        from entrypoints.http.server import serve_socket

        await self._stack.enter_async_context(serve_socket(container, Path(self.address)))
        self.served = container


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Directory]:
    """Prepare to use a data directory; nothing is owned before `acquire` or `own`."""
    async with AsyncExitStack() as stack:
        try:
            settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(settings.data_dir, error) from error
        address = stack.enter_context(_short(settings.data_dir / SOCKET_NAME))
        yield Directory(settings, address, stack)


def _lock(directory: Path) -> int | None:
    """Take the lock of a directory; None when another process holds it."""
    try:
        descriptor = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(directory, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _answers(address: str) -> bool:
    """Tell whether somebody accepts connections there: a file without a listener refuses."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(BUSY_SECONDS)
        try:
            probe.connect(address)
        except OSError:
            return False
    return True


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Give a path to a socket that fits into a socket address: through a link, when it must."""
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="soma-") as folder:
        link = Path(folder) / "d"
        link.symlink_to(path.parent.resolve(), target_is_directory=True)
        yield str(link / path.name)


def _unusable(directory: Path, error: OSError) -> DataDirectoryError:
    return DataDirectoryError(f"cannot use the data directory {directory}: {error.strerror}")
