"""How the gRPC door is served: TLS, processes, refusals that say nothing of the inside."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from domain.errors import ConfigurationError
from entrypoints.grpc.server import Address, grpc_served
from entrypoints.grpc.wire import memory_pb2 as wire
from entrypoints.grpc.wire.memory_pb2_grpc import MemoryServiceStub
from infra.proto import PACKAGE, generated
from tests.end_to_end.embedded import installation, settings_for
from tests.end_to_end.grpc_client import both_doors, refusal_of
from tests.end_to_end.http_server import ROOT, TIMEOUT_SECONDS, served

_ADDRESS = re.compile(r"127\.0\.0\.1:\d+")


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a self-signed certificate for this machine, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    certificate_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_file, key_file


async def test_tls_serves_those_who_trust_the_certificate(tmp_path: Path) -> None:
    certificate_file, key_file = certificate(tmp_path, "server")
    credentials = grpc.ssl_channel_credentials(certificate_file.read_bytes())

    async with both_doors(
        tmp_path / "data",
        credentials=credentials,
        grpc_cert_file=str(certificate_file),
        grpc_key_file=str(key_file),
    ) as doors:
        answer = await doors.stub.Recall(wire.RecallRequest(query="x"))

    assert list(answer.hits) == []


async def test_a_client_without_a_certificate_is_refused_where_one_is_asked_for(
    tmp_path: Path,
) -> None:
    certificate_file, key_file = certificate(tmp_path, "server")
    client_file, client_key = certificate(tmp_path, "client")
    trusted = certificate_file.read_bytes()
    files: dict[str, Any] = {
        "grpc_cert_file": str(certificate_file),
        "grpc_key_file": str(key_file),
        "grpc_client_ca_file": str(client_file),
    }

    nobody = grpc.ssl_channel_credentials(trusted)
    async with both_doors(tmp_path / "one", credentials=nobody, **files) as doors:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await doors.stub.Recall(wire.RecallRequest(query="x"), timeout=5)
    somebody = grpc.ssl_channel_credentials(
        trusted, client_key.read_bytes(), client_file.read_bytes()
    )
    async with both_doors(tmp_path / "two", credentials=somebody, **files) as doors:
        await doors.stub.Recall(wire.RecallRequest(query="x"))

    assert raised.value.code() in {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }


def test_half_a_key_pair_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="grpc_key_file"):
        Address.of(settings_for(tmp_path, grpc_cert_file="server.pem"))


async def test_an_open_address_without_keys_is_refused(tmp_path: Path) -> None:
    async with installation(tmp_path, grpc_host="0.0.0.0", grpc_port=0) as container:
        with pytest.raises(ConfigurationError, match="SOMA_BOOTSTRAP_KEY"):
            async with grpc_served(container, asyncio.Event()):
                pass


async def test_an_unexpected_error_tells_the_caller_nothing_of_the_inside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planted = "the secret of the vault"

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError(planted)

    async with both_doors(tmp_path) as doors:
        object.__setattr__(doors.container.guarded().use_cases, "recall", broken)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await doors.stub.Recall(wire.RecallRequest(query=planted))

    refusal = refusal_of(raised.value)
    assert (refusal.code, refusal.slug) == (grpc.StatusCode.INTERNAL, "internal")
    assert planted not in refusal.message
    told = capsys.readouterr().err
    assert "grpc.failed" in told
    assert planted not in told


def test_serve_answers_both_doors_and_ends_in_time(tmp_path: Path) -> None:
    with served(tmp_path, {"SOMA_GRPC_PORT": "0"}) as server:
        assert server.process.stdout is not None
        address = _ADDRESS.search(server.process.stdout.readline())
        assert address is not None
        with grpc.insecure_channel(address[0]) as channel, server.client() as http:
            stored = MemoryServiceStub(channel).Store(
                wire.StoreRequest(memory=wire.Draft(content="kept"), wait=wire.WAIT_STORED)
            )
            got = http.get(f"/v1/memories/{stored.memory.id}").json()

        assert got["content"] == "kept"
        assert server.stop() == 0


def test_the_command_serves_an_embedded_store_beside_its_socket(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from entrypoints.cli import main; main()"]
    environment = {
        "PATH": "",
        "PYTHONPATH": str(ROOT),
        "SOMA_DATA_DIR": str(tmp_path / "data"),
        "SOMA_EMBEDDER": "none",
    }
    with subprocess.Popen(
        [*command, "grpc", "--grpc-port", "0"], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            address = _ADDRESS.search(process.stdout.readline())
            assert address is not None
            with grpc.insecure_channel(address[0]) as channel:
                MemoryServiceStub(channel).Store(
                    wire.StoreRequest(
                        memory=wire.Draft(content="said over gRPC"), wait=wire.WAIT_STORED
                    )
                )
            listed = subprocess.run(
                [*command, "list", "--json"],
                env=environment,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_SECONDS,
                check=True,
            )
            second = subprocess.run(
                [*command, "grpc"],
                env=environment,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_SECONDS,
                check=False,
            )
        finally:
            process.send_signal(signal.SIGTERM)

    assert "said over gRPC" in listed.stdout
    assert (second.returncode, "SOMA_GRPC_PORT" in second.stderr) == (1, True)
    assert process.returncode == 0


def test_the_generated_code_is_current() -> None:
    stale = [name for name, text in generated().items() if (PACKAGE / name).read_text() != text]

    assert stale == [], "run `just proto`"
