"""What can be configured."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from adapters.environment.memory import memory_bytes

LEDGER_NAME = "erasures.log"
_MASK = "********"
_URL_PASSWORD = re.compile(r"(?<=://)[^/@]*@")

_Count = Annotated[int, msgspec.Meta(ge=1)]
_Bytes = Annotated[int, msgspec.Meta(ge=0)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]
_Timeout = Annotated[float, msgspec.Meta(gt=0)]
_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Secret = Annotated[str, msgspec.Meta(min_length=16)]
_PostgresUrl = Annotated[str, msgspec.Meta(pattern="^postgres(ql)?://")]
_RedisUrl = Annotated[str, msgspec.Meta(pattern=r"^((rediss?(\+cluster)?)|unix)://")]
_HttpUrl = Annotated[str, msgspec.Meta(pattern=r"^https?://[^/\s]+[^\s?#]*$")]
_Dimension = Annotated[int, msgspec.Meta(ge=1, le=4096)]

#: What callers send in a header to be let in: here, or there.
KEYS = frozenset({"bootstrap_key", "key", "embedder_key", "reranker_key", "qdrant_api_key"})
#: Settings that are never shown and may come from a file named by `<variable>_FILE`.
SECRETS = KEYS | {"key_secret", "postgres_url", "redis_url", "kafka_password", "otlp_headers"}
#: Settings whose passwords are hidden, and nothing else.
URLS = frozenset({"url", "embedder_url", "reranker_url", "qdrant_url", "otlp_endpoint"})


Language = Literal[
    "english", "dutch", "french", "german", "italian", "portuguese", "spanish", "none"
]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be configured. docs/configuration.md says what each one means."""

    data_dir: Path
    postgres_url: _PostgresUrl | None = None
    postgres_connections_max: Annotated[int, msgspec.Meta(ge=5)] = 10
    postgres_statement_timeout_seconds: _Timeout = 30.0
    postgres_waiting_timeout_seconds: _Timeout = 10.0
    redis_url: _RedisUrl | None = None
    redis_timeout_seconds: _Timeout = 0.1
    redis_prefix: _Text = "soma:"
    redis_bodies: bool = False
    redis_body_ttl_seconds: _Count = 3600
    redis_value_bytes_max: _Count = 128 * 1024
    qdrant_url: _HttpUrl | None = None
    qdrant_api_key: _Text | None = None
    qdrant_grpc_port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    qdrant_prefix: _Text = "soma"
    qdrant_timeout_seconds: _Timeout = 2.0
    qdrant_write_timeout_seconds: _Timeout = 10.0
    qdrant_quantization: Literal["none", "scalar", "binary"] = "none"
    qdrant_on_disk: bool = False
    qdrant_shards: _Count = 1
    qdrant_replicas: _Count = 1
    kafka_servers: _Text | None = None
    kafka_security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_user: _Text | None = None
    kafka_password: _Text | None = None
    kafka_ca_file: Path | None = None
    kafka_prefix: _Text | None = None
    kafka_partitions: _Count = 12
    kafka_replicas: Annotated[int, msgspec.Meta(ge=-1)] = -1
    kafka_timeout_seconds: _Timeout = 10.0
    kafka_session_timeout_seconds: Annotated[float, msgspec.Meta(ge=1)] = 30.0
    erasure_ledger: Path | None = None
    worker_host: _Text = "127.0.0.1"
    worker_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8421
    worker_events_at_once: _Count = 1000
    background_embedding: bool = True
    host: _Text = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8420
    grpc_host: _Text = "127.0.0.1"
    grpc_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] | None = None
    grpc_cert_file: Path | None = None
    grpc_key_file: Path | None = None
    grpc_client_ca_file: Path | None = None
    bootstrap_key: _Secret | None = None
    key_secret: _Secret | None = None
    rate_limit_window_seconds: Annotated[float, msgspec.Meta(ge=1, le=86400)] = 60.0
    rate_limit_read: Annotated[int, msgspec.Meta(ge=0)] = 6000
    rate_limit_write: Annotated[int, msgspec.Meta(ge=0)] = 6000
    rate_limit_admin: Annotated[int, msgspec.Meta(ge=0)] = 0
    rate_limit_failures: Annotated[int, msgspec.Meta(ge=0)] = 60
    cors_origins: _Text | None = None
    url: _Text | None = None
    key: _Text | None = None
    namespace: _Text | None = None
    embedder: Literal["bge-small", "openai", "none"] = "bge-small"
    embedder_url: _HttpUrl | None = None
    embedder_model: _Text | None = None
    embedder_key: _Text | None = None
    embedder_dimension: _Dimension | None = None
    embedder_query_prefix: _Text | None = None
    embedder_passage_prefix: _Text | None = None
    embedder_timeout_seconds: _Timeout = 30.0
    vector_dimension: _Dimension = 384
    model_path: Path | None = None
    embed_wait_seconds: _Seconds = 60.0
    language: Language = "english"
    reranker: Literal["none", "late", "http"] | None = None
    reranker_url: _HttpUrl | None = None
    reranker_model: _Text | None = None
    reranker_key: _Text | None = None
    reranker_timeout_seconds: _Timeout = 5.0
    reranker_cache_bytes: _Bytes = 64 * 1024 * 1024
    content_bytes_max: _Count = 64 * 1024
    payload_bytes_max: _Count = 256 * 1024
    body_bytes_max: _Count = 32 * 1024 * 1024
    body_timeout_seconds: _Timeout = 30.0
    requests_reading_max: _Count = 256
    requests_writing_max: _Count = 128
    import_line_bytes_max: _Count = 4 * 1024 * 1024
    batch_max: _Count = 1000
    k_max: _Count = 1000
    cache_bytes: _Bytes = 32 * 1024 * 1024
    recall_cache_bytes: _Bytes = 64 * 1024 * 1024
    fastcore_bytes: _Bytes | None = None
    fastcore_exact_rows: _Count = 50_000
    graph_roots_max: _Count = 64
    otlp_endpoint: _HttpUrl | None = None
    otlp_headers: _Text | None = None
    trace_sample_ratio: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    service_name: _Text = "soma"
    log_format: Literal["auto", "json", "console"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "warning"

    @property
    def profile(self) -> str:
        """Which backends are wired together; it follows from what is set."""
        return "embedded" if self.postgres_url is None else "server"

    @property
    def cors_sites(self) -> list[str]:
        """The web sites whose pages may call."""
        return [site.strip() for site in self.cors_origins.split(",")] if self.cors_origins else []

    @property
    def store_folder(self) -> Path | None:
        """The folder that holds the store, where it is not on a server."""
        return self.data_dir if self.profile == "embedded" else None

    @property
    def ledger_kind(self) -> str:
        """Where erasures are noted beside the store."""
        return "none" if self.ledger_file is None else "file"

    @property
    def ledger_file(self) -> Path | None:
        """The file that holds them; the replicas of a server share one only where one is named."""
        if self.erasure_ledger is None and self.profile == "embedded":
            return self.data_dir / LEDGER_NAME
        return self.erasure_ledger

    @property
    def vector_index(self) -> str:
        """Which vector index answers."""
        return "fastcore" if self.qdrant_url is None else "qdrant"

    @property
    def fastcore_budget_bytes(self) -> int:
        """How much memory Fast Core may use: half of what there is where nothing is said."""
        return memory_bytes() // 2 if self.fastcore_bytes is None else self.fastcore_bytes

    @property
    def snapshots(self) -> str:
        """Where Fast Core keeps files: only a process that owns the data can keep them clean."""
        return "files" if self.profile == "embedded" else "none"

    @property
    def far_cache(self) -> str:
        """Where values are kept for all processes."""
        return "none" if self.redis_url is None else "redis"

    @property
    def lock_keeper(self) -> str:
        """Who keeps two from doing the same job."""
        if self.postgres_url is None:
            return "process"
        return "store" if self.redis_url is None else "redis"

    @property
    def body_cache(self) -> str:
        """Where the bodies of memories are kept beside the database."""
        return self.far_cache if self.redis_bodies else "none"

    @property
    def kafka_topic_prefix(self) -> str:
        """What the names of topics begin with."""
        return self.kafka_prefix or ""

    @property
    def kafka_group_prefix(self) -> str:
        """What the names of consumer groups begin with."""
        return f"{self.kafka_prefix or ''}soma."

    @property
    def kafka_heartbeat_seconds(self) -> float:
        """How often a worker says that it lives: well within the session timeout."""
        return min(3.0, self.kafka_session_timeout_seconds / 3)

    @property
    def event_bus(self) -> str:
        """Who wakes those that follow a feed."""
        return "inprocess" if self.kafka_servers is None else "kafka"

    def shown(self) -> dict[str, object]:
        """Return every setting by name, secrets hidden."""
        return masked(self)

    def __repr__(self) -> str:
        """Show the settings without the secrets."""
        return f"Settings({', '.join(f'{k}={v!r}' for k, v in masked(self).items())})"


def masked(settings: Settings) -> dict[str, object]:
    """Return every setting by name, secrets and passwords inside of URLs hidden."""
    shown: dict[str, object] = {}
    for name in (field.name for field in msgspec.structs.fields(Settings)):
        value = getattr(settings, name)
        value = str(value) if isinstance(value, Path) else value
        if name in SECRETS and value is not None:
            value = _MASK
        if name in URLS and value is not None:
            value = _URL_PASSWORD.sub(f"{_MASK}@", value)
        shown[name] = value
    return shown
