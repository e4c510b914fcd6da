import pytest

from feature_repo.loaded_parts import loaded_parts, remove_all_but, save_loaded_parts
from feature_repo.store import Store, init_store


@pytest.fixture
def store(tmp_path) -> Store:
    return init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))


def test_what_was_saved_of_a_view_is_known_and_of_no_other(store):
    save_loaded_parts(store, "text_a", ["part-2", "part-1"], "here")
    assert loaded_parts(store, "text_a", "here") == {"part-1", "part-2"}
    assert loaded_parts(store, "text_b", "here") == frozenset()
    assert loaded_parts(store, "text_a", "elsewhere") == frozenset()


@pytest.mark.parametrize(
    "content", [b"", b"{half", b"[]", b"{}", b'{"parts": ["part-1"]}', b'{"online": "here", "parts": 3}']
)
def test_a_damaged_note_means_that_nothing_is_known(store, content):
    store.files.write("feast/loaded/text_a.json", content)
    assert loaded_parts(store, "text_a", "here") == frozenset()


def test_views_that_are_gone_are_forgotten(store):
    for view in ("text_a", "text_b"):
        save_loaded_parts(store, view, ["part-1"], "here")
    remove_all_but(store, ["text_b"])
    assert loaded_parts(store, "text_a", "here") == frozenset()
    assert loaded_parts(store, "text_b", "here") == {"part-1"}
