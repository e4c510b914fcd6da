"""`affectstore export` and `affectstore import` as a user types them."""

import pickle

import numpy as np
import pytest
from typer.testing import CliRunner

from affectstore import command_line
from feature_repo import console
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.exchange.registry import format_names
from feature_repo.store import open_store
from feature_repo.terms import Terms
from tests.feature_repo.exchange.planted_exchange import (
    ADAPTED,
    SPEECH,
    TEXT,
    WORDS,
    compute_with,
    empty_store,
    make_store,
    manifest,
)


@pytest.fixture
def store(tmp_path, monkeypatch):
    for each in (console.console, console.err):
        monkeypatch.setattr(each, "_width", 200)
    monkeypatch.chdir(tmp_path)
    found = make_store(tmp_path / "one", (TEXT, WORDS, SPEECH))
    monkeypatch.setenv("AFFECTSTORE_ROOT", found.root)
    return found


def run(*arguments: str):
    done = CliRunner().invoke(command_line(), list(arguments))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def numbers(output: str, *words: str) -> list[str]:
    (line,) = [line for line in output.splitlines() if all(word in line.split() for word in words)]
    return line.split()


def test_the_helps_name_every_format_and_each_other():
    export, took = run("export", "--help").stdout, run("import", "--help").stdout
    assert "affectstore pull -o" in " ".join(export.replace("│", " ").split())
    for name in format_names():
        assert name in took
        assert name in export or name == "dialogues"


def test_what_is_exported_is_taken_in_by_another_store(store, tmp_path):
    done = run("export", "text", "text_steps", "-o", "x.npz")
    assert "licence c: must not be passed on (for research, signed form)" in done.stderr
    assert "licence b" not in done.stderr
    assert "wrote x.npz" in done.stdout
    other = empty_store(tmp_path / "two")
    with pytest.raises(BadInputError, match="about b, c, which this store does not have.*--with-manifest"):
        run("import", "x.npz", "-r", other.root)
    took = run("import", "x.npz", "-r", other.root, "--with-manifest").stdout
    assert "corpus c: 24 utterances came along; its licence: for research, signed form" in took
    rows = int((store.table(TEXT.view).live_keys()).height)
    assert numbers(took, "text", TEXT.view)[2:5] == [str(rows), str(rows), "·"]
    assert f"profile default means {TEXT.view}, {WORDS.view}" in took
    again = run("import", "x.npz", "-r", other.root).stdout
    assert numbers(again, "text", TEXT.view)[2:6] == [str(rows), "·", "·", str(rows)]
    assert open_store(other.root).pull(["text"]).snapshot() == store.pull(["text"]).snapshot()


@pytest.mark.parametrize("option", [("--as", "face"), ("--corpus", "c"), ("--note", "of Ann's")])
def test_what_an_export_has_no_use_for_is_refused_and_not_passed_over(store, option):
    run("export", "text", "-o", "x.npz")
    with pytest.raises(BadInputError, match="--as, --corpus and --note are for what others computed"):
        run("import", "x.npz", *option)


def test_an_id_is_made_in_one_way(store, tmp_path):
    np.savez("y.npz", ids=np.array(["d0_u0"]), a=np.ones((1, 2)))
    (tmp_path / "ids.csv").write_text("source,utterance_id\nd0_u0,c/d0_u0\n")
    with pytest.raises(BadInputError, match="--id and --map"):
        run("import", "y.npz", "--as", "text", "--id", "c/{id}", "--map", "ids.csv")


def test_a_corpus_that_is_not_here_is_told_and_the_rest_taken(store, tmp_path):
    run("export", "text", "-o", "x.npz")
    other = empty_store(tmp_path / "two")
    other.write_manifest("c", manifest("c"))
    took = run("import", "x.npz", "-r", other.root)
    assert "b not in this store" in took.stderr
    assert int(numbers(took.stdout, "text", TEXT.view)[-1]) > 0


def test_selections_and_texts_are_the_user_s_choice(store, tmp_path):
    run("export", "text", "-c", "c", "--split", "dev", "--no-text", "-o", "x.npz")
    with np.load("x.npz") as arrays:
        assert "manifest_text" not in arrays.files
        assert set(arrays["manifest_split"].tolist()) == {"dev"}
    (tmp_path / "ids.txt").write_text("c/d1_u0\nc/d0_u0\n")
    run("export", "text", "--ids", "ids.txt", "-o", "x.npz")
    with np.load("x.npz") as arrays:
        assert arrays["ids"].tolist() == ["c/d1_u0", "c/d0_u0"]
    (tmp_path / "none.txt").write_text("\n")
    with pytest.raises(BadInputError, match="missing.txt can't be read: .*one id a line"):
        run("export", "text", "--ids", "missing.txt", "-o", "none.npz")
    with pytest.raises(BadInputError, match="no utterance was chosen"):
        run("export", "text", "--ids", "none.txt", "-o", "none.npz")
    assert not (tmp_path / "none.npz").exists()


def test_a_table_of_somebody_else_is_told_of_and_leaves_slots_as_they_are(store):
    ids = ["c/d0_u0", "c/d0_u1", "c/none"]
    np.savez("y.npz", ids=np.array(ids), a=np.array([[1.0, 2], [np.nan, 1], [1, 1]]), b=np.ones((3, 2)))
    took = run("import", "y.npz", "--array", "a", "--as", "text", "--note", "from Ann").stdout
    (view,) = [view for view in store.views() if view.startswith("text_imported")]
    assert numbers(took, "a", view)[3:] == ["3", "1", "·", "1", "1", "22"]
    assert "text: 1 failed with gate: RefusedFeatures" in took
    assert "in no manifest: c/none" in took
    assert f"text still means {TEXT.view}; affectstore use {view}" in took
    again = run("import", "y.npz", "--array", "a", "--as", "text", "--note", "from Ann").stdout
    assert numbers(again, "a", view)[3:] == ["3", "·", "1", "1", "1", "22"]
    took = run("import", "y.npz", "--array", "b", "--as", "face", "--profile", "ann").stdout
    assert store.catalog.slots("ann")["face"].startswith("face_imported")
    with pytest.raises(BadInputError, match="one by one"):
        run("import", "y.npz", "-a", "a", "-a", "b", "--as", "text")
    with pytest.raises(BadInputError, match="no export, so it brings no manifest"):
        run("import", "y.npz", "-a", "a", "--with-manifest")


def test_a_file_of_faults_alone_ends_with_an_error_code(store):
    np.savez("y.npz", ids=np.array(["c/d0_u0"]), a=np.zeros((1, 2)))
    done = run("import", "y.npz", "--as", "text")
    assert done.exit_code == 1
    assert "every row failed" in done.stderr


def test_a_derived_slot_without_its_input_wants_detach(store, tmp_path):
    compute_with(store, (ADAPTED,))
    run("export", ADAPTED.view, "text_steps", "-f", "hf", "-o", "x")
    other = empty_store(tmp_path / "two")
    with pytest.raises(BadInputError, match="--detach"):
        run("import", "x", "-r", other.root, "--with-manifest")
    assert other.corpora() == []
    took = run("import", "x", "-r", other.root, "--with-manifest", "--detach").stdout
    assert numbers(took, "text_steps", WORDS.view)
    views = open_store(other.root).views()
    assert [view.rpartition("_")[0] for view in views] == ["text_imported", "text_planted"]


def test_a_pickle_that_would_run_something_is_refused_by_the_command(store, tmp_path):
    class Evil:
        def __reduce__(self):
            return eval, ("__import__('pathlib').Path('ran').touch()",)

    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"train": Evil()}))
    (tmp_path / "tuple.pkl").write_bytes(pickle.dumps((1, 2, 3, Evil())))
    for name in ("evil.pkl", "tuple.pkl"):
        with pytest.raises(BadInputError, match="asks for builtins.eval"):
            run("import", name)
    assert not (tmp_path / "ran").exists()


def test_unknown_names_are_told_with_those_there_are(store):
    with pytest.raises(UnknownNameError, match="allowed: hf, mmsa, npz, safetensors"):
        run("export", "text", "-o", "x", "-f", "dialogues")
    with pytest.raises(BadInputError, match="does not tell a format"):
        run("export", "text", "-o", "x.csv")
    with pytest.raises(UnknownNameError, match="unknown slot or view 'smell'"):
        run("export", "smell", "-o", "x.npz")


def test_ingest_records_the_reader_s_terms_and_a_stand_in_s_are_its_own(store, tmp_path):
    run("stand-in", "cremad", "stand-in", "--speakers", "1", "--per-emotion", "1")
    run("ingest", "cremad", "stand-in")
    assert store.manifests.terms("cremad-standin").redistributable is True
    assert "made up" in store.manifests.terms("cremad-standin").licence
    (tmp_path / "mine.csv").write_text("id,words\n1,hello\n")
    run("ingest", "table", "mine.csv", "--name", "mine", "--map", "utterance_id=id", "--map", "text=words")
    assert store.manifests.terms("mine").licence == "your own data"
    assert store.manifests.terms("mine").redistributable is None
    again = (
        "ingest",
        "table",
        "mine.csv",
        "--name",
        "mine",
        "--map",
        "utterance_id=id",
        "--map",
        "text=words",
    )
    run(*again, "--licence", "ours alone", "--not-shareable")
    assert store.manifests.terms("mine") == Terms("ours alone", False)
