"""Where a store's Feast side lives, and what is told when it can live nowhere."""

from pathlib import Path

import pytest

from feature_repo.erasure import drop_view
from feature_repo.errors import BadInputError, StoreFormatError
from feature_repo.feast_store import is_in_sqlite, online_path, open_feast
from feature_repo.registry import register
from feature_repo.store import init_store
from tests.feature_repo.planted_feast import TEXT

YAML = Path(__file__).parents[2] / "feature_repo" / "feature_store.yaml"


def test_the_databases_are_below_the_root_that_was_opened_whatever_the_environment_says(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("AFFECTSTORE_ROOT", "/nowhere")
    store = init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))
    feast = open_feast(store)
    assert (feast.project, feast.config.entity_key_serialization_version) == ("affectstore", 3)
    assert feast.config.offline_store.type.endswith("PartsOfflineStore")
    assert is_in_sqlite(feast)
    assert online_path(feast) == tmp_path / "store" / "feast" / "online.db"
    assert (tmp_path / "store" / "feast" / "registry.db").stat().st_size > 0


def test_an_object_store_needs_a_configuration_that_names_its_databases(tmp_path, monkeypatch):
    store = init_store("memory://bucket/registered", cache=str(tmp_path))
    store.ensure_table(TEXT)
    with pytest.raises(StoreFormatError, match="set FEAST_FS_YAML_FILE_PATH"):
        register(store)
    copy = tmp_path / "shared.yaml"
    copy.write_text(YAML.read_text().replace("${AFFECTSTORE_ROOT}/feast", str(tmp_path)))
    monkeypatch.setenv("FEAST_FS_YAML_FILE_PATH", str(copy))
    assert register(store).views == (TEXT.view,)
    (view,) = open_feast(store).list_feature_views()
    assert view.batch_source.path == store.files.url(f"features/{TEXT.view}")
    assert view.batch_source.path.startswith("memory://")
    drop_view(store, TEXT.view)
    assert open_feast(store).list_feature_views() == []
    copy.write_text("- not a mapping")
    with pytest.raises(BadInputError, match="not a mapping"):
        register(store)
    copy.write_text("provider: local")
    with pytest.raises(BadInputError, match=r"shared\.yaml is no Feast configuration"):
        register(store)
    copy.write_text("project: affectstore\nregistry: [1]\nprovider: local")
    with pytest.raises(BadInputError, match=r"registry that .*shared\.yaml names can't be opened"):
        register(store)
    copy.unlink()
    with pytest.raises(BadInputError, match=r"shared\.yaml is unreadable"):
        register(store)
