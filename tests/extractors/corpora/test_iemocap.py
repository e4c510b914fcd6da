"""IEMOCAP: a generated release with every known trap; lines in the form that the corpus's own files have."""

import json
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest

from extractors.corpora.iemocap import IemocapOptions, read_iemocap
from extractors.corpora.registry import reader
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.manifest import conform

HEAD = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
F0 = """[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
C-E3:\tNeutral; Frustration;\t(tired)
C-E4:\tAnger;\t()
C-F1:\tSadness;\t()
A-E3:\tval 3; act 2; dom  2;\t()
A-F1:\tval 3; act 2; dom  1;\t()

"""
M0 = "[7.5712 - 10.4750]\tSes01F_impro01_M000\thap\t[4.0000, 3.5000, 3.0000]\nC-E2:\tHappiness;\t()\n\n"
F1 = "[10.0100 - 11.3925]\tSes01F_impro01_F001\txxx\t[2.0000, 3.0000, 3.5000]\n\n"
EVALUATION = HEAD + F0 + M0 + F1
TRANSCRIPTION = """Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.
Ses01F_impro01_M000 [007.5712-010.4750]: Do you have your forms?
M: [BREATHING]
Ses01F_impro01_FXX0 [009.1000-009.5000]: Mm.
Ses01F_impro01_F001 [010.0100-011.3925]: Yeah.
Ses01F_impro01_M001 [010.9266-014.6649]: Let me see them.
"""


def release(
    base: Path,
    evaluations: Mapping[str, str] | None = None,
    transcriptions: Mapping[str, str] | None = None,
) -> Path:
    """A release's text files; by default one dialogue of session 1."""
    for kind, files in (
        ("EmoEvaluation", evaluations or {"Ses01F_impro01": EVALUATION}),
        ("transcriptions", transcriptions or {"Ses01F_impro01": TRANSCRIPTION}),
    ):
        for dialogue, text in files.items():
            path = base / f"Session{dialogue[4]}" / "dialog" / kind / f"{dialogue}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    return base


def film(base: Path, name: str) -> Path:
    path = base / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"film")
    return path


def rows(folder: Path, **options: object) -> dict[str, dict[str, object]]:
    frame = read_iemocap(folder, "iemocap", IemocapOptions(**options))  # type: ignore[arg-type]
    return {row["utterance_id"].removeprefix("iemocap/"): row for row in frame.iter_rows(named=True)}


def test_a_turn_is_read_with_its_words_label_dimensions_and_raters(tmp_path: Path) -> None:
    found = rows(release(tmp_path))["Ses01F_impro01_F000"]
    assert found["text"] == "Excuse me."
    assert (found["start_s"], found["end_s"]) == (6.2901, 8.2357)
    assert (found["label_raw"], found["emotion"]) == ("neu", "neutral")
    assert (found["valence"], found["arousal"], found["dominance"]) == (2.5, 2.5, 2.5)
    # The actor's own judgement (C-F1) does not count; who chose two labels counts for both.
    assert json.loads(str(found["rater_counts"])) == {"ang": 1, "fru": 1, "neu": 2}
    assert found["dialogue_id"] == "iemocap/Ses01F_impro01"
    other = rows(tmp_path)["Ses01F_impro01_M000"]
    assert (other["label_raw"], other["emotion"]) == ("hap", "joy")
    assert (other["valence"], other["arousal"], other["dominance"]) == (4.0, 3.5, 3.0)
    assert json.loads(str(other["rater_counts"])) == {"hap": 1}
    assert rows(tmp_path)["Ses01F_impro01_F001"]["rater_counts"] is None


def test_turns_without_agreement_keep_no_emotion_and_the_order_is_by_time(tmp_path: Path) -> None:
    found = rows(release(tmp_path))
    assert {name: row["turn"] for name, row in found.items()} == {
        "Ses01F_impro01_F000": 0,
        "Ses01F_impro01_M000": 1,
        "Ses01F_impro01_F001": 2,
    }
    assert found["Ses01F_impro01_F001"]["emotion"] is None
    assert found["Ses01F_impro01_F001"]["label_note"]


def test_turns_that_nobody_evaluated_are_read_on_request(tmp_path: Path) -> None:
    found = rows(release(tmp_path), unlabelled=True)
    assert list(found) == [
        f"Ses01F_impro01_{turn}" for turn in ("F000", "M000", "F001", "M001")
    ]  # the XX turn and the line without times are none
    extra = found["Ses01F_impro01_M001"]
    assert (extra["label_raw"], extra["emotion"], extra["valence"]) == (None, None, None)
    assert (extra["text"], extra["start_s"], extra["turn"]) == ("Let me see them.", 10.9266, 3)


def test_ten_speakers_by_session_and_turn_and_the_side_of_the_screen(tmp_path: Path) -> None:
    evaluations, transcriptions = {}, {}
    for session in range(1, 6):
        for wears in "FM":
            dialogue = f"Ses0{session}{wears}_script01_1b"
            turns = [f"{dialogue}_{speaks}000" for speaks in "FM"]
            evaluations[dialogue] = "".join(f"[1.0 - 2.0]\t{turn}\tsad\t[1, 2, 3]\n" for turn in turns)
            transcriptions[dialogue] = "".join(f"{turn} [1.0-2.0]: Hi.\n" for turn in turns)
    found = rows(release(tmp_path, evaluations, transcriptions))
    assert len(found) == 20
    assert {row["speaker_id"] for row in found.values()} == {
        f"iemocap/Ses0{session}{letter}" for session in range(1, 6) for letter in "FM"
    }
    assert {(name[5], name[-4], row["picture"]) for name, row in found.items()} == {
        ("F", "F", "left"),
        ("M", "M", "left"),
        ("F", "M", "right"),
        ("M", "F", "right"),
    }
    assert found["Ses03M_script01_1b_F000"]["speaker_raw"] == "Ses03F"


def test_the_dialogues_film_with_the_turns_span_or_the_turns_own_sound(tmp_path: Path) -> None:
    release(tmp_path)
    avi = film(tmp_path, "Session1/dialog/avi/Divx/Ses01F_impro01.avi")  # one mirror's spelling
    film(tmp_path, "Session1/dialog/avi/Divx/._Ses01F_impro01.avi")
    video = rows(tmp_path)["Ses01F_impro01_M000"]
    assert (video["media_uri"], video["start_s"], video["picture"]) == (str(avi), 7.5712, "right")
    audio = rows(tmp_path, media="audio")["Ses01F_impro01_M000"]
    wav = tmp_path / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M000.wav"
    assert (audio["media_uri"], audio["start_s"], audio["end_s"]) == (str(wav), None, None)
    assert (audio["picture"], audio["turn"]) == (None, 1)
    text = rows(tmp_path, media="none")["Ses01F_impro01_M000"]
    assert (text["media_uri"], text["start_s"], text["picture"]) == (None, None, None)


def test_a_missing_film_keeps_its_place(tmp_path: Path) -> None:
    place = tmp_path / "Session1/dialog/avi/DivX/Ses01F_impro01.avi"
    assert {row["media_uri"] for row in rows(release(tmp_path)).values()} == {str(place)}


def test_files_of_macos_and_raters_folders_are_no_evaluations(tmp_path: Path) -> None:
    release(tmp_path)
    for stray in ("._Ses01F_impro01.txt", "Categorical/Ses01F_impro01_e2_cat.txt", ".DS_Store"):
        path = tmp_path / "Session1/dialog/EmoEvaluation" / stray
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\x00\x05\x16\x07[1.0 - 0.0]\n[broken\n")
    assert len(rows(tmp_path)) == 3


def test_the_release_folder_is_found_from_above_and_sessions_may_be_missing(tmp_path: Path) -> None:
    dialogue = "Ses04M_impro02"
    release(
        tmp_path / "IEMOCAP_full_release",
        {dialogue: "[1.0 - 2.0]\tSes04M_impro02_F000\tfru\t[1.0, 2.0, 3.0]\n"},
        {dialogue: ""},
    )
    (found,) = rows(tmp_path).values()
    assert (found["speaker_raw"], found["emotion"], found["text"]) == ("Ses04F", "anger", None)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[1.0 - 2.0] Ses01F_impro01_F000 ang", r"Ses01F_impro01\.txt: line 3: expected .* found"),
        ("[1.0 - 2.0]\tSes09F_impro01_F000\tang\t[1, 2, 3]", r"line 3: expected"),
        ("[2.0 - 2.0]\tSes01F_impro01_F000\tang\t[1, 2, 3]", r"line 3: turn Ses01F_impro01_F000 starts at 2"),
    ],
)
def test_lines_that_cannot_be_read_are_named(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        rows(release(tmp_path, {"Ses01F_impro01": f"{HEAD}{line}\n"}))


def test_unknown_labels_and_turns_described_twice_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"line 3.*'joy'; allowed: ang, dis"):
        rows(release(tmp_path / "a", {"Ses01F_impro01": EVALUATION.replace("neu\t", "joy\t")}))
    with pytest.raises(BadInputError, match="Ses01F_impro01_F000 is evaluated twice"):
        rows(release(tmp_path / "b", {"Ses01F_impro01": EVALUATION + F0}))
    again = TRANSCRIPTION + "Ses01F_impro01_F001 [010.0100-011.3925]: No.\n"
    with pytest.raises(BadInputError, match=r"line 7: turn Ses01F_impro01_F001 is transcribed twice"):
        rows(release(tmp_path / "c", transcriptions={"Ses01F_impro01": again}))
    backward = TRANSCRIPTION.replace("010.9266-014.6649", "014.6649-010.9266")
    release(tmp_path / "d", transcriptions={"Ses01F_impro01": backward})
    assert len(rows(tmp_path / "d")) == 3
    with pytest.raises(BadInputError, match="Ses01F_impro01_M001 starts at 14.6649"):
        rows(tmp_path / "d", unlabelled=True)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="IEMOCAP_full_release/Session1"):
        rows(tmp_path)
    release(tmp_path)
    (tmp_path / "Session1/dialog/transcriptions/Ses01F_impro01.txt").unlink()
    with pytest.raises(BadInputError, match="transcription.*Ses01F_impro01.txt"):
        rows(tmp_path)
    (tmp_path / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt").unlink()
    with pytest.raises(BadInputError, match=r"evaluations of Session1.*Ses\*\.txt"):
        rows(tmp_path)


def test_a_manifest_can_hold_the_rows_under_another_name(tmp_path: Path) -> None:
    found = conform(reader("iemocap").read(release(tmp_path), name="usc", unlabelled="yes"), "usc")
    assert found["utterance_id"].str.starts_with("usc/Ses01F_impro01_").all()
    assert set(found["speaker_id"]) == {"usc/Ses01F", "usc/Ses01M"}
    assert found.filter(pl.col("emotion") == "joy").select("turn", "picture").rows() == [(1, "right")]
