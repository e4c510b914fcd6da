"""Lists of verified ids go out and come in again, here or in another store, and say what they do not know."""

import json

import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.measures import read_measures
from feature_repo.named_verdicts import name_verdict
from feature_repo.quality_config import load_quality_config
from feature_repo.verdict import judge
from feature_repo.verified_list import FORMAT, export_list, import_list
from tests.feature_repo.planted import new_store, rows, texts
from tests.feature_repo.planted_measures import PlantedStore, good

CONFIG = load_quality_config(None, None, ["face.MobileFaceNet.similarity=0.3"])


@pytest.fixture
def planted(tmp_path) -> PlantedStore:
    return PlantedStore(
        tmp_path / "here",
        {
            "c/1": good(),
            "c/2": good(match={"similarity": 0.1}),
            "c/3": good(level="missing"),
            "c/4": good(),
            "d/1": good(alignment={"cosine": 0}),
        },
    )


def exported(planted) -> str:
    measures = read_measures(planted.store)
    return export_list(name_verdict(planted.store, "v", measures, judge(measures, CONFIG), CONFIG))


def written(folder, text):
    path = folder / "list.json"
    path.write_text(text)
    return path


def test_the_file_tells_ids_reasons_and_thresholds(planted):
    data = json.loads(exported(planted))
    assert (data["format"], data["name"]) == (FORMAT, "v")
    assert data["verified"] == ["c/1", "c/4"]
    assert data["removed"] == {"cosine": ["d/1"], "no_match": ["c/2"], "unmeasured": ["c/3"]}
    assert data["thresholds"]["face.MobileFaceNet.similarity"] == {"value": 0.3, "source": "--set"}
    assert data["checks"]["d"] == list(CONFIG.checks("d"))
    assert data["views"]["match"].startswith("match_onnxface_")


def test_there_and_back_is_the_same_in_another_store(planted, tmp_path):
    text = exported(planted)
    other = new_store(tmp_path / "there")
    other.write_manifest("c", rows(dict.fromkeys(["c/1", "c/2", "c/3", "c/4"], "words")))
    other.write_manifest("d", rows({"d/1": "words"}))
    other.write_manifest("e", rows({"e/1": "words"}))
    read = import_list(other, written(tmp_path, text))
    assert read.unknown == ()
    assert read.verdict.origin == "imported from list.json"
    other.verdicts.save(read.verdict)
    assert export_list(other.verdicts.load("v")) == text
    assert "e/1" not in read.verdict.rows["utterance_id"], "the list speaks of two corpora"


def test_plain_text_is_one_id_a_line(planted, tmp_path):
    path = tmp_path / "ids.txt"
    path.write_bytes("\ufeffc/4\r\n# theirs\n\n  c/1  # good\nmeld/train/dia0_utt0\n".encode())
    read = import_list(planted.store, path, "theirs")
    assert read.unknown == ("meld/train/dia0_utt0",)
    assert read.verdict.ids == ["c/1", "c/4"]
    assert dict(
        read.verdict.rows.filter(~read.verdict.rows["passed"]).select("utterance_id", "reason").rows()
    ) == {
        "c/2": "not_listed",
        "c/3": "not_listed",
    }
    planted.store.verdicts.save(read.verdict)
    again = import_list(planted.store, written(tmp_path, export_list(planted.store.verdicts.load("theirs"))))
    assert again.verdict.rows.equals(read.verdict.rows)


def test_unknown_ids_are_told_and_left_out(planted, tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("c/1\nx/2\nx/1\n")
    read = import_list(planted.store, path, "theirs")
    assert read.unknown == ("x/1", "x/2")
    assert read.verdict.ids == ["c/1"]
    path.write_text("\n".join(texts("x", 5)))
    with pytest.raises(
        BadInputError, match=r"no manifest has any of its 5 ids \('x/0000'.*and 2 more\); ids look like 'c/1'"
    ):
        import_list(planted.store, path, "theirs")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"format": "affectstore.verified/9"},
            "has the format 'affectstore.verified/9'; allowed: affectstore",
        ),
        ({"verfied": []}, "unknown field of .*list.json 'verfied'"),
        ({"verified": "c/1"}, "field 'verified' is not what it must be; allowed: a list of ids"),
        ({"verified": [1]}, "field 'verified'"),
        ({"removed": ["c/2"]}, "field 'removed'"),
        ({"thresholds": {"alignment.levenshtein": 0.3}}, "field 'thresholds'.*value"),
        ({"checks": {"c": "face"}}, "field 'checks'"),
        ({"views": {"match": 1}}, "field 'views'"),
        ({"name": 3}, "field 'name'.*a text"),
        ({"verified": ["c/1", "c/2"]}, "names ids more than once: 'c/2'"),
    ],
)
def test_a_file_that_is_something_else_is_refused(planted, tmp_path, change, message):
    path = written(tmp_path, json.dumps({**json.loads(exported(planted)), **change}))
    with pytest.raises((BadInputError, UnknownNameError), match=message):
        import_list(planted.store, path)


def test_an_unreadable_file_and_a_list_without_a_name(planted, tmp_path):
    with pytest.raises(BadInputError, match="cannot read .*none.json"):
        import_list(planted.store, tmp_path / "none.json")
    with pytest.raises(BadInputError, match="is no JSON"):
        import_list(planted.store, written(tmp_path, "{"))
    with pytest.raises(BadInputError, match="has no field 'format'"):
        import_list(planted.store, written(tmp_path, '{"verified": []}'))
    with pytest.raises(BadInputError, match="has no name for the verdict; give one with --name"):
        import_list(planted.store, written(tmp_path, "c/1\n"))
    with pytest.raises(BadInputError, match="names ids more than once: 'c/1'"):
        import_list(planted.store, written(tmp_path, "c/1\nc/1\n"), "twice")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError, match="cannot read .*bytes"):
        import_list(planted.store, tmp_path / "bytes", "x")
