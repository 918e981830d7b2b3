"""Render, check and install the Helm chart: `python -m infra.chart check`.

`install` needs a cluster and a kubeconfig, as helm does. Everything else needs neither.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from infra.helm_program import HelmMissing, helm

FOLDER = Path(__file__).resolve().parent / "helm"
CHART = FOLDER / "soma"
PROFILES = ("local-dev", "prod-ha")
#: What only the user of a profile knows, filled in for checks.
EXAMPLES = {"prod-ha": FOLDER / "examples" / "prod-ha.yaml"}
RELEASE = "soma"
SECONDS = 60
#: Kinds that the Prometheus operator defines: no Kubernetes schema knows them. tests/infra has
#: their own.
FOREIGN = frozenset({"ServiceMonitor", "PrometheusRule"})


#: The oldest Kubernetes that Chart.yaml asks for; the newest is the newest that is known.
KUBERNETES_MIN = "1.30"


class ChartRefused(Exception):
    """Helm or a schema refuses; the message is what it says."""


def main() -> int:
    """Do as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("render", "install"):
        command = commands.add_parser(name)
        command.add_argument("profile", choices=PROFILES)
        command.add_argument("more", nargs=argparse.REMAINDER, help="options of helm's")
    commands.add_parser("check", help="lint, render and validate both profiles, strictly")
    options = parser.parse_args()
    try:
        if options.command == "render":
            print(render(options.profile, options.more))
        elif options.command == "install":
            return install(options.profile, options.more)
        else:
            for profile in PROFILES:
                print(f"{profile}: {check(profile)} objects are valid")
    except (ChartRefused, HelmMissing) as error:
        print(f"chart: {error}", file=sys.stderr)
        return 1
    return 0


def render(profile: str, more: Sequence[str] = ()) -> str:
    """Return the manifests of a profile; raise `ChartRefused` when the values do not do."""
    return _helm("template", RELEASE, str(CHART), *values_of(profile), *more)


def install(profile: str, more: Sequence[str]) -> int:
    """Install or upgrade in the cluster of the kubeconfig, wait until all is well; the exit code.

    What the first install waits for includes the download of every image.
    """
    command = [helm(), "upgrade", "--install", RELEASE, str(CHART), *values_of(profile)]
    if "--wait" not in " ".join(more):
        command.append("--wait")
    if "--timeout" not in " ".join(more):
        command += ["--timeout", "15m"]
    return subprocess.run([*command, *more], check=False).returncode


def check(profile: str) -> int:
    """Lint, render and validate a profile; return how many objects it has."""
    more = [f"--values={path}" for name, path in EXAMPLES.items() if name == profile]
    _helm("lint", "--strict", str(CHART), *values_of(profile), *more)
    found = objects(render(profile, more))
    for item in found:
        validate(item)
    return len(found)


def objects(manifests: str) -> list[dict[str, object]]:
    """Read manifests."""
    import yaml

    return [item for item in yaml.safe_load_all(manifests) if item is not None]


def validate(item: dict[str, object]) -> None:
    """Raise `ChartRefused` for what Kubernetes' own schemas do not know, unknown fields too."""
    import kubernetes_validate

    if item["kind"] in FOREIGN:
        return
    try:
        for version in (KUBERNETES_MIN, kubernetes_validate.latest_version()):
            kubernetes_validate.validate(item, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        where = ".".join(str(part) for part in error.path)
        reason = f"{where}: {error.message} (Kubernetes {error.version})"
        raise ChartRefused(f"{_name(item)}: {reason}") from error
    except kubernetes_validate.SchemaNotFoundError as error:
        raise ChartRefused(f"{_name(item)}: {error.message}") from error


def values_of(profile: str) -> list[str]:
    """Return helm's options for a profile."""
    return [f"--values={CHART / f'values-{profile}.yaml'}"]


def _name(item: dict[str, object]) -> str:
    metadata = item.get("metadata")
    return f"{item['kind']} {metadata.get('name') if isinstance(metadata, dict) else '?'}"


def _helm(*arguments: str) -> str:
    """Run helm with nothing of its user's, and return what it prints."""
    with tempfile.TemporaryDirectory(prefix="soma-helm-") as home:
        own = ("CACHE", "CONFIG", "DATA")
        environ = {**os.environ, **{f"HELM_{name}_HOME": f"{home}/{name}" for name in own}}
        done = subprocess.run(
            [helm(), *arguments],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    if done.returncode:
        raise ChartRefused((done.stderr.strip() or done.stdout.strip()).removeprefix("Error: "))
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
