"""Backups as folders: the files of a snapshot, and a manifest with their checksums.

A folder is written under another name and appears at its own only when everything in it is on the
disk. `manifest.json` is written last and holds a checksum of itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from domain.backup import FORMAT, Manifest, Part, StoreFacts
from domain.errors import BackupDamaged, InvalidInput

MANIFEST = "manifest.json"
_OWNER_ONLY = 0o600
_CHUNK_BYTES = 1024 * 1024


class _Signed(msgspec.Struct):
    """`manifest` is the text whose SHA-256 stands beside it."""

    sha256: str
    manifest: msgspec.Raw


class BackupFolders:
    """Implements `domain.ports.Archives`."""

    def __init__(self, apart_from: Path | None = None) -> None:
        """`apart_from` is the folder of the store: what lies inside is lost together with it."""
        self._apart_from = apart_from

    @asynccontextmanager
    async def making(self, path: Path, /, *, name: str) -> AsyncIterator[Path]:
        """Give a folder to write into, which goes unless it is sealed."""
        if not path.name:
            raise InvalidInput("to", f"{path} is no place for a folder of its own")
        folder = path.with_name(f".{path.name}.{name}.partial")
        try:
            await asyncio.to_thread(_begin, path, folder, self._apart_from)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            yield folder
        except (TimeoutError, ConnectionError):
            raise  # of a server: the folder has nothing to do with it
        except OSError as error:
            raise _unwritable(path, error) from error
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def seal(
        self, folder: Path, path: Path, facts: StoreFacts, /, *, at: datetime
    ) -> Manifest:
        """Add the checksums and let the folder appear at `path`."""
        return await asyncio.to_thread(_seal, folder, path, facts, at)

    async def verify(self, path: Path, /) -> Manifest:
        """Read everything again; raise `BackupDamaged` unless it is what was written."""
        return await asyncio.to_thread(_verify, path)


def _unwritable(path: Path, error: OSError) -> InvalidInput:
    return InvalidInput("to", f"{path} cannot be written: {error.strerror or error}")


def _begin(path: Path, folder: Path, apart_from: Path | None) -> None:
    if apart_from is not None and path.parent.resolve().is_relative_to(apart_from.resolve()):
        raise InvalidInput("to", f"{path} is inside of the data directory, and is lost with it")
    if path.exists() or path.is_symlink():
        raise InvalidInput("to", f"{path} is there already")
    # Left by a run of the same job that was killed.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)


def _seal(folder: Path, path: Path, facts: StoreFacts, at: datetime) -> Manifest:
    parts = [_part(file) for file in sorted(folder.iterdir())]
    manifest = Manifest(format=FORMAT, made_at=at, facts=facts, parts=parts)
    text = msgspec.json.encode(manifest)
    signed = _Signed(hashlib.sha256(text).hexdigest(), msgspec.Raw(text))
    target = folder / MANIFEST
    # The folder lets nobody else in: until here it does not matter who may read the files.
    target.write_bytes(msgspec.json.format(msgspec.json.encode(signed)) + b"\n")
    for file in folder.iterdir():
        file.chmod(_OWNER_ONLY)
        _flush(file)
    _flush(folder)
    folder.rename(path)
    _flush(path.parent)
    return manifest


def _verify(path: Path) -> Manifest:
    manifest = _manifest(path)
    if manifest.format != FORMAT:
        raise BackupDamaged(f"{path} has format {manifest.format}, this program knows {FORMAT}")
    for part in manifest.parts:
        try:
            found = _part(path / part.name)
        except OSError as error:
            raise BackupDamaged(f"{path / part.name} cannot be read: {error.strerror}") from error
        if found != part:
            raise BackupDamaged(f"{path / part.name} is not what was written")
    return manifest


def _manifest(path: Path) -> Manifest:
    try:
        text = (path / MANIFEST).read_bytes()
    except OSError as error:
        raise BackupDamaged(f"{path} is not a backup: no {MANIFEST} ({error.strerror})") from error
    try:
        signed = msgspec.json.decode(text, type=_Signed)
        compact = msgspec.json.format(bytes(signed.manifest), indent=-1)
        if hashlib.sha256(compact).hexdigest() != signed.sha256:
            raise BackupDamaged(f"{path / MANIFEST} is not what was written")
        return msgspec.json.decode(compact, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BackupDamaged(f"{path / MANIFEST} cannot be read ({error})") from error


def _part(file: Path) -> Part:
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as source:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return Part(file.name, size, digest.hexdigest())


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
