"""The verdict on measures made by hand: each reason, their order, thresholds at equality, and what never happens."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.files import FileLayer
from feature_repo.measures import Measures
from feature_repo.quality_config import CHECKS, load_quality_config
from feature_repo.verdict import REASONS, check_of, command_for, judge
from tests.feature_repo.planted_measures import good, measures

CONFIG = load_quality_config()
EMPTY = {
    "transcript": {"state": "nothing", "note": "empty transcript", "text": ""},
    "alignment": {"state": "nothing", "note": "empty transcript", "cosine": None, "levenshtein": None},
}
NO_FACE = {"faces": 0, "similarity": None, "similarities": []}
# One utterance for each reason, at which nothing else is wrong: (reason, words, what is planted).
FAULTS = {
    "composite": ("several speakers: All", {**good(), "speaker_id": None, "speaker_raw": "All"}),
    "offscreen": ("speaker off screen (reviewed)", {**good(), "review": "offscreen"}),
    "misaligned": ("video and text misaligned (reviewed)", {**good(), "review": "misaligned"}),
    "undecodable": (
        "no sound to decode: moov atom not found",
        good(level={"state": "faulted", "note": "moov atom not found", "peak_db": None}),
    ),
    "silent": ("peak -72.5 below -60 dBFS", good(level={"peak_db": -72.5})),
    "no_transcript": (
        "not transcribed: too long",
        good(transcript={"state": "faulted", "note": "too long", "text": None}),
    ),
    "empty_transcript": ("empty transcript", good(transcript={"state": "nothing", "text": ""})),
    "cosine": ("cosine 0.21 below 0.25", good(alignment={"cosine": 0.21})),
    "levenshtein": ("Levenshtein similarity 0.11 below 0.3", good(alignment={"levenshtein": 0.1111})),
    "no_picture": (
        "no picture to decode: no video track",
        good(match={"state": "faulted", "note": "no video track", **NO_FACE}),
    ),
    "no_face": ("no face in 3 frames", good(match=NO_FACE)),
    "no_reference": (
        "no reference face of c/ann",
        good(match={"reference": 0, "similarity": None}),
    ),
    "no_match": ("best face similarity 0.12 below 0.3", good(match={"similarity": 0.12})),
}


def verdict(planted, config=CONFIG, **options):
    """Utterance id to its row of the verdict."""
    rows = judge(measures(planted, **options), config).to_dicts()
    return {row["utterance_id"]: row for row in rows}


def one(planted, config=CONFIG, **options):
    return verdict({"c/1": planted}, config, **options)["c/1"]


def test_every_reason_but_unmeasured_is_planted_here():
    assert list(FAULTS) == [reason for reason in REASONS if reason != "unmeasured"]


def test_an_utterance_at_which_nothing_is_wrong_passes_every_check():
    found = one(good())
    assert found["passed"]
    assert found["reason"] is None
    assert found["reasons"] == []
    assert [found[check] for check in CHECKS] == [True] * 6


@pytest.mark.parametrize("reason", FAULTS)
def test_each_reason_fails_its_check_alone_and_tells_the_number(reason):
    words, planted = FAULTS[reason]
    found = one(planted)
    assert not found["passed"]
    assert found["reason"] == reason
    assert found["reasons"] == [words]
    failed = [check for check in CHECKS if found[check] is False]
    assert failed == [check_of(reason)]


def test_the_first_reason_follows_the_paper_s_order_whatever_else_is_wrong():
    everything = {
        **good(
            level={"peak_db": -90},
            transcript={"state": "nothing"},
            alignment={"cosine": 0.1, "levenshtein": 0.1},
            match=NO_FACE,
        ),
        "speaker_id": None,
        "review": "offscreen",
    }
    order = ["composite", "offscreen", "silent", "empty_transcript", "cosine", "levenshtein", "no_face"]
    assert one(everything)["reason"] == "composite"
    assert len(one(everything)["reasons"]) == 7
    remedies = [
        {"speaker_id": "c/ann"},
        {"review": None},
        {"level": {"peak_db": -6.0}},
        {"transcript": {"text": "heard"}},
        {"alignment": {"cosine": 0.9, "levenshtein": 0.1}},
        {"alignment": {"cosine": 0.9, "levenshtein": 0.9}},
        {"match": good()["match"]},
    ]
    seen = []
    for remedy in remedies:
        seen.append(one(everything)["reason"])
        everything = {**everything, **remedy}
    assert seen == order
    assert one(everything)["passed"]


@pytest.mark.parametrize("value", [0.3, 0.7, 0.1, 0.25])
def test_a_measure_at_its_threshold_passes_and_the_next_smaller_number_does_not(value):
    # Stored in float32, where 0.7 and 0.1 are other numbers than in the config.
    at = np.float32(value)
    below = np.nextafter(at, np.float32(-2))
    config = load_quality_config(
        None,
        None,
        [
            f"face.facenet512.similarity={value}",
            f"text.all-mpnet-base-v2.cosine={value}",
            f"alignment.levenshtein={value}",
        ],
    )

    def passes(similarity=at, cosine=at, levenshtein=at):
        planted = good(
            match={"similarity": float(similarity)},
            alignment={"cosine": float(cosine), "levenshtein": float(levenshtein)},
        )
        return one(planted, config)

    assert passes()["passed"]
    assert passes(similarity=below)["reason"] == "no_match"
    assert passes(cosine=below)["reason"] == "cosine"
    assert passes(levenshtein=below)["reason"] == "levenshtein"


def test_a_number_just_below_is_never_told_as_the_threshold():
    found = one(good(alignment={"cosine": 0.2499}, match={"similarity": 0.29999}, level={"peak_db": -60.01}))
    assert found["reasons"] == [
        "peak -60.1 below -60 dBFS",
        "cosine 0.24 below 0.25",
        "best face similarity 0.29 below 0.3",
    ]


def test_a_peak_at_the_threshold_passes():
    assert one(good(level={"peak_db": -60.0}))["passed"]


def test_only_the_face_and_a_persons_word_count_in_iemocap():
    wrong = {
        **good(level="missing", transcript={"state": "nothing"}, alignment={"cosine": 0.0}),
        "speaker_id": None,
    }
    faceless, said = {**wrong, "match": {**NO_FACE, "frames": 2}}, {**wrong, "review": "offscreen"}
    found = verdict({"iemocap/1": wrong, "iemocap/2": faceless, "iemocap/3": said})
    # The face check holds the name against a reference too, and there is one.
    assert found["iemocap/1"]["passed"]
    assert found["iemocap/2"]["reasons"] == ["no face in 2 frames"]
    assert found["iemocap/3"]["reason"] == "offscreen"
    assert [found["iemocap/1"][check] for check in CHECKS] == [None, True, None, None, None, True]


def test_corpora_are_judged_by_their_own_checks_in_one_call():
    bad = good(alignment={"cosine": 0.0})
    found = verdict({"iemocap/1": bad, "c/1": bad, "rafdb/1": {**bad, "review": "offscreen"}})
    assert [found[name]["reason"] for name in ("iemocap/1", "c/1", "rafdb/1")] == [
        None,
        "cosine",
        "offscreen",
    ]


def test_the_offset_search_counts_for_the_face():
    seen = good(offsetmatch={"frames": 8, "faces": 1, "reference": 1, "similarity": 0.5})
    assert one({**seen, "match": {**seen["match"], "similarity": 0.1}})["passed"]
    assert one({**seen, "match": {**seen["match"], **NO_FACE}})["passed"]
    worse = good(
        match={"similarity": 0.1}, offsetmatch={"frames": 8, "faces": 1, "reference": 1, "similarity": 0.2}
    )
    assert one(worse)["reasons"] == ["best face similarity 0.2 below 0.3"]
    nobody = good(match=NO_FACE, offsetmatch={"frames": 8, "faces": 0, "reference": 1, "similarity": None})
    assert one(nobody)["reason"] == "no_face"


def test_where_nobody_looked_around_the_frames_is_told():
    planted = {
        "c/1": good(match={"similarity": 0.1}),
        "c/2": good(match=NO_FACE),
        "c/3": good(match={"reference": 0, "similarity": None}),  # nothing to look for
        "c/4": good(match={"similarity": 0.1}, offsetmatch={"faces": 0, "reference": 1}),
        "c/5": good(),
    }
    assert [row["unsearched"] for row in verdict(planted).values()] == [True, True, False, False, False]
    without = verdict(planted, without=["offsetmatch"])
    assert [row["unsearched"] for row in without.values()] == [True, True, False, True, False]
    made = measures(planted)
    whole = replace(made, frame=made.frame.with_columns(faces_whole=pl.Series([1, 0, 1, 1, 1])))
    assert judge(whole, CONFIG)["unsearched"].to_list() == [False, True, False, False, False]


@pytest.mark.parametrize("state", ["missing", "stale"])
@pytest.mark.parametrize("check", ["audio", "transcript", "alignment", "face"])
def test_a_measure_that_lacks_is_neither_a_pass_nor_a_removal(state, check):
    slot = {"audio": "level", "face": "match"}.get(check, check)
    found = one(good(**{slot: state}))
    assert not found["passed"]
    assert found["reason"] == "unmeasured"
    assert found["reasons"] == []
    assert found["unmeasured"] == [check]
    assert found[check] is None
    assert all(found[other] for other in CHECKS if other != check)
    assert "affectstore" in command_for(check)
    failed = one(good(**{slot: state}) | {"review": "offscreen"})
    assert failed["reason"] == "offscreen", "what is known to be wrong is wrong without the rest"


def test_a_medium_without_the_track_fails_and_is_not_unmeasured():
    found = one(good(level="inapplicable", match="inapplicable"))
    assert found["reason"] == "undecodable"
    assert found["reasons"] == ["no sound to decode", "no picture to decode"]
    assert found["unmeasured"] == []


def test_an_empty_transcript_agrees_with_nothing():
    found = one(good(**EMPTY))
    assert found["reasons"] == ["empty transcript", "transcript and text can't be compared: empty transcript"]
    alone = one(good(**EMPTY), CONFIG.with_checks(["alignment"]))
    assert alone["reason"] == "cosine"


def test_a_face_is_enough_where_nobody_is_named():
    unknown = {**good(match={"reference": 0, "similarity": None}), "speaker_id": None, "speaker_raw": None}
    assert one(unknown)["passed"]
    assert one({**unknown, "match": {**unknown["match"], **NO_FACE}})["reason"] == "no_face"


def test_a_check_without_its_slot_is_an_error_that_names_both_and_the_way_out():
    with pytest.raises(
        BadInputError, match=r"check 'audio' of c needs the slot 'level'.*extract -e level"
    ) as error:
        one(good(), without=["level"])
    assert "--checks speaker,review,transcript,alignment,face" in str(error.value)
    chosen = CONFIG.with_checks(["speaker", "review", "transcript", "alignment", "face"])
    assert one(good(), chosen, without=["level"])["passed"]
    only_face = verdict({"iemocap/1": good()}, without=["level", "transcript", "alignment"])
    assert only_face["iemocap/1"]["passed"]


def test_a_space_without_a_threshold_is_an_error_that_names_calibrate():
    planted = measures({"c/1": good()})
    elsewhere = Measures(planted.frame, {}, embedder="ArcFace", encoder="all-mpnet-base-v2")
    with pytest.raises(UnknownNameError, match=r"face embedder 'ArcFace'.*affectstore calibrate"):
        judge(elsewhere, CONFIG)
    assert judge(elsewhere, CONFIG.with_checks(["audio", "alignment"]))["passed"].all()
    told = load_quality_config(None, None, ["face.ArcFace.similarity=0.81"])
    assert judge(elsewhere, told)["reason"].to_list() == ["no_match"]


def test_no_utterance_and_no_check():
    empty = judge(
        Measures(measures({"c/1": good()}).frame.clear(), {}, "facenet512", "all-mpnet-base-v2"), CONFIG
    )
    assert empty.height == 0
    found = one({**good(level={"peak_db": -90}), "review": "offscreen"}, CONFIG.with_checks([]))
    assert found["passed"]
    assert [found[check] for check in CHECKS] == [None] * 6


_measure = st.one_of(st.none(), st.floats(-1, 1, width=32))
_state = st.sampled_from(["present", "nothing", "missing", "stale", "faulted", "inapplicable"])


@st.composite
def _utterance(draw):
    planted = good(
        level={"state": draw(_state), "peak_db": draw(st.one_of(st.none(), st.floats(-120, 0, width=32)))},
        transcript={"state": draw(_state)},
        match={
            "state": draw(_state),
            "faces": draw(st.integers(0, 2)),
            "reference": draw(st.integers(0, 1)),
            "similarity": draw(_measure),
        },
        offsetmatch=draw(
            st.one_of(st.none(), st.fixed_dictionaries({"faces": st.just(1), "similarity": _measure}))
        ),
        alignment={"state": draw(_state), "cosine": draw(_measure), "levenshtein": draw(_measure)},
    )
    named = draw(st.sampled_from([("c/ann", "Ann"), (None, "All"), (None, None)]))
    corpus = draw(st.sampled_from(["c", "iemocap", "rafdb"]))
    return {**planted, "corpus": corpus, "speaker_id": named[0], "speaker_raw": named[1]}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(_utterance(), min_size=1, max_size=8),
    st.sampled_from(
        [
            "face.facenet512.similarity",
            "text.all-mpnet-base-v2.cosine",
            "alignment.levenshtein",
            "audio.peak_db",
        ]
    ),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_raising_a_threshold_never_adds_a_pass(utterances, key, one_end, other_end):
    least, most = {"alignment.levenshtein": (0, 1), "audio.peak_db": (-120, 0)}.get(key, (-1, 1))
    low, high = sorted(least + (most - least) * end for end in (one_end, other_end))
    found = measures({f"{one['corpus']}/{place}": one for place, one in enumerate(utterances)})
    lower = judge(found, load_quality_config(None, None, [f"{key}={low!r}"]))
    higher = judge(found, load_quality_config(None, None, [f"{key}={high!r}"]))
    assert not (higher["passed"] & ~lower["passed"]).any()
    for check in CHECKS:
        assert not (higher[check].fill_null(False) & ~lower[check].fill_null(False)).any()
    for judged in (lower, higher):
        assert (judged["passed"] == judged["reason"].is_null()).all()
        failed = ~judged["passed"] & (judged["reason"] != "unmeasured")
        assert (failed == (judged["reasons"].list.len() > 0)).all(), "words exactly where something failed"


def test_judging_touches_no_file(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError(f"a file was touched: {arguments}")

    planted = {name: made for name, (_, made) in FAULTS.items()}
    found = measures({f"c/{name}": made for name, made in planted.items()})
    for operation in ("_do", "read", "open", "list_files", "exists"):
        monkeypatch.setattr(FileLayer, operation, refuse)
    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("io.open", refuse)
    assert judge(found, CONFIG)["reason"].to_list() == list(FAULTS)


def test_judging_changes_nothing_and_gives_the_same_again():
    found = measures({f"c/{name}": made for name, (_, made) in FAULTS.items()})
    before = found.frame.clone()
    first = judge(found, CONFIG)
    assert judge(found, CONFIG).equals(first)
    assert found.frame.equals(before)


def test_a_hundred_thousand_utterances_are_judged_together():
    # How fast is bench_verdict's matter; here: the whole is what its parts are, in its order.
    few = measures({f"c/{name}": made for name, (_, made) in FAULTS.items()})
    times = 106_256 // few.frame.height + 1
    many = pl.concat([few.frame] * times)
    judged = judge(Measures(many, {}, few.embedder, few.encoder), CONFIG)
    assert judged.equals(pl.concat([judge(few, CONFIG)] * times))


def test_an_unknown_reason_or_check_is_named():
    with pytest.raises(UnknownNameError, match="unknown reason 'tired'"):
        check_of("tired")
    with pytest.raises(UnknownNameError, match="unknown check with a measure 'speaker'"):
        command_for("speaker")
    assert check_of("unmeasured") is None
