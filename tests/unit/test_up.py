"""What `just up` decides before it starts anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from infra.up import (
    OBSERVING_PORTS,
    PORTS,
    SECRETS,
    addresses,
    parse_env,
    updated_env,
    with_ports,
    with_secrets,
)

ROOT = Path(__file__).resolve().parents[2]
NAMES = st.from_regex(r"[A-Z][A-Z_]{0,8}", fullmatch=True)
VALUES = st.from_regex(r"[A-Za-z0-9./:-]{0,12}", fullmatch=True)


def nothing_taken(_: int) -> bool:
    """Say that every port is free."""
    return False


def test_makes_every_secret_once() -> None:
    first = with_secrets({}, {})

    second = with_secrets(first, {})

    assert set(first) == set(SECRETS)
    assert len(set(first.values())) == len(SECRETS)
    assert min(len(secret) for secret in first.values()) >= 32
    assert second == first


def test_makes_no_secret_that_the_environment_gives() -> None:
    made = with_secrets({}, {"REDIS_PASSWORD": "given"})

    assert "REDIS_PASSWORD" not in made


def test_takes_the_usual_ports_where_they_are_free() -> None:
    chosen = with_ports({}, {}, {}, nothing_taken)

    assert chosen == {name: str(usual) for name, (_, _, usual) in PORTS.items()}


def test_passes_over_taken_ports_and_gives_none_twice() -> None:
    taken = {8420, 8421, 8423, 5432}

    chosen = with_ports({}, {}, {}, taken.__contains__)

    assert chosen["API_HOST_PORT"] == "8422"
    assert chosen["WORKER_HOST_PORT"] == "8424"
    assert chosen["POSTGRES_HOST_PORT"] == "5433"
    assert len(set(chosen.values())) == len(PORTS)


def test_keeps_the_ports_that_its_own_services_have() -> None:
    ours = {"API_HOST_PORT": 9000}

    chosen = with_ports({"API_HOST_PORT": "9000"}, {}, ours, lambda port: port == 9000)

    assert chosen["API_HOST_PORT"] == "9000"


def test_leaves_ports_of_the_environment_and_ranges_to_the_caller() -> None:
    known = {"WORKER_HOST_PORT": "8421-8424"}

    chosen = with_ports(known, {"API_HOST_PORT": "80"}, {}, nothing_taken)

    assert "API_HOST_PORT" not in chosen
    assert chosen["WORKER_HOST_PORT"] == "8421-8424"


@given(st.dictionaries(NAMES, VALUES), st.dictionaries(NAMES, VALUES))
def test_writing_values_keeps_every_other_line(
    before: dict[str, str], changes: dict[str, str]
) -> None:
    text = "# a note\n\n" + "".join(f"{name}={value}\n" for name, value in before.items())

    written = updated_env(text, changes)

    assert parse_env(written) == {**before, **changes}
    assert written.startswith("# a note\n\n")
    assert updated_env(written, changes) == written


def test_tells_the_address_of_every_service() -> None:
    told = addresses({"API_HOST_PORT": "9000"})

    assert "api        http://127.0.0.1:9000" in told
    assert told.count("127.0.0.1:") == len(PORTS)
    observed = addresses({}, {**PORTS, **OBSERVING_PORTS})
    assert "grafana    http://127.0.0.1:3000" in observed


def test_says_what_to_install_where_there_is_no_engine(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infra.up", "--env-file", str(tmp_path / "env")],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (
        1,
        "up: there is no docker command: install Docker (Debian: docker.io)\n",
    )
    assert not (tmp_path / "env").exists()
