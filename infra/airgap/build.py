"""Make images for hosts that reach no image registry: `python3 -m infra.airgap.build`.

Debian comes by debootstrap, the servers by apt, Kafka's jars by Maven. A tag is a hash
of the recipe, so what is built already is not built again. Prints one line `NAME_IMAGE=tag` for
each image. Needs root (for debootstrap), Maven, and a docker client that can build.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from infra import engine

HERE = Path(__file__).resolve().parent
PREFIX = "soma-test"
SUITE = "trixie"  # has PostgreSQL 17 and Redis 8, as the official images that compose names
IMAGES = ("python", "postgres", "redis", "kafka")
JARS = HERE / "kafka" / "jars.lock"
BUILD_SECONDS = 900
#: What no container reads.
_LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale")
_EMPTIED = ("var/cache/apt", "var/lib/apt/lists", "var/log/apt", "var/cache/debconf")


class BuildFailed(Exception):
    """An image could not be made; the message says which step failed, and how."""


def main() -> int:
    """Build what is asked for and print the tags; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("images", nargs="*", metavar="IMAGE", help=f"of {', '.join(IMAGES)}")
    parser.add_argument("--suite", default=SUITE, help="the Debian release (default %(default)s)")
    parser.add_argument("--force", action="store_true", help="build what exists again")
    parser.add_argument("--print", action="store_true", help="only print the tags")
    options = parser.parse_args()
    names = options.images or list(IMAGES)
    if unknown := set(names) - set(IMAGES):
        parser.error(f"there is no image {', '.join(sorted(unknown))}")
    try:
        if not options.print:
            _build_all(names, options.suite, force=options.force)
    except (engine.EngineMissing, BuildFailed) as error:
        print(f"airgap: {error}", file=sys.stderr)
        return 1
    for name in names:
        print(f"{name.upper()}_IMAGE={tag(name, options.suite)}")
    return 0


def tag(name: str, suite: str = SUITE) -> str:
    """Return the tag of an image: the same for the same recipe, down to the base."""
    digest = hashlib.sha256(f"{name} {suite}".encode())
    recipe = [Path(__file__), *sorted((HERE / "base").iterdir())]
    if name != "base":
        recipe += sorted((HERE / name).iterdir())
    for file in recipe:
        digest.update(f"{file.parent.name}/{file.name} {file.stat().st_mode & 0o111}".encode())
        digest.update(file.read_bytes())
    return f"{PREFIX}/{name}:{digest.hexdigest()[:16]}"


def _build_all(names: list[str], suite: str, *, force: bool) -> None:
    """Build the base, then everything on it, two at a time."""
    missing = [name for name in names if force or not engine.has_image(tag(name, suite))]
    if not missing:
        return
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        jars = Path(folder) / "jars"
        downloading = pool.submit(_fetch_jars, jars) if "kafka" in missing else None
        if force or not engine.has_image(tag("base", suite)):
            _timed("base", lambda: _build_base(suite, Path(folder) / "root"))
        if downloading is not None:
            downloading.result()
        one = partial(_build, suite=suite, jars=jars, force=force)
        builds = [pool.submit(_timed, name, partial(one, name)) for name in missing]
        for build in builds:
            build.result()


def _build_base(suite: str, root: Path) -> None:
    """Import a minimal Debian, without what no container reads."""
    if os.geteuid() != 0:
        raise BuildFailed("debootstrap needs root")
    _run(["debootstrap", "--variant=minbase", suite, str(root)])
    base = HERE / "base"
    _put(base / "dpkg.conf", root / "etc/dpkg/dpkg.cfg.d/soma", 0o644)
    _put(base / "apt.conf", root / "etc/apt/apt.conf.d/90soma", 0o644)
    _put(base / "policy-rc.d", root / "usr/sbin/policy-rc.d", 0o755)
    without = [f"--exclude=./{path}" for path in _LEFT_OUT] + [
        f"--exclude=./{path}/*" for path in _EMPTIED
    ]
    change = ["--change", "ENV LANG=C.UTF-8", "--change", 'CMD ["bash"]']
    pack = ["tar", "--create", "--directory", str(root), "--numeric-owner", *without, "."]
    into = [engine.client(), "import", *change, "-", tag("base", suite)]
    with subprocess.Popen(pack, stdout=subprocess.PIPE) as packing:
        done = subprocess.run(into, stdin=packing.stdout, capture_output=True, check=False)
    if done.returncode != 0 or packing.returncode != 0:
        raise BuildFailed(f"docker import: {done.stderr.decode(errors='replace')}")


def _put(source: Path, target: Path, mode: int) -> None:
    target.write_bytes(source.read_bytes())
    target.chmod(mode)


def _build(name: str, suite: str, jars: Path, *, force: bool) -> None:
    """Build one image on the base."""
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        for file in (HERE / name).iterdir():
            _put(file, context / file.name, file.stat().st_mode & 0o777)
        if name == "kafka":
            jars.rename(context / "jars")
        command = [engine.client(), "build", "--quiet", "--tag", tag(name, suite)]
        command += ["--build-arg", f"BASE={tag('base', suite)}"]
        command += ["--no-cache"] if force else []
        _run([*command, str(context)], environ=engine.build_environment())


def _fetch_jars(folder: Path) -> None:
    """Have Maven fetch what jars.lock lists, from wherever it is set to, and check every hash."""
    wanted = [line.split() for line in JARS.read_text().splitlines()]
    with tempfile.TemporaryDirectory() as place:
        pom = Path(place) / "pom.xml"
        pom.write_text(_POM.format("".join(_dependency(path) for _, path in wanted)))
        copy = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
        _run(["mvn", "--quiet", "--batch-mode", "--file", str(pom), *copy])
    for expected, path in wanted:
        jar = folder / path.rpartition("/")[2]
        if not jar.exists() or hashlib.sha256(jar.read_bytes()).hexdigest() != expected:
            raise BuildFailed(f"{path} is not the file that jars.lock names")
        jar.chmod(0o644)


def _dependency(path: str) -> str:
    """Return the dependency of a jar, without what it would bring along."""
    group, artifact, version, file = path.rsplit("/", 3)
    classifier = file.removeprefix(f"{artifact}-{version}").removesuffix(".jar").lstrip("-")
    return _DEPENDENCY.format(
        group=group.replace("/", "."), artifact=artifact, version=version, classifier=classifier
    )


_POM = (
    "<project><modelVersion>4.0.0</modelVersion><groupId>soma</groupId>"
    "<artifactId>broker</artifactId><version>0</version><packaging>pom</packaging>"
    "<dependencies>{}</dependencies></project>"
)
_DEPENDENCY = (
    "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
    "<version>{version}</version><classifier>{classifier}</classifier><exclusions><exclusion>"
    "<groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>"
)


def _run(command: list[str], environ: dict[str, str] | None = None) -> None:
    try:
        subprocess.run(
            command,
            env=environ,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=BUILD_SECONDS,
        )
    except FileNotFoundError as error:
        raise BuildFailed(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise BuildFailed(f"{command[0]} took more than {BUILD_SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        said = error.stdout.decode(errors="replace")[-3000:]
        raise BuildFailed(f"{' '.join(command[:2])} failed:\n{said}") from error


def _timed(name: str, build: Callable[[], None]) -> None:
    started = time.monotonic()
    build()
    print(f"airgap: {name} built in {time.monotonic() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
