"""Table I's counterpart and the funnel against counts made by hand."""

from extractors.quality.composition import compositions
from feature_repo.quality_config import load_quality_config
from feature_repo.verdict import REASONS, judge
from tests.feature_repo.planted_measures import good, measures

CONFIG = load_quality_config()
ALL = {"speaker_id": None, "speaker_raw": "All"}
NO_FACE = {"faces": 0, "similarity": None}
PLANTED = {
    "meld/1": good() | {"split": "train"},
    "meld/2": good(match=NO_FACE) | {"split": "train", "emotion": "fear"},
    "meld/3": good(match=NO_FACE) | {"split": "train"} | ALL,
    "meld/4": good() | {"split": "test"},
    "meld/5": good(level={"peak_db": -90}) | {"split": "test", "emotion": None},
    "meld/6": good(level="missing", transcript="missing") | {"split": "dev"},
    "meld/7": good(match={"similarity": 0.1}) | {"split": "test", "emotion": "fear"},
    "iemocap/1": good(match=NO_FACE) | {"split": "all"},
    "iemocap/2": good(level="missing") | {"split": "all"},
}


def found(planted=PLANTED, config=CONFIG):
    of = measures(planted)
    return {one.corpus: one for one in compositions(of, judge(of, config), config)}


def test_before_and_after_by_split_with_the_total_last():
    assert found()["meld"].splits.rows() == [
        ("train", 3, 1, 0),
        ("dev", 1, 0, 1),
        ("test", 3, 1, 0),
        ("total", 7, 2, 1),
    ]
    assert (found()["meld"].original, found()["meld"].verified) == (7, 2)
    assert found()["iemocap"].splits.rows() == [("all", 2, 1, 0)], "one split is its own total"


def test_the_funnel_counts_each_utterance_once_in_the_paper_s_order():
    funnel = found()["meld"].funnel
    assert funnel["reason"].to_list() == list(REASONS)
    assert [row for row in funnel.rows() if row[2]] == [
        ("composite", "speaker", 1, 6),  # it has no face either
        ("silent", "audio", 1, 5),
        ("no_face", "face", 1, 4),
        ("no_match", "face", 1, 3),
        ("unmeasured", None, 1, 2),
    ]
    assert funnel["left"][-1] == 2
    assert funnel["left"].is_sorted(descending=True)


def test_the_funnel_has_only_the_checks_that_decided():
    assert found()["iemocap"].funnel.rows() == [
        ("offscreen", "review", 0, 2),
        ("misaligned", "review", 0, 2),
        ("no_picture", "face", 0, 2),
        ("no_face", "face", 1, 1),
        ("no_reference", "face", 0, 1),
        ("no_match", "face", 0, 1),
    ]
    assert found(config=CONFIG.with_checks([]))["meld"].funnel.rows() == []
    assert found(config=CONFIG.with_checks([]))["meld"].verified == 7


def test_emotions_by_split_the_commonest_first():
    assert found()["meld"].emotions.rows() == [
        ("joy", "train", 2, 1),
        ("joy", "dev", 1, 0),
        ("joy", "test", 1, 1),
        ("fear", "train", 1, 0),
        ("fear", "test", 1, 0),
        ("none", "test", 1, 0),
    ]


def test_what_lacks_a_measure_is_counted_by_check():
    assert found()["meld"].unmeasured == {"audio": 1, "transcript": 1}
    assert found()["iemocap"].unmeasured == {}
    assert (found()["meld"].unsearched, found()["iemocap"].unsearched) == (2, 1)
