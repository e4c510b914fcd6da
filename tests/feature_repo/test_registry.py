"""Registration: what Feast knows afterwards, read back through Feast and through SQLite."""

import json
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from feature_repo.erasure import drop_view
from feature_repo.errors import BadInputError, StoreWriteError
from feature_repo.feast_store import open_feast
from feature_repo.online import materialize
from feature_repo.registry import register
from feature_repo.services import immutable_name
from feature_repo.store import Store, init_store
from tests.feature_repo.planted_feast import (
    EVERY,
    OTHER_TEXT,
    SPEAKER,
    STEPS,
    TEXT,
    make_store,
    planted,
    write,
)

TEXTS = {"c/1": "hello", "c/2": "good bye"}
BOTH = immutable_name({"text": TEXT.view, "speaker": SPEAKER.view})
ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path) -> Store:
    return make_store(tmp_path, TEXTS)


def registered_services(store: Store) -> dict[str, list[str]]:
    return {
        service.name: [projection.name for projection in service.feature_view_projections]
        for service in open_feast(store).list_feature_services()
    }


def registered_views(store: Store) -> list[str]:
    return sorted(view.name for view in open_feast(store).list_feature_views())


def test_every_table_is_a_view_with_its_recipe_and_every_combination_a_service(store):
    report = register(store)
    feast = open_feast(store)
    views = {view.name: view for view in feast.list_feature_views()}
    assert sorted(views) == sorted(report.views) == sorted(recipe.view for recipe in EVERY)
    text = views[TEXT.view]
    assert {field.name: str(field.dtype) for field in text.features} == {"text": "Array(Float32)"}
    assert [column.name for column in text.entity_columns] == ["utterance_id"]
    assert (text.ttl, text.online, text.entities) == (timedelta(0), True, ["utterance"])
    assert text.batch_source.path == f"{store.root}/features/{TEXT.view}"
    assert text.batch_source.timestamp_field == "event_timestamp"
    assert text.batch_source.created_timestamp_column == "created_timestamp"
    assert text.tags["fingerprint"] == TEXT.fingerprint
    assert (text.tags["width"], text.tags["layout"], text.tags["extractor"]) == ("3", "pooled", "planted")
    assert json.loads(text.tags["settings"]) == {"variant": "a"}
    steps = views[STEPS.view]
    assert {field.name: str(field.dtype) for field in steps.features} == {
        "text_steps": "Bytes",
        "text_n": "Int32",
    }
    assert not steps.online
    assert {"utterance", "speaker"} <= {entity.name for entity in feast.list_entities()}
    assert registered_services(store) == {
        "paper_text": [TEXT.view],
        "paper_speaker": [SPEAKER.view],
        "paper_text_speaker": [TEXT.view, SPEAKER.view],
        immutable_name({"text": TEXT.view}): [TEXT.view],
        immutable_name({"speaker": SPEAKER.view}): [SPEAKER.view],
        BOTH: [TEXT.view, SPEAKER.view],
    }
    again = register(store)
    assert (again.added, again.deleted) == ((), ())


def test_an_alias_moves_with_its_profile_and_the_immutable_service_stays(store):
    register(store)
    write(store, TEXTS, [OTHER_TEXT])
    store.catalog.set("paper", {"text": OTHER_TEXT.view})
    register(store)
    services = registered_services(store)
    assert services["paper_text_speaker"] == [OTHER_TEXT.view, SPEAKER.view]
    assert services[BOTH] == [TEXT.view, SPEAKER.view]
    assert services[immutable_name({"text": OTHER_TEXT.view, "speaker": SPEAKER.view})] == [
        OTHER_TEXT.view,
        SPEAKER.view,
    ]


def test_a_dropped_view_leaves_registry_services_and_online_store_and_the_others_stay(store):
    materialize(store)
    drop_view(store, TEXT.view)
    assert registered_views(store) == sorted([SPEAKER.view, STEPS.view])
    assert registered_services(store) == {
        "paper_speaker": [SPEAKER.view],
        immutable_name({"speaker": SPEAKER.view}): [SPEAKER.view],
    }
    database = sqlite3.connect(f"{store.root}/feast/online.db")
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert f"affectstore_{SPEAKER.view}" in tables
    assert f"affectstore_{TEXT.view}" not in tables
    assert planted(TEXT, "hello").tobytes() not in Path(store.root, "feast", "online.db").read_bytes()
    assert {source.name for source in open_feast(store).list_data_sources()} == {SPEAKER.view, STEPS.view}
    for view in (SPEAKER.view, STEPS.view):
        drop_view(store, view)
    assert registered_views(store) == []


def test_what_others_registered_stays_unless_it_reads_a_view_that_is_gone(store):
    register(store)
    from feast import FeatureService

    feast = open_feast(store)
    views = {view.name: view for view in feast.list_feature_views()}
    feast.apply(
        [
            FeatureService(name="mine", features=[views[SPEAKER.view]]),
            FeatureService(name="mine_too", features=[views[TEXT.view]]),
        ]
    )
    drop_view(store, TEXT.view)
    assert "mine" in registered_services(store)
    assert "mine_too" not in registered_services(store)


def test_an_unreadable_recipe_is_an_error_and_changes_nothing(store):
    register(store)
    store.files.write(f"features/{SPEAKER.view}/recipe.json", b"{half")
    store.close_table(SPEAKER.view)
    with pytest.raises(BadInputError, match=f"{SPEAKER.view}/recipe.json is unreadable"):
        register(store)
    assert SPEAKER.view in registered_views(store)
    assert BOTH in registered_services(store)


def test_what_another_process_undoes_is_written_again(store, monkeypatch):
    register(store)
    from feast import FeatureStore

    write(store, TEXTS, [OTHER_TEXT])
    apply = FeatureStore.apply
    calls = []

    def lose_the_first(feast, *arguments, **options):
        calls.append("apply")
        if len(calls) > 1:
            apply(feast, *arguments, **options)

    monkeypatch.setattr(FeatureStore, "apply", lose_the_first)
    assert OTHER_TEXT.view in register(store).views
    assert OTHER_TEXT.view in registered_views(store)
    assert len(calls) == 2


def test_a_registry_that_keeps_nothing_is_told(store, monkeypatch):
    register(store)
    from feast import FeatureStore

    write(store, TEXTS, [OTHER_TEXT])
    monkeypatch.setattr(FeatureStore, "apply", lambda *arguments, **options: None)
    with pytest.raises(StoreWriteError, match=OTHER_TEXT.view):
        register(store)


WRITER = """
import sys
from feature_repo.recipe import Recipe
from feature_repo.registry import register
from feature_repo.store import open_store
store = open_store(sys.argv[1])
recipe = Recipe("text", "planted", int(sys.argv[2]), "text", "pooled", 3)
store.ensure_table(recipe)
store.catalog.set(f"profile{sys.argv[2]}", {"text": recipe.view})
register(store)
print(recipe.view)
"""


def test_four_processes_that_register_at_once_on_a_fresh_store_lose_nothing(tmp_path):
    store = init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, store.root, str(number)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    printed = [writer.communicate(timeout=240)[0].strip() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0, 0]
    assert registered_views(store) == sorted(printed)
    services = registered_services(store)
    assert {name: views for name, views in services.items() if name.startswith("profile")} == {
        f"profile{number}_text": [printed[number]] for number in range(4)
    }
