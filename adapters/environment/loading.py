"""Settings: `SOMA_*` variables over `soma.toml` over defaults, read once at the start."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, get_args, get_origin

import msgspec

from adapters.environment.checking import cleaned, objection
from adapters.environment.settings import SECRETS, URLS, Settings
from domain.errors import ConfigurationError

_PREFIX = "SOMA_"
_CONFIG = "SOMA_CONFIG"
_CONFIG_FILE = "soma.toml"
#: What only makes sense beside a database that several processes share.
_NEEDS_POSTGRES = ("redis_url", "qdrant_url", "kafka_servers")
#: What `embedder = "openai"` cannot do without.
OPENAI_NEEDS = ("embedder_url", "embedder_model", "embedder_dimension")

_ALIKE = 0.7


@dataclass(frozen=True, slots=True)
class _Given:
    """A value that is not the default, and what whoever gave it calls it."""

    value: object
    where: str


def load_settings(
    environ: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
    *,
    options: Mapping[str, str] | None = None,
) -> Settings:
    """Read the settings; `overrides` (by field name, None: not given) win over everything.

    `options` are the names under which the caller was given them. Raises `ConfigurationError` for
    what is unknown or unusable, naming where it stands.
    """
    given = _from_toml(_config_path(environ))
    given |= _from_environ(environ)
    options = options or {}
    over = {name: value for name, value in (overrides or {}).items() if value is not None}
    for name, value in over.items():
        where = options.get(name, name)
        given[name] = _Given(_converted(name, value, where=where, strict=True), where)
    values = {name: one.value for name, one in given.items()}
    values.setdefault("data_dir", _default_data_dir())
    settings = Settings(**values)  # type: ignore[arg-type]
    if "data_dir" in over and "data_dir" in options and settings.postgres_url is not None:
        raise ConfigurationError(
            f"{given['data_dir'].where} names an embedded store,"
            f" but {given['postgres_url'].where} is set as well"
        )
    _refuse_what_needs_more(settings, given)
    return settings


def _refuse_what_needs_more(settings: Settings, given: Mapping[str, _Given]) -> None:
    """Refuse what makes no sense without something else."""
    for name in OPENAI_NEEDS if settings.embedder == "openai" else ():
        if getattr(settings, name) is None:
            raise ConfigurationError(f'embedder: "openai" needs {name} ({variable(name)})')
    if settings.kafka_security.startswith("sasl") and not (
        settings.kafka_user and settings.kafka_password
    ):
        raise ConfigurationError("kafka_security: SASL needs kafka_user and kafka_password")
    if settings.reranker == "http" and settings.reranker_url is None:
        raise ConfigurationError('reranker: "http" needs reranker_url (SOMA_RERANKER_URL)')
    for name in _NEEDS_POSTGRES if settings.postgres_url is None else ():
        if name in given:
            raise ConfigurationError(f"{given[name].where} needs {variable('postgres_url')}")


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return _PREFIX + name.upper()


_FIELDS = {field.name: field for field in msgspec.structs.fields(Settings)}
_VARIABLES = {variable(name): name for name in _FIELDS}
_SECRET_FILES = {f"{variable(name)}_FILE": name for name in SECRETS}


def _from_environ(environ: Mapping[str, str]) -> dict[str, _Given]:
    """Read the variables; an empty one counts as not set, as compose files leave them."""
    given = {k: v for k, v in environ.items() if k.startswith(_PREFIX) and v and k != _CONFIG}
    values: dict[str, _Given] = {}
    for name, text in sorted(given.items()):
        if name in _VARIABLES:
            field = _VARIABLES[name]
            values[field] = _Given(_converted(field, text, where=name, strict=False), name)
        elif name in _SECRET_FILES:
            field = _SECRET_FILES[name]
            if variable(field) in given:
                raise ConfigurationError(f"{name}: {variable(field)} is set as well, use one")
            secret = _converted(field, _secret(name, text), where=name, strict=False)
            values[field] = _Given(secret, name)
        else:
            raise _unknown(name, [*_VARIABLES, *_SECRET_FILES, _CONFIG])
    return values


def _from_toml(path: Path | None) -> dict[str, _Given]:
    if path is None:
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or 'cannot be read'}") from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: is not TOML: {error}") from error
    values: dict[str, _Given] = {}
    for name, value in table.items():
        if name not in _FIELDS:
            raise _unknown(name, list(_FIELDS), inside=f"{path}: ")
        where = f"{path}: {name}"
        converted = _converted(name, value, where=where, strict=True)
        if isinstance(converted, Path):
            # A path in a file means the same wherever the program is started.
            converted = path.parent / converted
        values[name] = _Given(converted, where)
    return values


def _config_path(environ: Mapping[str, str]) -> Path | None:
    if named := environ.get(_CONFIG):
        return Path(named).expanduser()
    path = Path(_CONFIG_FILE)
    try:
        return path if path.is_file() else None
    except OSError as error:
        # A directory that another user owns, as a container's may be.
        raise ConfigurationError(f"{path.absolute()}: {error.strerror}") from error


def _converted(name: str, value: object, *, where: str, strict: bool) -> object:
    field = _FIELDS.get(name)
    if field is None:
        raise _unknown(where, list(_FIELDS))
    value = cleaned(name, str(value) if isinstance(value, Path) else value)
    try:
        converted = msgspec.convert(value, field.type, strict=strict, dec_hook=_path)
    except msgspec.ValidationError as error:
        choices = _choices(field.type)
        reason = f"expected one of {', '.join(choices)}" if choices else _uncapitalised(str(error))
        raise ConfigurationError(f"{where}: {reason}{_shown(name, value)}") from error
    if isinstance(converted, float) and not converted < float("inf"):
        raise ConfigurationError(f"{where}: expected a finite number, not {value!r}")
    if (wrong := objection(name, converted)) is not None:
        raise ConfigurationError(f"{where}: {wrong}{_shown(name, value)}")
    return converted


def _shown(name: str, value: object) -> str:
    """Quote a refused value, unless somebody might be let in with it."""
    hidden = name in SECRETS or (name in URLS and "@" in str(value))
    return "" if hidden else f", not {value!r}"


def _choices(kind: object) -> list[str]:
    """Return the words that a setting of a few words may have, or nothing for any other."""
    words = kind if get_origin(kind) is Literal else next(iter(get_args(kind)), None)
    return [str(word) for word in get_args(words)] if get_origin(words) is Literal else []


def _uncapitalised(text: str) -> str:
    return text[:1].lower() + text[1:]


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
        raise ConfigurationError(f"{name}: {path}: {error.strerror or 'unreadable'}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{name}: {path}: is not UTF-8") from error


def _unknown(name: str, known: list[str], inside: str = "") -> ConfigurationError:
    # What all names begin with makes none of them any more alike.
    rests = {one.removeprefix(_PREFIX): one for one in known}
    close = get_close_matches(name.removeprefix(_PREFIX), rests, n=1, cutoff=_ALIKE)
    hint = f" (did you mean {rests[close[0]]}?)" if close else ""
    return ConfigurationError(f"{inside}{name}: there is no such setting{hint}")


def _default_data_dir() -> Path:
    from platformdirs import user_data_path

    return user_data_path("soma", appauthor=False)
