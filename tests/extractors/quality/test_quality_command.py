"""The command ``quality``: what it prints, keeps and exchanges, and that it computes and reads no feature."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from affectstore import command_line
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.feature_table import FeatureTable
from tests.feature_repo.planted_measures import FACES, LEVEL, MATCH, MODELS, REFERENCE, PlantedStore, good

KNOWN = ("--set", "face.MobileFaceNet.similarity=0.3")
PLANTED = {
    "meld/1": good() | {"split": "train"},
    "meld/2": good(match={"similarity": 0.1}) | {"split": "train", "emotion": "fear"},
    "meld/3": good(alignment={"cosine": 0.21, "levenshtein": 0.11}) | {"split": "test"},
    "meld/4": good() | {"split": "test", "speaker_id": None, "speaker_raw": "[Both]"},
    "meld/5": good(level="missing") | {"split": "dev"},
    "iemocap/1": good(alignment={"cosine": 0.0}) | {"split": "all"},
}


@pytest.fixture
def store(tmp_path):
    return PlantedStore(tmp_path, PLANTED).store


def run(store, *arguments, known=KNOWN):
    done = CliRunner().invoke(
        command_line(),
        ["quality", *known, *map(str, arguments), "--root", store.root],
        env={"COLUMNS": "130"},
    )
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def cells(output, first):
    """The cells of the first printed row that begins so."""
    line = next(line for line in output.splitlines() if line.lstrip().startswith(first))
    return line.split()


def test_it_prints_thresholds_both_tables_and_what_is_missing(store):
    done = run(store)
    assert cells(done.stdout, "face.MobileFaceNet.similarity") == [
        "face.MobileFaceNet.similarity",
        "0.3",
        "--set",
    ]
    assert cells(done.stdout, "text.all-mpnet-base-v2.cosine")[:2] == [
        "text.all-mpnet-base-v2.cosine",
        "0.25",
    ]
    assert cells(done.stdout, "meld     train") == ["meld", "train", "2", "1", "50.0", "·"]
    assert cells(done.stdout, "total") == ["total", "5", "1", "20.0", "1"]
    assert cells(done.stdout, "iemocap") == ["iemocap", "all", "1", "1", "100.0", "·"]
    funnel = done.stdout[done.stdout.index("meld: the funnel") :]
    assert cells(funnel, "speaker") == ["speaker", "several", "speakers", "1", "20.0", "4"]
    assert cells(funnel, "verified") == ["verified", "20.0", "1"]
    assert cells(funnel, "fear") == ["fear", "0", "of", "1", "·", "·", "0", "of", "1", "0.0"]
    assert "meld: 1 utterances lack the measure of check audio: affectstore extract -e level" in done.stderr
    assert "around the frames of 1 utterances" in done.stderr


def test_another_threshold_is_another_answer(store):
    looser = run(store, "--set", "face.MobileFaceNet.similarity=0.1", "-c", "meld", "--json")
    (corpus,) = json.loads(looser.stdout)["corpora"].values()
    assert corpus["verified"] == 2
    assert corpus["splits"][0] == {"split": "train", "original": 2, "verified": 2, "unmeasured": 0}
    tight = json.loads(run(store, "--set", "audio.peak_db=-3", "--json").stdout)
    assert tight["thresholds"]["audio.peak_db"] == {"value": -3.0, "source": "--set"}
    assert tight["corpora"]["meld"]["verified"] == 0
    assert tight["corpora"]["iemocap"]["verified"] == 1, "only the face counts there"


def test_a_config_file_and_chosen_checks(store, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("[face.MobileFaceNet]\nsimilarity = 0.05\n[checks]\ndefault = ['face']\n")
    told = json.loads(run(store, "--config", file, "--json", known=()).stdout)
    assert told["corpora"]["meld"]["verified"] == 5
    assert list(told["thresholds"]) == ["face.MobileFaceNet.similarity"]
    chosen = json.loads(run(store, "--checks", "speaker, alignment", "--json", known=()).stdout)
    assert {name: one["verified"] for name, one in chosen["corpora"].items()} == {"meld": 3, "iemocap": 0}
    assert [one["reason"] for one in chosen["corpora"]["meld"]["funnel"]] == [
        "composite",
        "cosine",
        "levenshtein",
    ]


def test_a_list_of_ids_with_their_reasons(store, tmp_path):
    path = tmp_path / "list.csv"
    run(store, "--list", path)
    rows = {row["utterance_id"]: row for row in csv.DictReader(path.open())}
    assert set(rows) == set(PLANTED)
    assert rows["meld/1"]["passed"] == "true"
    assert (rows["meld/3"]["reason"], rows["meld/3"]["reasons"]) == (
        "cosine",
        "cosine 0.21 below 0.25; Levenshtein similarity 0.11 below 0.3",
    )
    assert rows["meld/5"]["reason"] == "unmeasured"
    assert rows["meld/4"]["reasons"] == "several speakers: [Both]"


def test_a_verdict_is_kept_exported_and_imported_again(store, tmp_path):
    path = tmp_path / "verified.json"
    done = run(store, "--save", "paper", "--export", path)
    assert "kept as paper" in done.stderr
    assert "wrote 2 verified ids" in done.stderr
    kept = store.verdicts.load("paper")
    assert kept.ids == ["iemocap/1", "meld/1"]
    assert json.loads(path.read_text())["verified"] == kept.ids
    done = run(store, "--import", path, "--name", "theirs", known=())
    assert "kept as theirs: 2 of 6 utterances verified" in done.stderr
    assert store.verdicts.load("theirs").rows.equals(kept.rows)
    again = tmp_path / "again.json"
    run(store, "--export", again, "--name", "theirs", known=())
    assert json.loads(again.read_text()) == {**json.loads(path.read_text()), "name": "theirs"}


def test_a_plain_list_tells_what_it_does_not_know(store, tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("meld/1\nmeld/9\n")
    done = run(store, "--import", path, "--name", "theirs", known=())
    assert "1 ids of the list are in no manifest and were left out: meld/9" in done.stderr
    assert store.verdicts.load("theirs").ids == ["meld/1"]


def test_figures_are_written(store, tmp_path):
    done = run(store, "--figures", tmp_path / "figures")
    written = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert "alignment.png" in written
    assert all(Path(name).stem in done.stderr for name in written)
    assert len(done.stderr.splitlines()) < len(written), "one line, not one a file"


def test_it_computes_nothing_and_reads_no_vector(store, monkeypatch):
    """The record measures are read; of faces and references their keys alone, never a column of values."""
    before = {view: store.table(view).all_parts() for view in store.views()}
    read = []
    original = FeatureTable.read_part

    def watch(table, name, columns=None):
        read.append((table.view, columns))
        return original(table, name, columns)

    def refuse(*arguments, **options):
        raise AssertionError("a feature table was written")

    monkeypatch.setattr(FeatureTable, "read_part", watch)
    monkeypatch.setattr(FeatureTable, "append", refuse)
    run(store, "--set", "face.MobileFaceNet.similarity=0.5")
    assert {view for view, _ in read} >= {LEVEL.view, MATCH.view}
    of_keys = {"utterance_id", "speaker_id", "content_key", "created_timestamp", "note", "faces_n"}
    for recipe in (FACES, REFERENCE):
        columns = {name for view, names in read if view == recipe.view for name in names}
        assert columns
        assert columns <= of_keys, columns
    assert {view: store.table(view).all_parts() for view in store.views()} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--checks", "fase"], "check of checks in --checks 'fase'; allowed: alignment"),
        (["--set", "face.MobileFaceNet.similarity=2"], "allowed: a number from -1 to 1"),
        (["--profile", "paper"], "unknown profile 'paper'; allowed: default"),
        (["--corpus", "mled"], "unknown corpus 'mled'; allowed: iemocap, meld"),
        (["--save", "a/b"], "verdict name 'a/b'"),
        (["--name", "x"], "--name belongs to --import or --export"),
        (["--import", "x", "--export", "y"], "one at a time"),
        (["--export", "y", "--name", "none"], "unknown verdict 'none'"),
    ],
)
def test_a_slip_is_named(store, arguments, message):
    with pytest.raises((BadInputError, UnknownNameError), match=message):
        run(store, *arguments)


def test_a_space_that_nobody_has_calibrated(tmp_path, monkeypatch):
    monkeypatch.setitem(MODELS, "onnxface", "/models/ArcFace.onnx")
    store = PlantedStore(tmp_path, PLANTED).store
    with pytest.raises(UnknownNameError, match=r"face embedder 'ArcFace'.*affectstore calibrate"):
        run(store, "-c", "iemocap", known=())
    assert run(store, "--checks", "alignment", known=()), "whoever does not ask for faces is not asked for it"


def test_a_store_without_utterances(tmp_path):
    from feature_repo.store import init_store

    with pytest.raises(BadInputError, match="has no utterances"):
        run(init_store(str(tmp_path / "empty")))
