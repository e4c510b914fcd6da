"""What the HTTP application answers: equal to `pull` in every form, errors for what it can't know, nothing written."""

import base64
import struct
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from feature_repo.errors import BadInputError
from feature_repo.feast_config import hide_secrets, write_configuration
from feature_repo.feast_import import import_feast
from feature_repo.feast_store import open_feast
from feature_repo.online import materialize
from feature_repo.registry import register
from feature_repo.serving.addresses import check_address, is_loopback
from feature_repo.store import Store
from tests.feature_repo.planted_feast import NOTHING, SPEAKER, STEPS, TEXT, make_store, planted

TEXTS = {"c/1": "hello", "c/2": "good bye", "c/3": NOTHING}
IDS = ["c/2", "c/3", "c/unknown", "c/1"]
QUESTION = {"feature_service": "paper_text_speaker", "entities": {"utterance_id": IDS}}
ARROW = {"Accept": "application/vnd.apache.arrow.stream"}


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def store(request, tmp_path, monkeypatch) -> Store:
    """A loaded store in each kind of database."""
    import_feast()
    monkeypatch.delenv("FEAST_FS_YAML_FILE_PATH", raising=False)
    store = make_store(tmp_path, TEXTS)
    if request.param != "sqlite":
        server = request.getfixturevalue(f"{request.param}_server")
        monkeypatch.setenv("SERVER_PASSWORD", server.password)
        url = request.getfixturevalue(f"{request.param}_url").replace(server.password, "${SERVER_PASSWORD}")
        write_configuration(store, online=url)
    materialize(store)
    return store


@pytest.fixture
def small(tmp_path, monkeypatch) -> Store:
    """A store that nothing was loaded of."""
    import_feast()
    monkeypatch.delenv("FEAST_FS_YAML_FILE_PATH", raising=False)
    return make_store(tmp_path, TEXTS)


def client(store: Store):
    from fastapi.testclient import TestClient

    from feature_repo.serving.app import reading_app

    app = reading_app(open_feast(store), 600, lambda error: hide_secrets(store, error))
    return TestClient(app, raise_server_exceptions=False)


def ask(http, body: dict[str, object] = QUESTION, query: str = "", **options):
    return http.post(f"/get-online-features{query}", json=body, **options)


def told(answer) -> dict[str, list[object]]:
    found = answer.json()
    columns = (result["values"] for result in found["results"])
    return dict(zip(found["metadata"]["feature_names"], columns, strict=True))


def test_json_bytes_and_arrow_equal_pull_bit_for_bit(store):
    data = store.pull(["text", "speaker"], ids=["c/2", "c/1"])
    with client(store) as http:
        floats, packed = ask(http), ask(http, query="?vectors=bytes")
        arrow = ask(http, headers=ARROW)
    table = pl.read_ipc_stream(arrow.content)
    assert arrow.headers["content-type"] == ARROW["Accept"]
    assert table["utterance_id"].to_list() == IDS == told(floats)["utterance_id"]
    for slot, recipe in (("text", TEXT), ("speaker", SPEAKER)):
        stored = dict(zip(data.ids, data.features[slot], strict=True))
        for place, name in enumerate(IDS):
            values = (told(floats)[slot][place], told(packed)[slot][place], table[slot][place])
            if name not in stored:
                assert values == (None, None, None)
                continue
            assert stored[name].tolist() == planted(recipe, TEXTS[name]).tolist()
            raw = stored[name].tobytes()
            assert np.asarray(values[0], np.float32).tobytes() == raw
            assert base64.b64decode(values[1]) == raw == struct.pack("<3f", *values[0])
            assert values[2].to_numpy().tobytes() == raw
    # Feast's own client reads the plain form: the same keys, a status and a time for each value.
    first = floats.json()["results"][1]
    assert first["statuses"][3] == "PRESENT"
    assert len(first["event_timestamps"]) == len(IDS)


def test_a_database_that_dies_or_is_emptied_is_an_error_and_one_that_comes_back_is_used(request, store):
    kind = request.node.callspec.params["store"]
    with client(store) as http:
        assert http.get("/health").status_code == 200
        before = told(ask(http))
        if kind == "sqlite":
            path = Path(store.root, "feast", "online.db")
            kept = path.read_bytes()
            path.unlink()
        else:
            server = request.getfixturevalue(f"{kind}_server")
            server.kill()
        for options in ({}, {"query": "?vectors=bytes"}, {"headers": ARROW}):
            answer = ask(http, **options)
            assert answer.status_code == 503, answer.text
            assert "SERVER_PASSWORD" not in answer.text
            if kind != "sqlite":
                assert server.password not in answer.text
        assert kind == "sqlite" or http.get("/health").status_code == 503
        if kind == "sqlite":
            path.write_bytes(kept)
        else:
            server.restart()
        assert told(ask(http)) == before
        assert http.get("/health").status_code == 200
        if kind == "redis":
            server.clear()  # a restart without its data
            answer = ask(http)
            assert answer.status_code == 503
            assert "is not in the online store: run `affectstore materialize" in answer.json()["detail"]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_what_can_not_be_answered_is_told_with_what_can(store):
    with client(store) as http:
        answer = ask(http, {**QUESTION, "feature_service": "paper_face"})
        assert answer.status_code == 404
        assert "unknown service 'paper_face'; allowed: " in answer.json()["detail"]
        assert "paper_text_speaker" in answer.json()["detail"]
        answer = ask(http, {"features": ["nobody:text"], "entities": {"utterance_id": IDS}})
        assert (answer.status_code, f"allowed: {SPEAKER.view}" in answer.json()["detail"]) == (404, True)
        answer = ask(http, {"features": [f"{STEPS.view}:text_steps"], "entities": {"utterance_id": IDS}})
        assert (answer.status_code, "holds sequences" in answer.json()["detail"]) == (422, True)
        answer = ask(http, {**QUESTION, "entities": {"clip": IDS}})
        assert (answer.status_code, "utterance_id" in answer.json()["detail"]) == (422, True)
        assert ask(http, query="?vectors=pickle").status_code == 422
        by_view = {"features": [f"{TEXT.view}:text"], "entities": {"utterance_id": ["c/1"]}}
        assert told(ask(http, by_view))["text"] == [planted(TEXT, "hello").tolist()]
        empty = ask(http, {**QUESTION, "entities": {"utterance_id": []}}, headers=ARROW)
        assert empty.status_code < 500


def test_a_view_that_was_never_loaded_is_an_error_not_absent(small):
    register(small)
    with client(small) as http:
        answer = ask(http)
    assert answer.status_code == 503
    assert "is not in the online store: run `affectstore materialize" in answer.json()["detail"]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_nothing_can_be_written_through_the_server(store):
    with client(store) as http:
        paths = set(http.get("/openapi.json").json()["paths"])
        for path in ("push", "write-to-online-store", "materialize", "materialize-incremental", "chat"):
            assert http.post(f"/{path}", json={}).status_code == 404
        assert http.get("/static/chat/index.html").status_code == 404
    assert paths == {"/get-online-features", "/health"}


def test_only_loopback_is_served_without_authentication_and_tls(tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    for path in (cert, key):
        path.write_text("")
    for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"):
        check_address(host, "no_auth", None, None)
    for host in ("0.0.0.0", "::", "192.168.0.7", "db.example", ""):
        assert not is_loopback(host)
        with pytest.raises(BadInputError, match="wants authentication .*--oidc.* and TLS .*--cert"):
            check_address(host, "no_auth", None, None)
        with pytest.raises(BadInputError, match="wants TLS"):
            check_address(host, "oidc", None, None)
        with pytest.raises(BadInputError, match="wants authentication"):
            check_address(host, "no_auth", cert, key)
        check_address(host, "oidc", cert, key)
        check_address(host, "kubernetes", cert, key)
    with pytest.raises(BadInputError, match="give both"):
        check_address("127.0.0.1", "no_auth", cert, None)
    with pytest.raises(BadInputError, match=r"--key .*other\.pem is no file"):
        check_address("127.0.0.1", "no_auth", cert, tmp_path / "other.pem")
