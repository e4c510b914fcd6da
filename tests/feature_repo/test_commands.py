"""The store's commands as a user types them."""

import json

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from feature_repo.commands import add_commands
from feature_repo.errors import AmbiguousViewError, BadInputError, StoreFormatError, UnknownNameError
from feature_repo.fill import fill
from feature_repo.outcome import Fault, Features
from feature_repo.recipe import Recipe
from feature_repo.selections import NamedSelection
from feature_repo.splits import SavedSplit
from feature_repo.store import Store, init_store

TEXT = Recipe("text", "letters", 1, "text", "pooled", 2)
OTHER = Recipe("text", "letters", 2, "text", "pooled", 3)


def compute(missing):
    for view, ids in missing.items():
        for utterance_id in ids:
            if utterance_id == "c/broken":
                yield view, utterance_id, Fault("media", "FileNotFoundError", "no such file: broken.wav")
            else:
                width = 2 if view == TEXT.view else 3
                yield view, utterance_id, Features(np.full(width, len(utterance_id), np.float32))


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    add_commands(app)
    return app


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    monkeypatch.setenv("AFFECTSTORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AFFECTSTORE_ROOT", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "200")
    store = init_store(str(tmp_path / "store"))
    rows = pl.DataFrame(
        {
            "utterance_id": ["c/one", "c/three", "c/broken"],
            "text": ["1", "3", "0"],
            "emotion": ["joy", "anger", "joy"],
            "split": ["train", "test", "train"],
            "speaker_id": ["c/ann", "c/bob", "c/bob"],
        }
    )
    store.write_manifest("c", rows)
    fill(store, [TEXT], compute)
    store.catalog.set("p", {"text": TEXT.view})
    return store


def run(app, *arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_init_makes_a_store_and_opens_it_again(app, tmp_path):
    for _ in range(2):
        assert str(tmp_path / "new") in run(app, "init", "--root", tmp_path / "new").output
    assert json.loads((tmp_path / "new" / "format.json").read_text()) == {"format": 1}


def test_init_refuses_a_folder_that_holds_something_else(app, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreFormatError, match=r"thesis\.tex"):
        run(app, "init", "--root", tmp_path)


def test_status_counts_what_was_planted(app, store):
    told = json.loads(run(app, "status", "--json").output)
    (row,) = told["coverage"]
    assert (row["view"], row["corpus"], row["present"], row["faulted"]) == (TEXT.view, "c", 2, 1)
    assert told["profiles"] == {"p": {"text": TEXT.view}}
    assert TEXT.view in run(app, "status").output


def test_faults_names_utterance_and_reason_until_it_is_mended(app, store):
    (fault,) = json.loads(run(app, "faults", "--json").output)
    assert (fault["utterance_id"], fault["message"]) == ("c/broken", "no such file: broken.wav")
    rows = store.manifest().with_columns(
        text=pl.when(pl.col("utterance_id") == "c/broken").then(pl.lit("mended")).otherwise("text")
    )
    store.write_manifest("c", rows)
    assert "no open faults" in run(app, "faults").output
    with pytest.raises(UnknownNameError, match=TEXT.view):
        run(app, "faults", "text_nothing_00000000")


def test_pull_writes_what_is_stored(app, store, tmp_path):
    out = tmp_path / "out.npz"
    assert "1 utterances pulled" in run(app, "pull", "text", "--split", "train", "-o", out).output
    with np.load(out, allow_pickle=False) as found:
        np.testing.assert_array_equal(found["text"], [[5.0, 5.0]])  # len("c/one")
    run(app, "pull", "text", "-o", tmp_path / "out.parquet")
    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert set(frame["utterance_id"]) == {"c/one", "c/three"}


def test_pull_takes_lists_that_the_store_keeps(app, store, tmp_path):
    store.selections.save(NamedSelection("few", ["c/three", "c/broken"]))
    parts = {"utterance_id": ["c/one", "c/three"], "corpus": ["c", "c"], "part": ["test", "test"]}
    store.splits.save(SavedSplit("mine", pl.DataFrame(parts)))
    out = tmp_path / "out.parquet"
    assert "1 utterances pulled" in run(app, "pull", "text", "--selection", "few", "-o", out).output
    assert pl.read_parquet(out)["utterance_id"].to_list() == ["c/three"]
    run(app, "pull", "text", "--part", "mine/test", "--speaker", "c/ann", "-o", out)
    assert pl.read_parquet(out)["utterance_id"].to_list() == ["c/one"]
    with pytest.raises(UnknownNameError, match="unknown selection 'many'; allowed: few"):
        run(app, "pull", "text", "--selection", "many")


def test_pull_names_views_by_aliases(app, store, tmp_path):
    fill(store, [OTHER], compute)
    out = tmp_path / "out.npz"
    told = run(app, "pull", f"raw={TEXT.view}", f"adapted={OTHER.view}", "-o", out).output
    assert "raw" in told
    assert OTHER.view in told
    with np.load(out) as found:
        assert {"raw", "adapted", "raw_present", "adapted_content_key"} <= set(found.files)
    with pytest.raises(BadInputError, match=f"other_text={OTHER.view}"):
        run(app, "pull", TEXT.view, OTHER.view)


def test_pull_by_dialogue_writes_the_index(app, store, tmp_path):
    rows = store.manifest().with_columns(
        dialogue_id=pl.lit("c/d"), turn=pl.int_range(pl.len(), dtype=pl.Int32), emotion=pl.lit("joy")
    )
    store.write_manifest("c", rows)
    out = tmp_path / "out.npz"
    told = " ".join(run(app, "pull", "text", "--by", "dialogue", "-o", out).output.split())
    assert "1 dialogues, the longest of 2 turns; 2 turns are targets, 0 are context alone" in told
    with np.load(out) as found:
        assert found["dialogue_ids"].tolist() == ["c/d"]
        assert found["ids"][found["dialogue_index"][0]].tolist() == ["c/one", "c/three"]
        assert found["dialogue_targets"].all()
    run(app, "pull", "text", "--by", "dialogue", "-o", tmp_path / "out.parquet")
    assert pl.read_parquet(tmp_path / "out.parquet")["dialogue_turn"].to_list() == [0, 1]


def test_pull_follows_a_file_of_ids(app, store, tmp_path):
    (tmp_path / "ids.txt").write_text("c/three\nc/one\n")
    run(app, "pull", "text", "--ids", tmp_path / "ids.txt", "-o", tmp_path / "out.parquet")
    assert pl.read_parquet(tmp_path / "out.parquet")["utterance_id"].to_list() == ["c/three", "c/one"]


def test_pull_refuses_what_it_does_not_know(app, store, tmp_path):
    with pytest.raises(UnknownNameError, match=r"\.npz"):
        run(app, "pull", "text", "-o", tmp_path / "out.xlsx")
    with pytest.raises(UnknownNameError, match="'sound'; allowed: text"):
        run(app, "pull", "sound")
    with pytest.raises(UnknownNameError, match="'meld'; allowed: c"):
        run(app, "pull", "text", "--corpus", "meld")


def test_two_candidates_are_listed_until_use_settles_it(app, store):
    fill(store, [OTHER], compute)
    store.catalog.set("q", {"text": OTHER.view})
    with pytest.raises(AmbiguousViewError, match=f"{TEXT.view}.*{OTHER.view}"):
        run(app, "pull", "text")
    run(app, "use", OTHER.view)
    assert store.resolve("text") == OTHER.view
    assert OTHER.view in run(app, "pull", "text").output


def test_compact_then_gc_leave_one_part_and_the_same_rows(app, store):
    changed = store.manifest().with_columns(text=pl.col("text") + "!")
    store.write_manifest("c", changed)
    fill(store, [TEXT], compute)
    before = store.table(TEXT.view).live_keys().sort("utterance_id")
    assert "2 parts became 1" in run(app, "compact").output
    assert "removed 2 merged parts" in run(app, "gc", "--grace", "0").output
    assert len(store.files.list_files(f"features/{TEXT.view}")) == 2  # one part and recipe.json
    assert store.table(TEXT.view).live_keys().sort("utterance_id").equals(before)


def test_drop_asks_first(app, store):
    assert CliRunner().invoke(app, ["drop", TEXT.view], input="n\n").exit_code == 1
    assert store.views() == [TEXT.view]
    run(app, "drop", TEXT.view, "--yes")
    assert store.views() == []


def test_forget_a_speaker(app, store):
    assert "forgot 2 utterances" in run(app, "forget", "--speaker", "c/bob", "--yes").output
    assert store.manifest()["utterance_id"].to_list() == ["c/one"]
    with pytest.raises(BadInputError, match="--speaker"):
        run(app, "forget", "--yes")
