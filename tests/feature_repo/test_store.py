"""The store: what is opened, what is refused, and what it is asked."""

import errno
import json
import os
import subprocess

import numpy as np
import polars as pl
import pytest

from feature_repo import store as store_module
from feature_repo.errors import (
    AmbiguousViewError,
    BadInputError,
    StoreFormatError,
    StoreWriteError,
    UnknownNameError,
)
from feature_repo.fill import fill
from feature_repo.part import Row
from feature_repo.recipe import Recipe
from feature_repo.store import FORMAT, cache_folder, init_store, open_store
from tests.feature_repo.planted import (
    MEDIA,
    STEPS,
    TEXT,
    Extraction,
    live,
    memory_root,
    new_store,
    rows,
    texts,
)


@pytest.fixture(params=["folder", "memory"])
def root(request, tmp_path) -> str:
    return str(tmp_path / "store") if request.param == "folder" else memory_root()


def test_init_makes_an_empty_store_and_init_again_keeps_what_is_there(root):
    store = init_store(root)
    assert store.corpora() == store.views() == []
    store.write_manifest("c", rows({"c/1": "one"}))
    assert init_store(root).corpora() == ["c"]
    assert open_store(root).manifest()["text"].to_list() == ["one"]


def test_the_root_comes_from_the_variable(root, monkeypatch):
    with pytest.raises(StoreFormatError, match="give --root FOLDER or set AFFECTSTORE_ROOT"):
        open_store()
    init_store(root)
    monkeypatch.setenv("AFFECTSTORE_ROOT", root)
    assert open_store().root == open_store(root).root


def test_a_relative_root_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert init_store("here/store").root == str(tmp_path / "here" / "store")
    assert open_store("here/../here/store").cache == open_store(str(tmp_path / "here/store")).cache


def test_what_is_no_store_is_refused(root, tmp_path):
    with pytest.raises(StoreFormatError, match=r"is not a store; make one with `affectstore init --root"):
        open_store(root)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"x")
    with pytest.raises(StoreFormatError, match="is not a store"):
        open_store(str(tmp_path / "photos"))
    with pytest.raises(StoreFormatError, match=r"not empty and not a store \(it holds 'cat.jpg'\)"):
        init_store(str(tmp_path / "photos"))
    with pytest.raises(StoreFormatError, match="is not a store"):
        open_store(str(tmp_path / "photos" / "cat.jpg"))
    with pytest.raises((StoreFormatError, StoreWriteError)):
        init_store(str(tmp_path / "photos" / "cat.jpg"))
    assert (tmp_path / "photos" / "cat.jpg").read_bytes() == b"x"


def test_a_store_of_a_newer_format_is_refused(root):
    store = init_store(root)
    store.files.write("format.json", json.dumps({"format": FORMAT + 1}).encode())
    told = rf"has format {FORMAT + 1}, this version reads formats up to {FORMAT}: install a newer affectstore"
    for enter in (open_store, init_store):
        with pytest.raises(StoreFormatError, match=told):
            enter(root)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b'{"format": "new"}', b"\xff\xfe", b'{"format": null}']
)
def test_an_unreadable_format_is_told(root, data):
    init_store(root).files.write("format.json", data)
    with pytest.raises(StoreFormatError, match=r"format\.json is unreadable"):
        open_store(root)


def test_each_store_has_a_cache_of_its_own(tmp_path):
    base = str(tmp_path / "cache")
    assert cache_folder("/a", base) != cache_folder("/b", base)
    assert cache_folder("/a", base) == cache_folder("/a", base)
    assert cache_folder("/a", base).parent == tmp_path / "cache"


def test_tables_are_made_once_and_found_again(root):
    store = init_store(root)
    table = store.ensure_table(TEXT, {"model": "letters"})
    assert store.ensure_table(TEXT, {"model": "other"}) is table
    again = open_store(root)
    assert again.views() == [TEXT.view]
    assert again.recipe(TEXT.view) == TEXT
    assert again.provenance(TEXT.view) == {"model": "letters"}
    assert again.view_of(TEXT.fingerprint) == TEXT.view
    with pytest.raises(UnknownNameError, match=rf"unknown view 'text_x_1'; allowed: {TEXT.view}"):
        again.table("text_x_1")
    with pytest.raises(UnknownNameError, match="recipe fingerprint"):
        again.view_of(STEPS.fingerprint)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"recipe": {"modality": "text"}}'])
def test_an_unreadable_recipe_is_named(root, data):
    store = init_store(root)
    store.files.write(f"features/{TEXT.view}/recipe.json", data)
    with pytest.raises(BadInputError, match=r"recipe\.json is unreadable|recipe is incomplete"):
        store.table(TEXT.view)


def test_a_recipe_in_another_s_folder_is_refused(root):
    store = init_store(root)
    store.ensure_table(TEXT)
    store.files.write(
        f"features/{STEPS.view}/recipe.json", store.files.read(f"features/{TEXT.view}/recipe.json")
    )
    with pytest.raises(BadInputError, match=f"describes {TEXT.fingerprint}, not {STEPS.view}"):
        store.table(STEPS.view)


def test_two_recipes_whose_fingerprints_begin_alike_never_share_a_table(root, monkeypatch):
    fingerprint = Recipe.fingerprint.fget
    other = Recipe("text", "letters", 2, "text", "pooled", 4)
    monkeypatch.setattr(
        Recipe,
        "fingerprint",
        property(
            lambda self: (
                TEXT_PRINT[:8] + fingerprint(self)[8:] if self.code_version == 2 else fingerprint(self)
            )
        ),
    )
    assert other.view == TEXT.view
    store = init_store(root)
    store.ensure_table(TEXT)
    with pytest.raises(BadInputError, match="two recipes share the name"):
        store.ensure_table(other)


TEXT_PRINT = TEXT.fingerprint


def test_a_slot_or_a_view_is_resolved(root):
    store = init_store(root)
    store.ensure_table(TEXT)
    store.ensure_table(STEPS)
    assert store.resolve(TEXT.view) == TEXT.view
    with pytest.raises(UnknownNameError, match=rf"slot or view 'text'; allowed: .*{TEXT.view}"):
        store.resolve("text")
    store.catalog.set("paper", {"text": TEXT.view})
    assert store.resolve("text") == TEXT.view
    store.catalog.set("ssl", {"text": "text_other_1"})
    with pytest.raises(AmbiguousViewError):
        store.resolve("text")
    assert store.resolve("text", "paper") == TEXT.view


def test_wanted_keys_follow_the_manifest(tmp_path):
    store = new_store(tmp_path)
    clip = tmp_path / "a.wav"
    clip.write_text("sound")
    store.write_manifest("c", rows({"c/1": "one", "c/2": None}, media_uri=[None, str(clip)]))
    assert store.wanted(TEXT)["utterance_id"].to_list() == ["c/1"]
    assert store.wanted(MEDIA)["utterance_id"].to_list() == ["c/2"]
    with pytest.raises(UnknownNameError, match="unknown corpus 'd'; allowed: c"):
        store.wanted(TEXT, ["d"])


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_init_where_nothing_can_be_written_says_why(tmp_path, monkeypatch, code):
    def fail(moment, operation, path):
        if operation in ("make_folder", "stage"):
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(store_module, "FileLayer", lambda root: store_module_layer(root, fail))
    with pytest.raises(StoreWriteError, match=os.strerror(code)):
        init_store(str(tmp_path / "store"))


store_module_layer = store_module.FileLayer


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting is not permitted here; the injected errors of test_crash.py stand in")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_stops_the_run_with_the_reason_and_keeps_what_was_stored(small_disk, tmp_path):
    wide = Recipe("text", "wide", 1, "text", "pooled", 4096)
    store = init_store(str(small_disk / "store"), cache=str(tmp_path / "cache"))
    store.write_manifest("c", rows(texts("c", 200)))
    with pytest.raises(
        StoreWriteError, match=r"No space left on device; what was committed before stays readable"
    ):
        fill(store, [wide], Extraction(store, [wide]), flush_bytes=16 * 4096 * 4)
    found = live(open_store(str(small_disk / "store"), cache=str(tmp_path / "cache")), wide)
    assert 16 <= len(found) < 64
    assert len(found) % 16 == 0
    subprocess.run(["mount", "-o", "remount,size=16m", small_disk], check=True)
    extraction = Extraction(store, [wide])
    assert fill(store, [wide], extraction).computed == 200 - len(found)
    assert len(live(store, wide)) == 200


def test_a_disk_that_became_read_only_is_still_read(small_disk, tmp_path):
    store = init_store(str(small_disk / "store"), cache=str(tmp_path / "cache"))
    store.write_manifest("c", rows(texts("c", 5)))
    fill(store, [TEXT], Extraction(store, [TEXT]))
    before = live(store, TEXT)
    store.write_manifest("c", rows(texts("c", 6)))
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    again = open_store(str(small_disk / "store"), cache=str(tmp_path / "cache"))
    assert live(again, TEXT) == before
    with pytest.raises(StoreWriteError, match="Read-only file system"):
        fill(again, [TEXT], Extraction(again, [TEXT]))
    with pytest.raises(StoreWriteError, match="Read-only file system"):
        again.write_manifest("c", rows(texts("c", 7)))
    assert live(again, TEXT) == before


def test_an_optional_input_may_have_no_table_yet_and_another_must(tmp_path):
    store = init_store(str(tmp_path / "store"))
    store.write_manifest("c", pl.DataFrame({"utterance_id": ["c/1"], "text": ["hi"]}))
    must = Recipe("text", "a", 1, "text", "pooled", 2)
    may = Recipe("text", "b", 1, "text", "pooled", 2)
    inputs = (must.fingerprint, may.fingerprint)
    derived = Recipe(
        "face", "c", 1, "rows", "pooled", 2, inputs=inputs, settings={"optional_inputs": [may.fingerprint]}
    )
    with pytest.raises(UnknownNameError, match=f"unknown recipe fingerprint '{must.fingerprint}'"):
        store.wanted(derived)
    table = store.ensure_table(must)
    assert store.inputs_of(derived) == {must.fingerprint: must.view}
    assert store.wanted(derived).is_empty()
    table.append([Row("c/1", "key", np.ones(2, np.float32))])
    before = store.wanted(derived)
    assert before["utterance_id"].to_list() == ["c/1"]
    other = store.ensure_table(may)
    assert store.wanted(derived).equals(before)
    other.append([Row("c/1", "key", None, "nothing")])
    assert not store.wanted(derived).equals(before)


def test_a_file_url_is_the_folder_that_it_means(tmp_path):
    init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))
    by_url = open_store(f"file://{tmp_path}/store", cache=str(tmp_path / "cache"))
    by_path = open_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))
    assert (by_url.root, by_url.cache) == (by_path.root, by_path.cache)
