"""The made-up corpus: its files are what they are planted to be, as another decoder sees them."""

import json
from collections import Counter
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest

from extractors.corpora.demo_clip import clip, draw_face
from extractors.corpora.demo_corpus import FAULTS, PLANTED, RECUT, make_demo_corpus
from extractors.corpora.demo_script import SPEAKERS, script
from extractors.corpora.demo_voice import MANNERS, VOICES, speak
from extractors.corpora.registry import reader
from feature_repo.labels import EMOTIONS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    assert make_demo_corpus(folder).made
    return folder


@pytest.fixture(scope="module")
def rows(folder: Path) -> pl.DataFrame:
    return reader("meld").read(folder, name="demo")


def voice(name: str, emotion: str, seed: int = 0) -> np.ndarray:
    return speak(VOICES[name], MANNERS[emotion], 8, np.random.default_rng(seed))


def pitch(sound: np.ndarray) -> float:
    """Hz of the strongest autocorrelation of the loudest quarter second: independent of how the voice is made."""
    middle = sound[len(sound) // 2 - 2000 : len(sound) // 2 + 2000].astype(np.float64)
    middle -= middle.mean()
    similarity = np.correlate(middle, middle, "full")[len(middle) - 1 :]
    lags = np.arange(16_000 // 500, 16_000 // 60)
    return 16_000 / lags[similarity[lags].argmax()]


def test_it_reads_as_meld_with_every_emotion_in_every_split(rows: pl.DataFrame) -> None:
    assert Counter(rows["split"]) == {"train": 80, "dev": 20, "test": 20}
    assert rows["dialogue_id"].n_unique() == 16
    assert rows["speaker_id"].n_unique() == len(SPEAKERS)
    for split in ("train", "dev", "test"):
        assert set(rows.filter(split=split)["emotion"]) == set(EMOTIONS)


def test_planted_faults_are_there_and_no_others(rows: pl.DataFrame) -> None:
    found = {}
    for key, uri in rows.select("utterance_id", "media_uri").iter_rows():
        key = key.removeprefix("demo/")
        try:
            with av.open(uri) as container:
                if not container.streams.audio:
                    found[key] = "no audio track"
                    continue
                stream = container.streams.audio[0]
                assert (stream.rate, stream.channels) == (48_000, 2)
                sound = np.concatenate([frame.to_ndarray() for frame in container.decode(stream)], axis=1)
                if np.abs(sound).max() < 1e-4:
                    found[key] = "silent"
        except FileNotFoundError:
            found[key] = "missing"
        except av.FFmpegError:
            found[key] = "truncated" if Path(uri).stat().st_size else "empty"
    assert found == FAULTS


def test_the_recut_clip_is_the_one_that_is_read(folder: Path, rows: pl.DataFrame) -> None:
    (uri,) = rows.filter(utterance_id=f"demo/{RECUT}")["media_uri"]
    assert Path(uri).name.startswith("final_videos_test")
    assert (Path(uri).parent / Path(uri).name.removeprefix("final_videos_test")).is_file()


def test_what_is_there_is_not_made_again_and_what_is_half_made_is(folder: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert not make_demo_corpus(folder).made
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before
    assert json.loads((folder / PLANTED).read_text("utf-8"))["faults"] == FAULTS


def test_the_same_seed_gives_the_same_bytes() -> None:
    sound = voice("Ada", "joy")
    assert (sound == voice("Ada", "joy")).all()
    assert clip(0, "joy", sound) == clip(0, "joy", sound)
    assert script(3) == script(3)
    assert script(3) != script(4)


def test_voices_differ_by_speaker_and_emotion() -> None:
    for name, made in VOICES.items():
        assert pitch(voice(name, "neutral")) == pytest.approx(made.pitch, rel=0.2)
    loud, soft = voice("Elif", "anger"), voice("Elif", "sadness")
    assert np.sqrt((loud**2).mean()) > 3 * np.sqrt((soft**2).mean())
    assert len(loud) < len(soft)
    for name in VOICES:
        for emotion in EMOTIONS:
            sound = voice(name, emotion)
            assert sound.dtype == np.float32
            assert 0.1 < np.abs(sound).max() < 1


def test_faces_differ_by_speaker_and_emotion() -> None:
    faces = [draw_face(speaker, emotion, 0.3) for speaker in range(len(SPEAKERS)) for emotion in EMOTIONS]
    assert len({face.tobytes() for face in faces}) == len(faces)
    assert faces[0].shape == (120, 160, 3)


def test_texts_carry_the_emotion_and_clips_last_about_as_long() -> None:
    lines = script(0)
    assert len({line.key for line in lines}) == len(lines) == 120
    # A word that stands under one emotion only is enough to tell it apart: every line has one.
    words = {emotion: Counter() for emotion in EMOTIONS}
    for line in lines:
        words[line.emotion].update(line.text.lower().split())
    for line in lines:
        others = set().union(*(words[emotion] for emotion in EMOTIONS if emotion != line.emotion))
        assert set(line.text.lower().split()) - others
