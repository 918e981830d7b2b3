"""What the benchmarks share: percentiles, tables, the machine's facts, a real server process."""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 60.0
_STOP_SECONDS = 60.0


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the values lie (nearest rank)."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Lay rows out under their keys; floats with one decimal."""
    if not rows:
        return "(nothing)"
    names = list(rows[0])
    cells = [names, *([_cell(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    return "\n".join(
        "  ".join(
            value.ljust(width) if column == 0 else value.rjust(width)
            for column, (value, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    )


def report(title: str, rows: Sequence[Mapping[str, object]], *, as_json: bool) -> None:
    """Print the finding with the facts of the machine it was found on."""
    if as_json:
        print(json.dumps({"benchmark": title, "machine": machine(), "rows": rows}))
    else:
        facts = ", ".join(f"{name} {value}" for name, value in machine().items())
        print(f"{title} ({facts})\n{table(rows)}")


def machine() -> dict[str, str]:
    """Describe what everything here ran on."""
    load = os.getloadavg()[0]
    return {
        "cpu": _cpu(),
        "cores": str(os.cpu_count()),
        "load": f"{load:.1f}",
        "python": platform.python_version(),
    }


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def _cell(value: object) -> str:
    return f"{value:,.1f}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class Server:
    """A running `soma serve`."""

    url: str
    pid: int

    def resident_mb(self) -> float:
        """Return the resident memory in MB (Linux)."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise SystemExit("this system does not tell the memory of a process")

    def cpu_seconds(self) -> float:
        """Return the processor time used so far by all threads (Linux)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def soma_command(*arguments: str) -> list[str]:
    """Return the command line of the console script of this environment, or of this checkout."""
    script = Path(sys.executable).with_name("soma")
    if script.exists():
        return [str(script), *arguments]
    return [sys.executable, "-c", "from entrypoints.cli import main; main()", *arguments]


def soma_environment(**settings: str) -> dict[str, str]:
    """Return this environment without its own `SOMA_*`, able to import the checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SOMA_")}
    return {**kept, "PYTHONPATH": str(ROOT), **settings}


@contextmanager
def serving(data_dir: Path, **settings: str) -> Iterator[Server]:
    """Start a server on a free port, wait until it is ready, and stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(  # noqa: S603 - our own command
        soma_command("serve", "--port", str(port)),
        env=soma_environment(SOMA_DATA_DIR=str(data_dir), **settings),
        stdout=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        await_ready(url, process)
        yield Server(url, process.pid)
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)


def await_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers; leave when its process has ended."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"the server ended with code {process.returncode}")
        try:
            if httpx.get(f"{url}/readyz").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise SystemExit("the server was not ready in time")
