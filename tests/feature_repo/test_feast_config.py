"""Which databases a store's Feast side uses, and that no password is written down or told."""

import os
import warnings
from pathlib import Path

import pytest
import yaml

from feature_repo.errors import BadInputError, StoreFormatError, StoreReadError
from feature_repo.feast_config import (
    CONFIG,
    PACKAGED,
    configuration,
    hide_secrets,
    online_identity,
    write_configuration,
)
from feature_repo.feast_store import open_feast
from feature_repo.serving.database_urls import online_settings, registry_settings
from feature_repo.store import init_store

REDIS = "redis://:${REDIS_PASSWORD}@cache.example:6380/2"
POSTGRES = "postgresql://reader:${PG_PASSWORD}@db.example/features"


@pytest.fixture
def store(tmp_path, monkeypatch):
    for name in ("FEAST_FS_YAML_FILE_PATH", "REDIS_PASSWORD", "PG_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))


def test_urls_become_feasts_settings():
    assert online_settings(REDIS) == {
        "type": "feature_repo.serving.redis_store.PromptRedisOnlineStore",
        "connection_string": "cache.example:6380,db=2,password=${REDIS_PASSWORD},socket_connect_timeout=5,"
        "socket_timeout=20",
    }
    assert ",ssl=true," in online_settings("rediss://cache.example")["connection_string"]
    assert online_settings("redis://cache.example")["connection_string"].startswith(
        "cache.example:6379,db=0,"
    )
    online = online_settings(f"{POSTGRES}?schema=merc&sslmode=verify-full&sslrootcert=/ca.pem")
    assert online["type"].endswith("PooledPostgresOnlineStore")
    del online["type"]
    assert online == {
        "host": "db.example",
        "port": 5432,
        "database": "features",
        "user": "reader",
        "password": "${PG_PASSWORD}",
        "db_schema": "merc",
        "sslmode": "verify-full",
        "sslrootcert_path": "/ca.pem",
    }
    registry = registry_settings(POSTGRES)
    assert registry["path"] == "postgresql+psycopg://reader@db.example/features"
    assert registry["sqlalchemy_config_kwargs"]["connect_args"]["password"] == "${PG_PASSWORD}"
    # TLS is asked for wherever the password would travel.
    assert registry["sqlalchemy_config_kwargs"]["connect_args"]["sslmode"] == "require"
    assert online_settings("postgresql://me@localhost/db")["sslmode"] == "prefer"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://db/features", "allowed: redis://..., rediss://..., postgresql://... or sqlite"),
        ("redis://:geheim@cache", "holds a password"),
        ("postgresql://me:geheim@db/features", "holds a password"),
        ("mongo://me:geheim@db/features", "can't be the online store"),
        ("postgresql://db/features", "names no user or no database"),
        ("postgresql://me@db/features?timeout=3", "'timeout' is no option of postgresql://"),
        ("redis://[::1]:6379", "IPv6"),
    ],
)
def test_other_urls_and_passwords_in_urls_are_refused_and_no_password_is_told(url, told):
    with pytest.raises(BadInputError) as caught:
        online_settings(url)
    assert told in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_redis_can_not_be_the_registry():
    with pytest.raises(BadInputError, match="can't be the registry; allowed: postgresql"):
        registry_settings(REDIS)


def test_the_stores_own_configuration_is_found_and_filled_in_and_the_environments_overrules_it(
    store, tmp_path, monkeypatch
):
    before = configuration(store)
    assert before["project"] == "affectstore"
    place = write_configuration(store, online=REDIS, registry=POSTGRES)
    assert place == str(tmp_path / "store" / "feast" / "feature_store.yaml")
    with pytest.raises(BadInputError, match="names the variable PG_PASSWORD, which is not set"):
        configuration(store)
    monkeypatch.setenv("PG_PASSWORD", "a: 'b' #c")  # what YAML would take apart
    monkeypatch.setenv("REDIS_PASSWORD", "geheim")
    found = configuration(store)
    assert "password=geheim" in found["online_store"]["connection_string"]
    assert found["registry"]["sqlalchemy_config_kwargs"]["connect_args"]["password"] == "a: 'b' #c"
    assert found["offline_store"] == before["offline_store"]
    assert hide_secrets(store, "no geheim, a: 'b' #c") == "no ${REDIS_PASSWORD}, ${PG_PASSWORD}"
    written = Path(place).read_text()
    assert "geheim" not in written
    other = tmp_path / "other.yaml"
    other.write_text("project: other")
    monkeypatch.setenv("FEAST_FS_YAML_FILE_PATH", str(other))
    assert configuration(store) == {"project": "other"}


def test_stores_that_share_a_database_have_projects_of_their_own_that_stay(store, tmp_path):
    other = init_store(str(tmp_path / "other"), cache=str(tmp_path / "cache"))
    write_configuration(
        store, oidc="https://issuer.example/.well-known/openid-configuration", client_id="merc"
    )

    def project(of) -> str:
        return yaml.safe_load(of.files.read(CONFIG))["project"]

    assert project(store) == "affectstore"  # nothing is shared yet
    write_configuration(store, online="redis://cache")
    write_configuration(other, online="redis://cache")
    mine = project(store)
    assert mine.startswith("affect_")
    assert mine != project(other)
    write_configuration(store, registry="postgresql://me@db/features", oidc="")
    assert project(store) == mine
    settings = yaml.safe_load(store.files.read(CONFIG))
    assert "auth" not in settings
    assert settings["online_store"]["connection_string"].startswith("cache:6379")
    with pytest.warns(UserWarning, match="out of reach of `forget`"):
        write_configuration(store, project="merc")
    assert project(store) == "merc"
    with pytest.raises(BadInputError, match="'Merc-1' is no project"):
        write_configuration(store, project="Merc-1")


def test_what_stays_in_an_earlier_database_is_told_and_nothing_where_nothing_moves(store):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_configuration(store, online="redis://cache")  # SQLite's file is the store's own
        write_configuration(store, online="redis://cache", oidc="https://issuer.example/openid")
    with pytest.warns(UserWarning, match="so empty it"):
        write_configuration(store, online="postgresql://me@db/features")


def test_a_client_without_its_issuer_is_refused(store):
    with pytest.raises(BadInputError, match="give --oidc"):
        write_configuration(store, client_id="merc")
    assert not store.files.exists(CONFIG)


def test_an_online_store_is_the_same_under_another_password_and_no_other_is(store, tmp_path, monkeypatch):
    path = tmp_path / "named.yaml"
    monkeypatch.setenv("FEAST_FS_YAML_FILE_PATH", str(path))

    def identity(project: str, online: dict[str, object]) -> str:
        path.write_text(yaml.safe_dump({"project": project, "online_store": online}))
        return online_identity(store)

    redis = {"type": "redis", "connection_string": "cache:6379,db=0,password=one,socket_timeout=20"}
    postgres = {"type": "postgres", "host": "db", "password": "one", "user": "me"}
    for settings in (redis, postgres):
        before = identity("merc", settings)
        text = path.read_text().replace("one", "another")
        path.write_text(text)
        assert online_identity(store) == before
        assert identity("other", settings) != before
    assert identity("merc", redis) != identity("merc", postgres)
    assert identity("merc", redis) != identity(
        "merc", {**redis, "connection_string": redis["connection_string"].replace("db=0", "db=1")}
    )


def test_on_an_object_store_both_databases_must_be_named(tmp_path):
    store = init_store("memory://bucket/configured", cache=str(tmp_path))
    with pytest.raises(StoreFormatError, match="affectstore feast-config --online"):
        configuration(store)
    with pytest.raises(StoreFormatError, match="give both --online and --registry"):
        write_configuration(store, online="redis://cache")
    write_configuration(store, online="redis://cache", registry="postgresql://me@db/features")
    assert configuration(store)["registry"]["path"] == "postgresql+psycopg://me@db/features"


def test_an_unreachable_registry_and_a_wrong_setting_are_told_without_the_password(store, monkeypatch):
    monkeypatch.setenv("PG_PASSWORD", "geheim")
    write_configuration(store, registry="postgresql://me:${PG_PASSWORD}@127.0.0.1:1/features")
    with pytest.raises(BadInputError, match="registry that .* names can't be opened: .*127.0.0.1") as caught:
        open_feast(store)
    assert "geheim" not in str(caught.value)
    text = (
        store.files.read(CONFIG)
        .decode()
        .replace("online_store:", "online_store:\n  nonsense: ${PG_PASSWORD}")
    )
    store.files.write(CONFIG, text.encode())
    with pytest.raises(BadInputError, match="is no Feast configuration") as caught:
        open_feast(store)
    assert "geheim" not in str(caught.value)
    assert os.environ["PG_PASSWORD"] == "geheim"


@pytest.mark.parametrize(
    "setting",
    ["$PG_PASSWORD", "a-password-that-is-written-down", f"{'x' * 50},password=${{PG_PASSWORD}},timeout=20"],
)
def test_a_wrong_setting_is_told_without_its_value(store, tmp_path, monkeypatch, setting):
    monkeypatch.setenv("PG_PASSWORD", "geheim-und-lang-genug")
    path = tmp_path / "other.yaml"
    path.write_text(PACKAGED.read_text().replace("online_store:", f"online_store:\n  nonsense: {setting}"))
    monkeypatch.setenv("FEAST_FS_YAML_FILE_PATH", str(path))
    with pytest.raises(BadInputError, match="is no Feast configuration: .*nonsense: Extra inputs") as caught:
        open_feast(store)
    assert not any(part in str(caught.value) for part in ("geheim", "genug", "written-down", "timeout=20"))


def test_passwords_are_hidden_where_no_braces_name_them_and_where_the_store_does_not_answer(
    store, monkeypatch
):
    monkeypatch.setenv("PG_PASSWORD", "geheim")
    store.files.write(CONFIG, b"password: $PG_PASSWORD")
    assert hide_secrets(store, "no geheim") == "no ${PG_PASSWORD}"

    def silent(path: str) -> bool:
        raise StoreReadError("the server does not answer")

    monkeypatch.setattr(store.files, "exists", silent)
    assert hide_secrets(store, "no geheim") == "no ${PG_PASSWORD}"
