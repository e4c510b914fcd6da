"""The made-up corpus: its files are what they are planted to be, as another decoder sees them."""

import csv
import json
from collections import Counter
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest

from extractors.corpora.demo_clip import clip
from extractors.corpora.demo_corpus import TOLD, make_demo_corpus
from extractors.corpora.demo_face import LOOKS
from extractors.corpora.demo_planted import PLANTED, RECUT, SIX_CHANNELS
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
    people = set(rows["speaker_id"].drop_nulls())
    assert people == {f"demo/{name.lower()}" for name in SPEAKERS} | {
        "demo/train/dia3/woman",
        "demo/train/dia6/woman",
    }
    for split in ("train", "dev", "test"):
        assert set(rows.filter(split=split)["emotion"]) == set(EMOTIONS)


def of_kind(*kinds: str) -> set[str]:
    return {key for key, kind in PLANTED.items() if kind in kinds}


def test_broken_clips_are_there_and_no_others(rows: pl.DataFrame) -> None:
    found = {}
    for key, uri in rows.select("utterance_id", "media_uri").iter_rows():
        key = key.removeprefix("demo/")
        try:
            with av.open(uri) as container:
                if not container.streams.audio:
                    found[key] = "no audio track"
                    continue
                stream = container.streams.audio[0]
                assert (stream.rate, stream.channels) == (48_000, 6 if key == SIX_CHANNELS else 2)
                sound = np.concatenate([frame.to_ndarray() for frame in container.decode(stream)], axis=1)
                if np.abs(sound).max() < 1e-4:
                    found[key] = "silence"
        except FileNotFoundError:
            found[key] = "file missing"
        except av.FFmpegError:
            found[key] = "file truncated" if Path(uri).stat().st_size else "file empty"
    media = {"file truncated", "file missing", "silence", "file empty", "no audio track"}
    assert set(found.values()) == media
    assert found == {key: kind for key, kind in PLANTED.items() if kind in media}


def test_only_the_third_of_six_channels_has_a_voice(rows: pl.DataFrame) -> None:
    (uri,) = rows.filter(utterance_id=f"demo/{SIX_CHANNELS}")["media_uri"]
    with av.open(uri) as container:
        sound = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    spectra = np.abs(np.fft.rfft(sound, axis=1)) ** 2
    voice = np.fft.rfftfreq(sound.shape[1], 1 / 48_000) > 500
    share = spectra[:, voice].sum(axis=1) / spectra.sum(axis=1)
    assert share[2] > 0.1
    assert np.delete(share, 2).max() < 1e-3


def pictures(rows: pl.DataFrame) -> dict[str, np.ndarray]:
    """The first frame of each clip that can be decoded."""
    found = {}
    for key, uri in rows.select("utterance_id", "media_uri").iter_rows():
        key = key.removeprefix("demo/")
        if key not in of_kind("file missing", "file truncated", "file empty"):
            with av.open(uri) as container:
                found[key] = next(container.decode(video=0)).to_ndarray(format="rgb24")
    return found


def test_pictures_show_the_speaker_but_where_they_are_planted_not_to(rows: pl.DataFrame) -> None:
    people = {line.key: line.person for line in script(0)}
    # Hair and clothes do not move: the top of the picture is the person's.
    tops = {key: picture[:40].astype(float) for key, picture in pictures(rows).items()}
    known = {
        name: np.median(
            [top for key, top in tops.items() if people[key] == name and key not in PLANTED], axis=0
        )
        for name in LOOKS
    }
    nearest = {
        key: min(known, key=lambda name: np.abs(known[name] - top).mean()) for key, top in tops.items()
    }
    nobody = of_kind("nobody in the picture")
    assert {key for key, top in tops.items() if np.ptp(top, axis=(0, 1)).max() < 3} == nobody
    assert {key for key in nearest if nearest[key] != people[key]} - nobody == of_kind("somebody else's face")


def test_transcripts_have_the_words_but_where_they_are_planted_not_to(
    folder: Path, rows: pl.DataFrame
) -> None:
    with (folder / "transcripts.csv").open(encoding="utf-8", newline="") as file:
        heard = {row["utterance_id"]: row["transcript"] for row in csv.DictReader(file)}
    said = {key: words(text) for key, text in rows.select("utterance_id", "text").iter_rows()}
    assert {key.removeprefix("demo/") for key in said.keys() - heard.keys()} == of_kind(
        "file missing", "file truncated", "file empty", "no audio track"
    )
    empty = {key for key, text in heard.items() if not text}
    assert {key.removeprefix("demo/") for key in empty} == of_kind("nothing heard", "silence")
    wrong = set()
    for key, text in heard.items():
        missed = Counter(words(text)) - Counter(said[key])
        if missed.total() > 1:  # one slip is a good transcript
            wrong.add(key.removeprefix("demo/"))
    assert wrong == of_kind("another line's words", "words over and over")


def words(text: str) -> list[str]:
    return "".join(letter for letter in text.lower() if letter.isalpha() or letter in " '").split()


def test_what_is_planted_is_in_the_corpus_once(rows: pl.DataFrame) -> None:
    keys = {key.removeprefix("demo/") for key in rows["utterance_id"]}
    assert set(PLANTED) < keys
    assert {SIX_CHANNELS, RECUT} < keys - set(PLANTED)
    composite = rows.filter(pl.col("speaker_id").is_null())["utterance_id"]
    assert {key.removeprefix("demo/") for key in composite} == of_kind("several speakers")


def test_the_recut_clip_is_the_one_that_is_read(folder: Path, rows: pl.DataFrame) -> None:
    (uri,) = rows.filter(utterance_id=f"demo/{RECUT}")["media_uri"]
    assert Path(uri).name.startswith("final_videos_test")
    assert (Path(uri).parent / Path(uri).name.removeprefix("final_videos_test")).is_file()


def test_what_is_there_is_not_made_again_and_what_is_half_made_is(folder: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert not make_demo_corpus(folder).made
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before
    assert json.loads((folder / TOLD).read_text("utf-8"))["planted"] == PLANTED


def test_the_same_seed_gives_the_same_bytes() -> None:
    sound = voice("Ada", "joy")
    assert (sound == voice("Ada", "joy")).all()
    assert clip("Ada", "joy", sound) == clip("Ada", "joy", sound)
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
