"""Settings: `SOMA_*` variables over `soma.toml` over defaults, read once at the start."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from domain.errors import ConfigurationError

_PREFIX = "SOMA_"
_CONFIG = "SOMA_CONFIG"
_CONFIG_FILE = "soma.toml"
_MASK = "********"
_URL_PASSWORD = re.compile(r"(?<=://)[^/@]*@")

_Count = Annotated[int, msgspec.Meta(ge=1)]
_Bytes = Annotated[int, msgspec.Meta(ge=0)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]
_Timeout = Annotated[float, msgspec.Meta(gt=0)]
_Text = Annotated[str, msgspec.Meta(min_length=1)]
_PostgresUrl = Annotated[str, msgspec.Meta(pattern="^postgres(ql)?://")]
_RedisUrl = Annotated[str, msgspec.Meta(pattern=r"^((rediss?(\+cluster)?)|unix)://")]
_HttpUrl = Annotated[str, msgspec.Meta(pattern=r"^https?://[^/\s]+[^\s?#]*$")]
_Dimension = Annotated[int, msgspec.Meta(ge=1, le=4096)]

_KEYS = ("bootstrap_key", "key", "embedder_key", "qdrant_api_key")
#: Settings that are never shown and may come from a file named by `<variable>_FILE`.
SECRETS = frozenset({*_KEYS, "postgres_url", "redis_url", "kafka_password"})
_URLS = frozenset({"url", "embedder_url", "qdrant_url"})
#: What only makes sense beside a database that several processes share.
_NEEDS_POSTGRES = ("redis_url", "qdrant_url", "kafka_servers")
#: What `embedder = "openai"` cannot do without.
OPENAI_NEEDS = ("embedder_url", "embedder_model", "embedder_dimension")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be configured. docs/configuration.md says what each one means."""

    data_dir: Path
    postgres_url: _PostgresUrl | None = None
    postgres_connections_max: _Count = 10
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
    kafka_session_timeout_seconds: _Timeout = 30.0
    worker_host: _Text = "127.0.0.1"
    worker_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8421
    worker_events_at_once: _Count = 1000
    background_embedding: bool = True
    host: _Text = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8420
    bootstrap_key: _Text | None = None
    url: _Text | None = None
    key: _Text | None = None
    namespace: _Text = "default"
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
    content_bytes_max: _Count = 64 * 1024
    payload_bytes_max: _Count = 256 * 1024
    body_bytes_max: _Count = 32 * 1024 * 1024
    import_line_bytes_max: _Count = 4 * 1024 * 1024
    batch_max: _Count = 1000
    k_max: _Count = 1000
    cache_bytes: _Bytes = 32 * 1024 * 1024
    fastcore_bytes: _Bytes = 512 * 1024 * 1024
    graph_roots_max: _Count = 64
    log_format: Literal["auto", "json", "console"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "warning"

    @property
    def profile(self) -> str:
        """Which backends are wired together; it follows from what is set."""
        return "embedded" if self.postgres_url is None else "server"

    @property
    def vector_index(self) -> str:
        """Which vector index answers."""
        return "fastcore" if self.qdrant_url is None else "qdrant"

    @property
    def far_cache(self) -> str:
        """Where values are kept for all processes."""
        return "none" if self.redis_url is None else "redis"

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

    def __repr__(self) -> str:
        """Show the settings without the secrets."""
        return f"Settings({', '.join(f'{k}={v!r}' for k, v in masked(self).items())})"


def load_settings(
    environ: Mapping[str, str], overrides: Mapping[str, object] | None = None
) -> Settings:
    """Read the settings; `overrides` (by field name, None: not given) win over everything.

    Raises `ConfigurationError` for what is unknown or unusable, naming where it stands.
    """
    values = _from_toml(_config_path(environ))
    values |= _from_environ(environ)
    for name, value in (overrides or {}).items():
        if value is not None:
            values[name] = _converted(name, value, where=name, strict=True)
    values.setdefault("data_dir", _default_data_dir())
    settings = Settings(**values)  # type: ignore[arg-type]
    for name in OPENAI_NEEDS if settings.embedder == "openai" else ():
        if getattr(settings, name) is None:
            raise ConfigurationError(f'embedder: "openai" needs {name} ({variable(name)})')
    for name in _NEEDS_POSTGRES if settings.postgres_url is None else ():
        if getattr(settings, name) is not None:
            raise ConfigurationError(
                f"{name} ({variable(name)}) needs postgres_url ({variable('postgres_url')})"
            )
    return settings


def masked(settings: Settings) -> dict[str, object]:
    """Return every setting by name, secrets and passwords inside of URLs hidden."""
    shown: dict[str, object] = {}
    for name in _FIELDS:
        value = getattr(settings, name)
        if isinstance(value, Path):
            value = str(value)
        if name in SECRETS and value is not None:
            value = _MASK
        if name in _URLS and value is not None:
            value = _URL_PASSWORD.sub(f"{_MASK}@", value)
        shown[name] = value
    return shown


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return _PREFIX + name.upper()


_FIELDS = {field.name: field for field in msgspec.structs.fields(Settings)}
_VARIABLES = {variable(name): name for name in _FIELDS}
_SECRET_FILES = {f"{variable(name)}_FILE": name for name in SECRETS}


def _from_environ(environ: Mapping[str, str]) -> dict[str, object]:
    """Read the variables; an empty one counts as not set, as compose files leave them."""
    given = {k: v for k, v in environ.items() if k.startswith(_PREFIX) and v and k != _CONFIG}
    values: dict[str, object] = {}
    for name, text in sorted(given.items()):
        if name in _VARIABLES:
            field = _VARIABLES[name]
            values[field] = _converted(field, text, where=name, strict=False)
        elif name in _SECRET_FILES:
            field = _SECRET_FILES[name]
            if variable(field) in given:
                raise ConfigurationError(f"{name}: {variable(field)} is set as well, use one")
            values[field] = _converted(field, _secret(name, text), where=name, strict=False)
        else:
            raise _unknown(name, [*_VARIABLES, *_SECRET_FILES, _CONFIG])
    return values


def _from_toml(path: Path | None) -> dict[str, object]:
    if path is None:
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or 'cannot be read'}") from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: is not TOML: {error}") from error
    values: dict[str, object] = {}
    for name, value in table.items():
        if name not in _FIELDS:
            raise _unknown(name, list(_FIELDS), inside=f"{path}: ")
        values[name] = _converted(name, value, where=f"{path}: {name}", strict=True)
        if isinstance(values[name], Path):
            # A path in a file means the same wherever the program is started.
            values[name] = path.parent / Path(str(values[name]))
    return values


def _config_path(environ: Mapping[str, str]) -> Path | None:
    named = environ.get(_CONFIG)
    if named:
        return Path(named).expanduser()
    path = Path(_CONFIG_FILE)
    return path if path.is_file() else None


def _converted(name: str, value: object, *, where: str, strict: bool) -> object:
    field = _FIELDS.get(name)
    if field is None:
        raise _unknown(where, list(_FIELDS))
    if isinstance(value, Path):
        value = str(value)
    try:
        converted = msgspec.convert(value, field.type, strict=strict, dec_hook=_path)
    except msgspec.ValidationError as error:
        reason = str(error)[:1].lower() + str(error)[1:]
        shown = "" if name in SECRETS else f", not {value!r}"
        raise ConfigurationError(f"{where}: {reason}{shown}") from error
    if isinstance(converted, float) and not converted < float("inf"):
        raise ConfigurationError(f"{where}: expected a finite number, not {value!r}")
    return converted


def _path(kind: type, value: object) -> object:
    """Read a path for msgspec, which knows none."""
    if kind is not Path:
        raise NotImplementedError(f"settings cannot be of {kind!r}")
    if not isinstance(value, str) or not value:
        raise ValueError("Expected a path")
    return Path(value).expanduser()


def _secret(name: str, path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise ConfigurationError(f"{name}: {path}: {reason}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{name}: {path}: is not UTF-8") from error


def _unknown(name: str, known: list[str], inside: str = "") -> ConfigurationError:
    close = get_close_matches(name, known, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return ConfigurationError(f"{inside}{name}: there is no such setting{hint}")


def _default_data_dir() -> Path:
    from platformdirs import user_data_path

    return user_data_path("soma", appauthor=False)
