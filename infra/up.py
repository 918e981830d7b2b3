"""Start the server profile in containers: `just up`, that is `python3 -m infra.up`.

Chooses secrets once and keeps them in `.env`, takes other host ports where the usual ones are
taken, builds the image, and returns when every service is healthy.
"""

from __future__ import annotations

import argparse
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from infra import engine

ROOT = Path(__file__).resolve().parent.parent
IMAGE = "somafractalmemory"
Ports = Mapping[str, tuple[str, int, int]]
WAIT_SECONDS = 300
PROBE_SECONDS = 20
LAST_PORT = 65535
#: What is made once, and only printed then.
KEY = "SOMA_BOOTSTRAP_KEY"
SECRETS = (KEY, "POSTGRES_PASSWORD", "REDIS_PASSWORD", "QDRANT_API_KEY", "GRAFANA_PASSWORD")
#: Variable of the host port: service, port inside, usual port.
PORTS: Ports = {
    "API_HOST_PORT": ("api", 8420, 8420),
    "WORKER_HOST_PORT": ("worker", 8421, 8421),
    "POSTGRES_HOST_PORT": ("postgres", 5432, 5432),
    "REDIS_HOST_PORT": ("redis", 6379, 6379),
    "QDRANT_HOST_PORT": ("qdrant", 6333, 6333),
    "KAFKA_HOST_PORT": ("kafka", 9094, 9092),
}
#: The same for what `--observed` adds.
OBSERVING_PORTS = {
    "PROMETHEUS_HOST_PORT": ("prometheus", 9090, 9090),
    "GRAFANA_HOST_PORT": ("grafana", 3000, 3000),
}
OBSERVING = "infra/observability/compose.yml"
#: A certificate authority of the own network, for pip inside of the build.
_AUTHORITIES = ("PIP_CERT", "SSL_CERT_FILE")


def main() -> int:
    """Start everything; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--env-file", type=Path, default=ROOT / ".env", help="default: .env")
    parser.add_argument("--no-build", action="store_true", help="take the image as it is")
    parser.add_argument(
        "--observed", action="store_true", help="with Prometheus, Grafana and a trace collector"
    )
    options = parser.parse_args()
    ports = PORTS
    if options.observed:
        ports = {**PORTS, **OBSERVING_PORTS}
        files = [os.environ.get("COMPOSE_FILE") or "docker-compose.yml", OBSERVING]
        os.environ["COMPOSE_FILE"] = os.pathsep.join(files)
    try:
        compose = [*engine.compose(), "--env-file", str(options.env_file)]
        if not options.no_build:
            subprocess.run(build_command(os.environ), env=engine.build_environment(), check=True)
        known = _read(options.env_file)
        secret = with_secrets(known, os.environ)
        _write(options.env_file, secret)
        ours = {name: _published(compose, *ports[name][:2]) for name in ports}
        chosen = with_ports(secret, os.environ, ours, _is_taken, ports)
        _write(options.env_file, chosen)
        up = ["up", "--detach", "--no-build", "--wait", "--wait-timeout", str(WAIT_SECONDS)]
        subprocess.run([*compose, *up], cwd=ROOT, check=True)
    except engine.EngineMissing as error:
        print(f"up: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"up: {' '.join(error.cmd[:3])} ... failed; `just logs` may tell", file=sys.stderr)
        return 1
    print(addresses({**chosen, **os.environ}, ports))
    if KEY not in known and KEY not in os.environ:
        print(f"\nThe admin key, shown this once (it is kept in {options.env_file.name}):")
        print(chosen[KEY])
    return 0


def with_secrets(known: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return what is known and a new secret for each that neither knows."""
    made = {name: secrets.token_hex(24) for name in SECRETS if not environ.get(name)}
    return {**made, **known}


def with_ports(
    known: Mapping[str, str],
    environ: Mapping[str, str],
    ours: Mapping[str, int | None],
    is_taken: Callable[[int], bool],
    ports: Ports = PORTS,
) -> dict[str, str]:
    """Return what is known with a host port for every service.

    A port in the environment is the caller's choice and stays out of the file. A port that our
    own running service has (`ours`) is kept; any other that is taken is replaced by the next one.
    """
    chosen = dict(known)
    used: set[int] = set()
    for name, (_, _, usual) in ports.items():
        if environ.get(name):
            continue
        if (running := ours.get(name)) is not None:
            port = running
        else:
            wanted = known.get(name, "")
            if wanted and not wanted.isdecimal():  # a range, for several workers
                continue
            port = int(wanted or usual)
            while port in used or is_taken(port):
                port = port + 1 if port < LAST_PORT else usual + 1
        used.add(port)
        chosen[name] = str(port)
    return chosen


def addresses(values: Mapping[str, str], ports: Ports = PORTS) -> str:
    """Say where everything is."""
    lines = []
    for name, (service, _, usual) in ports.items():
        scheme = "" if service in {"postgres", "redis", "kafka"} else "http://"
        lines.append(f"{service:<10} {scheme}127.0.0.1:{values.get(name) or usual}")
    return "\n".join(lines)


def parse_env(text: str) -> dict[str, str]:
    """Read `NAME=value` lines; comments and empty lines do not count."""
    values = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not name.lstrip().startswith("#"):
            values[name.strip()] = value.strip().strip("\"'")
    return values


def updated_env(text: str, values: Mapping[str, str]) -> str:
    """Return the text of the file with these values in it; every other line stays as it is."""
    left = dict(values)
    lines = []
    for line in text.splitlines():
        name = line.partition("=")[0].strip()
        value = left.pop(name, None)
        same = value is None or parse_env(line) == {name: value}
        lines.append(line if same else f"{name}={value}")
    lines += [f"{name}={value}" for name, value in left.items()]
    return "".join(f"{line}\n" for line in lines)


def build_command(environ: Mapping[str, str]) -> list[str]:
    """Return the command that builds the image."""
    command = [engine.client(), "build", "--tag", environ.get("API_IMAGE") or IMAGE]
    if base := environ.get("PYTHON_IMAGE"):
        command += ["--build-arg", f"PYTHON_IMAGE={base}"]
    for name in _AUTHORITIES:
        if (authority := environ.get(name)) and Path(authority).is_file():
            command += ["--secret", f"id=ca,src={authority}"]
            break
    return [*command, str(ROOT)]


def _read(path: Path) -> dict[str, str]:
    return parse_env(path.read_text()) if path.exists() else {}


def _write(path: Path, values: Mapping[str, str]) -> None:
    """Keep the values for the owner alone."""
    text = updated_env(path.read_text() if path.exists() else "", values)
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)


def _published(compose: list[str], service: str, port: int) -> int | None:
    """Return the host port of a service of ours that runs, else None."""
    done = subprocess.run(
        [*compose, "port", service, str(port)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PROBE_SECONDS,
    )
    found = done.stdout.strip().rpartition(":")[2]
    return int(found) if done.returncode == 0 and found.isdecimal() and int(found) else None


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())
