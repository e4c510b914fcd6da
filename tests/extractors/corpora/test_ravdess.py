"""RAVDESS: real clips, and a generated tree with song, three recordings of one utterance and Kaggle's double copy."""

from collections import Counter
from pathlib import Path

import pytest

from extractors.corpora.registry import reader
from feature_repo.errors import BadInputError
from feature_repo.manifest import conform


def tree(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"clip")
    return folder


def test_real_clips(samples: Path) -> None:
    rows = conform(reader("ravdess").read(samples / "data" / "ravdess"), "ravdess")
    # 8 actors with 60 spoken clips each: 8 repetitions of seven emotions, 4 of neutral, which has one intensity.
    assert rows.height == 480
    assert Counter(rows["label_raw"]) == {"neutral": 32} | dict.fromkeys(
        ("calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"), 64
    )
    assert Counter(rows["emotion"])["neutral"] == 96
    assert rows["speaker_id"].n_unique() == 8
    assert all(Path(uri).is_file() for uri in rows["media_uri"])


def test_the_code_is_read_right(tmp_path: Path) -> None:
    # The example of the corpus's own manual: fearful, normal, "dogs", first repetition, 12th actor.
    folder = tree(tmp_path, "Actor_12/03-01-06-01-02-01-12.wav")
    (found,) = reader("ravdess").read(folder).iter_rows(named=True)
    assert found["utterance_id"] == "ravdess/03-01-06-01-02-01-12"
    assert found["speaker_id"] == "ravdess/actor_12"
    assert found["text"] == "Dogs are sitting by the door"
    assert (found["label_raw"], found["emotion"], found["split"]) == ("fearful", "fear", "all")
    assert found["media_uri"] == str(folder / "Actor_12/03-01-06-01-02-01-12.wav")


def test_song_is_left_out_unless_asked_for(tmp_path: Path) -> None:
    folder = tree(tmp_path, "Actor_01/03-01-02-01-01-01-01.wav", "Actor_01/03-02-02-01-01-01-01.wav")
    assert reader("ravdess").read(folder)["utterance_id"].to_list() == ["ravdess/03-01-02-01-01-01-01"]
    assert reader("ravdess").read(folder, song="yes").height == 2


def test_one_recording_of_an_utterance_is_taken(tmp_path: Path) -> None:
    names = [
        f"Actor_01/{m}-01-05-01-01-01-01.{end}" for m, end in (("01", "mp4"), ("02", "mp4"), ("03", "wav"))
    ]
    folder = tree(tmp_path, *names)
    for modality, code in (("audio", "03"), ("av", "01"), ("video", "02")):
        assert reader("ravdess").read(folder, modality=modality)["utterance_id"].to_list() == [
            f"ravdess/{code}-01-05-01-01-01-01"
        ]
    (folder / names[2]).unlink()
    with pytest.raises(BadInputError, match="modality=audio.*av, video"):
        reader("ravdess").read(folder)


def test_a_second_copy_is_the_same_clip_and_another_clip_is_refused(tmp_path: Path) -> None:
    name = "Actor_03/03-01-05-01-01-01-03.wav"
    folder = tree(tmp_path, name, f"audio_speech_actors_01-24/{name}", "Actor_03/._03-01-05-01-01-01-03.wav")
    assert reader("ravdess").read(folder)["media_uri"].to_list() == [str(folder / name)]
    (folder / "audio_speech_actors_01-24" / name).write_bytes(b"another clip")
    with pytest.raises(BadInputError, match="different files of one name"):
        reader("ravdess").read(folder)


@pytest.mark.parametrize(
    "name",
    ["03-01-09-01-01-01-03", "03-01-05-01-01-01-25", "03-01-05-01-01-01-03 (1)", "03-01-05-01-01-01-00"],
)
def test_a_name_outside_the_code_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError, match="not a RAVDESS name"):
        reader("ravdess").read(tree(tmp_path, f"Actor_03/{name}.wav"))
