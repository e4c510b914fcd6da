"""The online store in real Redis and PostgreSQL servers: equal to `pull`, whole after a kill, erased for good."""

import threading
from pathlib import Path

import psycopg
import pytest
import redis

from feature_repo.erasure import drop_view, forget
from feature_repo.errors import AffectStoreError, BadInputError, StoreReadError
from feature_repo.feast_config import configuration, write_configuration
from feature_repo.feast_import import import_feast
from feature_repo.feast_store import open_feast
from feature_repo.online import lookup, materialize
from feature_repo.registry import register
from feature_repo.store import Store, open_store
from tests.feature_repo.planted_feast import NOTHING, SPEAKER, TEXT, make_store, planted, write
from tests.servers import PostgresServer, RedisServer

TEXTS = {"c/1": "hello", "c/2": "good bye", "c/3": NOTHING, "c/4": "never mind"}
DATABASES = ["redis", "postgres"]


def referenced(url: str, password: str, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL with a variable in place of its password, which is exported."""
    monkeypatch.setenv(name, password)
    return url.replace(password, f"${{{name}}}")


@pytest.fixture
def server(request) -> RedisServer | PostgresServer:
    return request.getfixturevalue(f"{request.param}_server")


@pytest.fixture
def urls(server, monkeypatch) -> dict[str, str]:
    """Online store and registry: of Redis the first alone, of PostgreSQL both."""
    import_feast()
    monkeypatch.delenv("FEAST_FS_YAML_FILE_PATH", raising=False)
    if isinstance(server, RedisServer):
        return {"online": referenced(server.url, server.password, "SERVER_PASSWORD", monkeypatch)}
    url = referenced(server.create_database(), server.password, "SERVER_PASSWORD", monkeypatch)
    return {"online": url, "registry": url}


@pytest.fixture
def store(urls, tmp_path) -> Store:
    store = make_store(tmp_path, TEXTS)
    write_configuration(store, **urls)
    return store


def pulled(store: Store, slot: str, ids: list[str]) -> list[list[float] | None]:
    """What `pull` gives for these ids, None for the absent."""
    data = store.pull([slot], ids=ids, join="outer")
    found = dict(zip(data.ids, zip(data.features[slot], data.present[slot], strict=True), strict=True))
    rows = [found.get(name) for name in ids]
    return [row[0].tolist() if row is not None and row[1] else None for row in rows]


@pytest.mark.parametrize("server", DATABASES, indirect=True)
def test_lookup_equals_pull_and_follows_what_changed(store):
    assert materialize(store).rows == {SPEAKER.view: 4, TEXT.view: 4}
    ids = ["c/4", "c/3", "c/1", "c/2"]
    for slot, recipe in (("text", TEXT), ("speaker", SPEAKER)):
        online = lookup(store, slot, ids)[slot].to_list()
        assert online == pulled(store, slot, ids)
        assert online[2] == planted(recipe, "hello").tolist()
    assert lookup(store, "text", ["c/nobody"])["text"].to_list() == [None]
    assert materialize(store).rows == {SPEAKER.view: 0, TEXT.view: 0}
    write(store, {"c/1": "hello again", "c/2": "good bye", "c/5": "new"})
    assert materialize(store, ["text"]).rows[TEXT.view] == 4  # two texts, two that left
    ids = ["c/1", "c/2", "c/5"]
    assert lookup(store, "text", ids)["text"].to_list() == pulled(store, "text", ids)
    assert lookup(store, "text", ["c/4"])["text"].to_list() == [None]


@pytest.mark.parametrize("server", DATABASES, indirect=True)
def test_two_stores_in_one_database_do_not_see_each_other(store, urls, tmp_path):
    other = make_store(tmp_path / "other", {"c/1": "something else"})
    write_configuration(other, **urls)
    materialize(store)
    with pytest.raises(BadInputError, match="is not in the online store"):
        lookup(other, "text", ["c/1"])
    materialize(other)
    assert lookup(other, "text", ["c/1", "c/2"])["text"].to_list() == [
        planted(TEXT, "something else").tolist(),
        None,
    ]
    assert lookup(store, "text", ["c/1"])["text"].to_list() == [planted(TEXT, "hello").tolist()]


@pytest.mark.parametrize("server", DATABASES, indirect=True)
def test_stores_whose_projects_begin_or_end_alike_keep_what_the_other_drops_and_forgets(
    store, urls, tmp_path
):
    write_configuration(store, project="merc")
    materialize(store)
    others = [make_store(tmp_path / name, TEXTS) for name in ("my_merc", "merc_two")]
    for other, name in zip(others, ("my_merc", "merc_two"), strict=True):
        write_configuration(other, project=name, **urls)
        materialize(other)
    forget(store, ["c/1"])
    drop_view(store, SPEAKER.view)
    for other in others:
        for slot, recipe in (("text", TEXT), ("speaker", SPEAKER)):
            assert lookup(other, slot, ["c/1"])[slot].to_list() == [planted(recipe, "hello").tolist()]


@pytest.mark.parametrize("server", DATABASES, indirect=True)
def test_a_server_killed_while_it_is_loaded_is_told_and_loaded_by_running_it_again(
    store, server, monkeypatch
):
    materialize(store, ["speaker"])
    texts = {f"c/{number}": f"text {number}" for number in range(300)}
    write(store, texts)
    feast = open_feast(store)
    kind = type(feast.provider.online_store)
    whole = kind.online_write_batch
    seen: list[object] = []

    def interrupted(self, config, table, data, progress):
        half = len(data) // 2
        whole(self, config, table, data[:half], progress)
        seen.extend(feast.get_online_features(features, rows).to_dict()["text"])
        server.kill()
        whole(self, config, table, data[half:], progress)

    features = [f"{TEXT.view}:text"]
    rows = [{"utterance_id": name} for name in texts]
    with monkeypatch.context() as broken:
        broken.setattr(kind, "online_write_batch", interrupted)
        with pytest.raises(AffectStoreError) as caught:
            materialize(store, ["text"])
    assert server.password not in str(caught.value)
    # While half was there, a reader saw whole vectors or none.
    numbers = [planted(TEXT, text).tolist() for text in texts.values()]
    assert sum(value is not None for value in seen) == 150
    assert all(value is None or value == number for value, number in zip(seen, numbers, strict=True))
    with pytest.raises(AffectStoreError) as caught:
        lookup(store, "speaker", ["c/1"])
    assert server.password not in str(caught.value)
    server.restart()
    with pytest.raises(
        BadInputError, match="is not in the online store"
    ):  # half of it: not served as a whole
        lookup(open_store(store.root), "text", ["c/1"])
    assert lookup(store, "speaker", ["c/1"])["speaker"].to_list() == [planted(SPEAKER, "hello").tolist()]
    assert materialize(store).rows[TEXT.view] == 300
    assert lookup(store, "text", list(texts))["text"].to_list() == numbers


@pytest.mark.parametrize("server", ["redis"], indirect=True)
def test_a_redis_that_lost_everything_is_an_error_not_absent_and_is_loaded_again(store, server):
    materialize(store)
    server.clear()
    with pytest.raises(BadInputError, match="run `affectstore materialize"):
        lookup(store, "text", ["c/1"])
    assert materialize(store).rows == {SPEAKER.view: 4, TEXT.view: 4}
    assert lookup(store, "text", ["c/1"])["text"].to_list() == [planted(TEXT, "hello").tolist()]


@pytest.mark.parametrize("server", ["redis"], indirect=True)
def test_a_redis_that_comes_back_without_the_last_rows_is_loaded_again(store, server):
    materialize(store)
    with redis.Redis.from_url(server.url) as client:
        client.config_set("appendonly", "no")  # from now on nothing is written down
    write(store, {**TEXTS, "c/1": "hello again"})
    assert materialize(store, ["text"]).rows == {TEXT.view: 1}
    server.kill()
    server.restart()
    assert materialize(store, ["text"]).rows == {TEXT.view: 4}
    assert lookup(store, "text", ["c/1"])["text"].to_list() == [planted(TEXT, "hello again").tolist()]
    assert materialize(store, ["text"]).rows == {TEXT.view: 0}


def test_another_online_store_is_filled_though_the_registry_says_that_all_is_loaded(
    tmp_path, redis_server, postgres_server, monkeypatch
):
    import_feast()
    store = make_store(tmp_path, TEXTS)
    at = referenced(postgres_server.create_database(), postgres_server.password, "PG", monkeypatch)
    write_configuration(store, registry=at, online="sqlite")
    materialize(store)
    for online in (referenced(redis_server.url, redis_server.password, "RD", monkeypatch), at):
        write_configuration(store, online=online)
        with pytest.raises(BadInputError, match="is not in the online store"):
            lookup(store, "text", ["c/1"])
        assert materialize(store).rows == {SPEAKER.view: 4, TEXT.view: 4}
        assert lookup(store, "text", ["c/1"])["text"].to_list() == [planted(TEXT, "hello").tolist()]


def redis_bytes(server: RedisServer) -> bytes:
    """Everything that Redis answers, and what its files hold."""
    with redis.Redis.from_url(server.url) as client:
        while client.info("persistence")["aof_rewrite_in_progress"]:
            threading.Event().wait(0.02)
        held = b"".join(
            b"".join(client.hgetall(key).values())
            for key in client.scan_iter()
            if client.type(key) == b"hash"
        )
    return held + b"".join(path.read_bytes() for path in server.folder.rglob("*.aof"))


def postgres_bytes(server: PostgresServer, database: str) -> bytes:
    """The bytes of every table's file in a database."""
    with psycopg.connect(server.url_of(database), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        query = "SELECT oid FROM pg_database WHERE datname = current_database()"
        (oid,) = connection.execute(query).fetchone()
    return b"".join(path.read_bytes() for path in Path(server.folder, "data", "base", str(oid)).iterdir())


@pytest.mark.parametrize("server", DATABASES, indirect=True)
def test_what_is_forgotten_or_dropped_is_in_no_byte_of_the_database(store, server):
    materialize(store)

    def stored(recipe, text: str) -> bool:
        if isinstance(server, RedisServer):
            held = redis_bytes(server)
        else:
            held = postgres_bytes(server, configuration(store)["online_store"]["database"])
        return planted(recipe, text).astype("<f4").tobytes() in held

    assert all(stored(recipe, text) for recipe in (TEXT, SPEAKER) for text in ("hello", "good bye"))
    forget(store, ["c/1"])
    assert not any(stored(recipe, "hello") for recipe in (TEXT, SPEAKER))
    assert stored(TEXT, "good bye")
    assert lookup(store, "text", ["c/1", "c/2"])["text"].to_list() == [
        None,
        planted(TEXT, "good bye").tolist(),
    ]
    drop_view(store, SPEAKER.view)
    assert not stored(SPEAKER, "good bye")
    assert stored(TEXT, "good bye")


@pytest.mark.parametrize("server", ["redis"], indirect=True)
def test_what_is_forgotten_is_in_no_snapshot_though_redis_was_writing_its_files(store, server):
    materialize(store)
    secret = planted(TEXT, "hello").astype("<f4").tobytes()
    snapshot = server.folder / "dump.rdb"
    with redis.Redis.from_url(server.url) as client:
        client.config_set("save", "3600 1")
        client.config_set("rdb-key-save-delay", 3000)  # microseconds: a write that is still under way
        try:
            client.save()
            assert secret in snapshot.read_bytes()
            client.bgrewriteaof()
            forget(store, ["c/1"])
            client.config_set("rdb-key-save-delay", 0)
            running = ("rdb_bgsave_in_progress", "aof_rewrite_in_progress", "aof_rewrite_scheduled")
            while any(client.info("persistence")[name] for name in running):
                threading.Event().wait(0.02)
            threading.Event().wait(0.3)  # Redis begins what is scheduled ten times a second
            while any(client.info("persistence")[name] for name in running):
                threading.Event().wait(0.02)
        finally:
            client.config_set("rdb-key-save-delay", 0)
            client.config_set("save", "")
    assert secret not in snapshot.read_bytes()
    assert secret not in redis_bytes(server)


@pytest.mark.parametrize("server", DATABASES, indirect=True)
def test_a_wrong_password_is_told_without_it(store, server, monkeypatch):
    materialize(store)
    monkeypatch.setenv("SERVER_PASSWORD", "geheim-und-falsch")
    for question in (lambda: materialize(store), lambda: lookup(store, "text", ["c/1"])):
        with pytest.raises((BadInputError, StoreReadError), match="password|user") as caught:
            question()
        assert "geheim" not in str(caught.value)


def test_two_writers_at_once_register_everything_in_one_postgres(tmp_path, postgres_server, monkeypatch):
    import_feast()
    at = referenced(postgres_server.create_database(), postgres_server.password, "PG", monkeypatch)
    store = make_store(tmp_path, TEXTS, [TEXT])
    write_configuration(store, registry=at, online="sqlite")
    register(store)
    write(store, TEXTS, [SPEAKER])
    store.catalog.set("paper", {"text": TEXT.view, "speaker": SPEAKER.view})
    errors: list[BaseException] = []

    def run() -> None:
        try:
            register(open_store(store.root))
        except BaseException as error:
            errors.append(error)

    writers = [threading.Thread(target=run) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert not errors
    feast = open_feast(store)
    assert {view.name for view in feast.list_feature_views()} == {TEXT.view, SPEAKER.view}
    assert {"paper_text", "paper_speaker", "paper_text_speaker"} <= {
        service.name for service in feast.list_feature_services()
    }
