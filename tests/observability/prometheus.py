"""Prometheus itself as a process, with the overlay's configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.observability.overlay import CONFIGURATION, RULES, read
from tests.servers.server import ServerProcess, free_port

#: Instead of 15 s: a test does not wait for minutes to pass.
INTERVAL = "1s"
TIMEOUT_SECONDS = 30.0
#: What Grafana makes of its variable when Prometheus asks every 15 s.
_RATE_INTERVAL = "1m"


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus that runs, asked as Grafana asks it."""

    http: httpx.Client

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series that a panel's query has at present."""
        query = expression.replace("$__rate_interval", _RATE_INTERVAL)
        assert "$" not in query, f"a variable that nobody fills in: {query}"
        data = self._asked("/api/v1/query", query=query)
        found: list[dict[str, Any]] = data["result"]
        return found

    def targets(self) -> list[dict[str, Any]]:
        """Return what is asked for metrics, and how that went."""
        found: list[dict[str, Any]] = self._asked("/api/v1/targets")["activeTargets"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Return every rule as it was last evaluated."""
        groups = self._asked("/api/v1/rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def _asked(self, path: str, **parameters: str) -> dict[str, Any]:
        answer = self.http.get(path, params=parameters)
        assert answer.status_code == 200, f"{parameters}: {answer.text}"
        data: dict[str, Any] = answer.json()["data"]
        return data


@contextmanager
def prometheus(
    program: str, folder: Path, targets: Mapping[str, str], key: str
) -> Iterator[Prometheus]:
    """Run it on the processes of each job; stop it when the block ends."""
    configuration = folder / "prometheus.yml"
    configuration.write_text(yaml.safe_dump(configured(folder, targets, key)))
    port = free_port()
    server = ServerProcess(
        [
            program,
            f"--config.file={configuration}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        port=port,
        url=f"http://127.0.0.1:{port}",
        log=folder / "prometheus.log",
    )
    server.start()
    try:
        with httpx.Client(base_url=server.url, timeout=TIMEOUT_SECONDS) as http:
            yield Prometheus(http)
    finally:
        server.kill()


def configured(folder: Path, targets: Mapping[str, str], key: str) -> dict[str, Any]:
    """Return the overlay's configuration with the addresses, the paths and the pace of a test."""
    secret = folder / "key"
    secret.write_text(key)
    configuration: dict[str, Any] = read(CONFIGURATION)
    paces = {"scrape_interval", "scrape_timeout", "evaluation_interval"}
    assert paces == configuration["global"].keys()
    configuration["global"] = dict.fromkeys(paces, INTERVAL)
    assert [RULES.name] == [Path(path).name for path in configuration["rule_files"]]
    configuration["rule_files"] = [str(RULES)]
    for job in configuration["scrape_configs"]:
        del job["dns_sd_configs"]
        address = re.sub(r"^http://", "", targets[job["job_name"]])
        job["static_configs"] = [{"targets": [address]}]
        job["authorization"]["credentials_file"] = str(secret)
    return configuration
