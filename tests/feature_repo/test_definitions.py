"""What the Feast commands find in the repository's folder, and when they must find an error instead."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from feature_repo.errors import BadInputError, StoreFormatError
from feature_repo.feast_import import import_feast
from feature_repo.services import immutable_name
from feature_repo.store import Store
from tests.feature_repo.planted_feast import EVERY, SPEAKER, TEXT, make_store, write

REPOSITORY = Path(__file__).parents[2] / "feature_repo"
TEXTS = {"c/1": "hello"}


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    store = make_store(tmp_path, TEXTS)
    monkeypatch.setenv("AFFECTSTORE_ROOT", store.root)
    return store


def definitions() -> ModuleType:
    """The module as Feast imports it: anew."""
    sys.modules.pop("feature_repo.definitions", None)
    return importlib.import_module("feature_repo.definitions")


def found(module: ModuleType, kind: str) -> set[str]:
    return {value.name for value in vars(module).values() if type(value).__name__ == kind}


def test_feast_imports_the_definitions_and_no_other_module():
    import_feast()
    from feast.repo_operations import get_repo_files

    assert get_repo_files(REPOSITORY) == [(REPOSITORY / "definitions.py").resolve()]
    assert sorted(path.name for path in REPOSITORY.glob("d*.py")) == ["definitions.py"]
    assert (REPOSITORY / ".feastignore").read_text().split() == ["[!d]*.py", "*/"]


def test_no_module_hides_the_standard_library_from_feast_which_runs_in_that_folder():
    assert not {path.stem for path in REPOSITORY.glob("*.py")} & sys.stdlib_module_names


def test_every_table_entity_and_service_is_a_global_variable(store):
    module = definitions()
    assert found(module, "Entity") == {"utterance", "speaker"}
    assert found(module, "FeatureView") == {recipe.view for recipe in EVERY}
    assert {"paper_text", "paper_speaker", "paper_text_speaker"} <= found(module, "FeatureService")
    assert immutable_name({"text": TEXT.view, "speaker": SPEAKER.view}) in found(module, "FeatureService")


def test_a_view_without_parts_is_there_and_readable(store):
    empty = TEXT.__class__("face", "planted", 1, "text", "pooled", 3)
    store.ensure_table(empty)
    assert empty.view in found(definitions(), "FeatureView")
    assert len(store.table(empty.view).parts()) == 1


def test_no_root_no_store_or_a_relative_root_is_an_error(store, tmp_path, monkeypatch):
    monkeypatch.delenv("AFFECTSTORE_ROOT")
    with pytest.raises(StoreFormatError, match="AFFECTSTORE_ROOT"):
        definitions()
    monkeypatch.setenv("AFFECTSTORE_ROOT", str(tmp_path / "elsewhere"))
    with pytest.raises(StoreFormatError, match="elsewhere is not a store"):
        definitions()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AFFECTSTORE_ROOT", "store")
    with pytest.raises(StoreFormatError, match="AFFECTSTORE_ROOT=store must be an absolute path"):
        definitions()


@pytest.mark.parametrize("content", [b"", b"{half", b"{}", b'{"recipe": {"modality": "text"}}'])
def test_an_unreadable_recipe_is_an_error_that_names_it(store, content):
    store.files.write(f"features/{SPEAKER.view}/recipe.json", content)
    with pytest.raises(BadInputError, match=rf"{SPEAKER.view}/recipe\.json|recipe is incomplete"):
        definitions()


def test_a_table_that_lost_its_recipe_is_an_error_that_says_what_to_do(store):
    store.files.remove(f"features/{SPEAKER.view}/recipe.json")
    with pytest.raises(
        BadInputError, match=rf"{SPEAKER.view} holds parts and no recipe\.json: .*affectstore gc"
    ):
        definitions()


def test_a_part_that_is_damaged_is_out_of_duckdb_s_way(store):
    write(store, {**TEXTS, "c/2": "more"})
    name = max(store.table(TEXT.view).parts())
    path = Path(store.root, "features", TEXT.view, name)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.warns(UserWarning, match=name):
        definitions()
    assert not path.exists()
