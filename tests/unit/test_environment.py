"""Settings from variables, a file and defaults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adapters.environment import KEYS, SECRETS, Settings, load_settings, masked, variable
from domain.errors import ConfigurationError

_DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"
_ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| (.+?) \| (.+?) \|$", re.MULTILINE)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_defaults_make_an_embedded_server_on_the_loopback_address() -> None:
    settings = load_settings({})

    assert ("embedded", "127.0.0.1", 8420) == (settings.profile, settings.host, settings.port)
    assert settings.data_dir.is_absolute()
    assert "soma" in settings.data_dir.parts


def test_overrides_win_over_variables_and_those_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "soma.toml").write_text('host = "file"\nport = 1\nlog_level = "info"\n')

    settings = load_settings({"SOMA_HOST": "variable", "SOMA_PORT": "2"}, {"port": 3, "url": None})

    assert ("variable", 3, "info") == (settings.host, settings.port, settings.log_level)


def test_the_file_may_stand_elsewhere_and_its_paths_start_there(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "my.toml").write_text('data_dir = "memories"\nmodel_path = "/models"\n')

    settings = load_settings({"SOMA_CONFIG": str(folder / "my.toml")})

    assert folder / "memories" == settings.data_dir
    assert Path("/models") == settings.model_path


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load_settings({"SOMA_URL": "", "SOMA_TYPO": ""}).url is None


def test_secrets_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret-of-16-char\n")

    settings = load_settings({"SOMA_BOOTSTRAP_KEY_FILE": str(tmp_path / "secret")})

    assert "s3cret-of-16-char" == settings.bootstrap_key


def test_secrets_are_never_shown() -> None:
    settings = load_settings(
        {
            "SOMA_KEY": "s3cret-of-16-char",
            "SOMA_BOOTSTRAP_KEY": "s3cret-of-16-char",
            "SOMA_EMBEDDER_KEY": "s3cret-of-16-char",
            "SOMA_URL": "http://me:s3cret-of-16-char@host/",
            "SOMA_EMBEDDER_URL": "http://me:s3cret-of-16-char@host/v1",
        }
    )

    assert "s3cret-of-16-char" not in repr(settings)
    assert "s3cret-of-16-char" not in str(masked(settings))
    assert masked(settings)["url"] == "http://********@host/"
    assert masked(load_settings({}))["key"] is None


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"SOMA_PROT": "1"}, "SOMA_PROT: there is no such setting (did you mean SOMA_PORT?)"),
        ({"SOMA_DATA_DIR_FILE": "x"}, "SOMA_DATA_DIR_FILE: there is no such setting"),
        ({"SOMA_PORT": "http"}, "SOMA_PORT: expected `int`, got `str`, not 'http'"),
        ({"SOMA_PORT": "70000"}, "SOMA_PORT: expected `int` <= 65535, not '70000'"),
        ({"SOMA_EMBED_WAIT_SECONDS": "nan"}, "SOMA_EMBED_WAIT_SECONDS: expected"),
        ({"SOMA_EMBED_WAIT_SECONDS": "inf"}, "SOMA_EMBED_WAIT_SECONDS: expected"),
        (
            {"SOMA_LOG_LEVEL": "loud"},
            "SOMA_LOG_LEVEL: expected one of debug, info, warning, error, not 'loud'",
        ),
        ({"SOMA_RERANKER": "on"}, "SOMA_RERANKER: expected one of none, late, http, not 'on'"),
        ({"SOMA_BOOTSTRAP_KEY": "x" * 15}, "SOMA_BOOTSTRAP_KEY: expected `str` of length >= 16"),
        ({"SOMA_BODY_TIMEOUT_SECONDS": "0"}, "SOMA_BODY_TIMEOUT_SECONDS: expected"),
        ({"SOMA_CONFIG": "absent.toml"}, "absent.toml: No such file or directory"),
        ({"SOMA_KEY_FILE": "absent"}, "SOMA_KEY_FILE: absent: No such file or directory"),
        (
            {"SOMA_KEY": "a", "SOMA_KEY_FILE": "b"},
            "SOMA_KEY_FILE: SOMA_KEY is set as well, use one",
        ),
        (
            {"SOMA_EMBEDDER": "openai", "SOMA_EMBEDDER_URL": "http://host/v1"},
            'embedder: "openai" needs embedder_model (SOMA_EMBEDDER_MODEL)',
        ),
        ({"SOMA_EMBEDDER_URL": "host:80"}, "SOMA_EMBEDDER_URL: expected `str` matching regex"),
        ({"SOMA_EMBEDDER_TIMEOUT_SECONDS": "0"}, "SOMA_EMBEDDER_TIMEOUT_SECONDS: expected"),
        (
            {"SOMA_REDIS_URL": "redis://host"},
            "SOMA_REDIS_URL needs SOMA_POSTGRES_URL",
        ),
        ({"SOMA_REDIS_URL": "host:6379"}, "SOMA_REDIS_URL: expected `str` matching regex"),
        ({"SOMA_NAMESPACE": "a//b"}, "SOMA_NAMESPACE: '' is not a segment"),
        ({"SOMA_URL": "ftp://x"}, "SOMA_URL: must look like http://127.0.0.1:8420, not 'ftp://x'"),
        ({"SOMA_URL": "http://host:70000"}, "SOMA_URL: must look like"),
        ({"SOMA_URL": "http://[::1"}, "SOMA_URL: must look like"),
        ({"SOMA_URL": "http://host/?a=b"}, "SOMA_URL: must look like"),
        ({"SOMA_POSTGRES_URL": "postgres://host:port/x"}, "SOMA_POSTGRES_URL: is not a URL of"),
    ],
)
def test_refuses_what_is_unknown_or_unusable(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load_settings(environ)

    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    "origins",
    [
        "evil",
        "*",
        "null",
        "app.example",
        "https://",
        "https://app.example/",
        "https://app.example/path",
        "https://App.example",
        "https://app.example:",
        "https://app.example:http",
        "https://me@app.example",
        "https://*.example",
        "https://app.example,",
        "https://app.example https://two.example",
        "https://app.example, evil",
    ],
)
def test_refuses_sites_that_no_browser_names_like_that(origins: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^SOMA_CORS_ORIGINS: expected scheme://host"):
        load_settings({"SOMA_CORS_ORIGINS": origins})


def test_takes_sites_as_browsers_name_them() -> None:
    origins = "https://app.example, http://localhost:3000,http://[::1]:8080"

    settings = load_settings({"SOMA_CORS_ORIGINS": origins})

    assert origins.replace(" ", "").split(",") == settings.cors_sites
    assert [] == load_settings({}).cors_sites


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("prot = 1", "soma.toml: prot: there is no such setting (did you mean port?)"),
        ('port = "8420"', "soma.toml: port: expected `int`, got `str`"),
        ("port = ", "soma.toml: is not TOML"),
        ("data_dir = 1", "soma.toml: data_dir: expected a path"),
        ('kafka_servers = "host:9092"', "soma.toml: kafka_servers needs SOMA_POSTGRES_URL"),
    ],
)
def test_refuses_a_file_with_mistakes(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "soma.toml").write_text(text)

    with pytest.raises(ConfigurationError) as refusal:
        load_settings({})

    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("unknown", "hint"),
    [
        ("SOMA_FOO", ""),
        ("SOMA_HOSTS_ALLOWED", ""),
        ("SOMA_DATADIR", " (did you mean SOMA_DATA_DIR?)"),
        ("SOMA_POSTGRESQL_URL", " (did you mean SOMA_POSTGRES_URL?)"),
    ],
)
def test_only_a_close_name_is_suggested(unknown: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load_settings({unknown: "1"})

    assert f"{unknown}: there is no such setting{hint}" == str(refusal.value)


@pytest.mark.parametrize("name", sorted(KEYS))
def test_a_key_loses_the_line_end_that_came_along(name: str) -> None:
    settings = load_settings({variable(name): " \tsoma_of_enough_letters\r\n"})

    assert "soma_of_enough_letters" == getattr(settings, name)


@pytest.mark.parametrize("key", ["clé☃", "soma\rx", "soma\x00", "soma\x7f"])
def test_a_key_that_no_header_takes_is_refused_and_not_shown(key: str) -> None:
    for environ, given, name in (
        ({"SOMA_KEY": key}, {}, "SOMA_KEY"),
        ({}, {"key": key}, "--key"),
    ):
        with pytest.raises(ConfigurationError) as refusal:
            load_settings(environ, given, options={"key": "--key"})

        assert f"{name}: expected printable ASCII characters only" == str(refusal.value)


def test_a_refused_url_is_shown_without_its_password() -> None:
    for name in ("SOMA_URL", "SOMA_QDRANT_URL"):
        with pytest.raises(ConfigurationError) as refusal:
            load_settings({name: "ftp://me:s3cret@host"})

        assert str(refusal.value).startswith(f"{name}: ")
        assert "s3cret" not in str(refusal.value)


def test_what_excludes_each_other_is_called_what_it_was_called(tmp_path: Path) -> None:
    (tmp_path / "soma.toml").write_text('postgres_url = "postgresql://host/x"')
    here, options = {"data_dir": tmp_path}, {"data_dir": "--data"}

    with pytest.raises(ConfigurationError, match=r"^--data names .* soma\.toml: postgres_url is"):
        load_settings({}, here, options=options)
    with pytest.raises(ConfigurationError, match=r"^--data names .* but SOMA_POSTGRES_URL is"):
        load_settings({"SOMA_POSTGRES_URL": "postgresql://host/x"}, here, options=options)


def test_refuses_an_unknown_override() -> None:
    with pytest.raises(ConfigurationError, match="prot: there is no such setting"):
        load_settings({}, {"prot": 1})


def test_a_refused_secret_is_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "soma.toml").write_text("key = 31337")

    with pytest.raises(ConfigurationError) as refusal:
        load_settings({})

    assert "31337" not in str(refusal.value)


def test_every_setting_is_documented_with_its_variable_and_default() -> None:
    rows = {name: (env, default) for name, env, default, _ in _ROW.findall(_DOCUMENT.read_text())}

    defaults = masked(Settings(data_dir=Path("unused")))
    expected = {
        name: (variable(name), "none" if value is None else f"`{_written(value)}`")
        for name, value in defaults.items()
    }
    expected["data_dir"] = (variable("data_dir"), "the platform's data directory")
    assert expected == rows


def test_no_secret_is_shown() -> None:
    settings = Settings(data_dir=Path("unused"), **dict.fromkeys(SECRETS, "hunter2"))  # type: ignore[arg-type]

    assert "hunter2" not in str(masked(settings))


def _written(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def test_secret_files_are_documented() -> None:
    text = _DOCUMENT.read_text()

    assert all(f"`{variable(name)}_FILE`" in text for name in SECRETS)


def test_the_profile_follows_from_the_postgres_url_which_stays_secret() -> None:
    url = "postgresql://soma:hidden@host/memories"

    settings = load_settings({"SOMA_POSTGRES_URL": url})

    assert settings.profile == "server"
    assert settings.postgres_url == url
    assert "hidden" not in repr(settings)
    with pytest.raises(ConfigurationError) as refusal:
        load_settings({"SOMA_POSTGRES_URL": "soma:secret@host"})
    assert "secret" not in str(refusal.value)


def test_a_directory_that_cannot_be_looked_into_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", forbidden)

    with pytest.raises(ConfigurationError, match=r"soma\.toml: Permission denied"):
        load_settings({})
