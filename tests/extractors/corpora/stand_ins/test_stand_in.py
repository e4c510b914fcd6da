"""Stand-ins: what the real corpus's reader finds in them, what they sound like, and that they never pass as real."""

import json
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from extractors.clip import decode_audio
from extractors.corpora.registry import reader
from extractors.corpora.stand_ins.layouts import LAYOUTS
from extractors.corpora.stand_ins.performance import manner, perform, voice
from extractors.corpora.stand_ins.sound_file import write_sound
from extractors.corpora.stand_ins.stand_in import make_stand_in, name_in_store, stand_in_corpus
from extractors.corpora.stand_ins.take import Take
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.manifest import conform

# Emotions of one speaker with two utterances each, by the corpora's own schemes; sleepy and contempt have no class.
TWO_EACH = {
    "cremad": dict.fromkeys(("anger", "disgust", "fear", "joy", "neutral", "sadness"), 2),
    "emovdb": {"joy": 2, "anger": 2, "disgust": 2, "neutral": 2, None: 2},
    "esd": dict.fromkeys(("anger", "joy", "neutral", "sadness", "surprise"), 2),
    "iemocap": {"anger": 4, "joy": 4, "neutral": 2, "sadness": 2},
    "mead": dict.fromkeys(("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise", None), 2),
    # calm counts as neutral
    "ravdess": dict.fromkeys(("anger", "disgust", "fear", "joy", "sadness", "surprise"), 2) | {"neutral": 4},
    "savee": dict.fromkeys(("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"), 2),
    "tess": dict.fromkeys(("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"), 2),
}
# What the real files have, in Hz.
RATES = {
    "cremad": 16_000,
    "emovdb": 44_100,
    "esd": 16_000,
    "iemocap": 16_000,
    "mead": 48_000,
    "ravdess": 48_000,
    "savee": 44_100,
    "tess": 24_414,
}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in of every corpus, one speaker with two utterances per emotion."""
    folder = tmp_path_factory.mktemp("stand-ins")
    for corpus in LAYOUTS:
        make_stand_in(corpus, folder / corpus, speakers=1, per_emotion=2)
    return folder


def read(folder: Path, corpus: str) -> pl.DataFrame:
    options = {"media": "audio"} if corpus == "iemocap" else {}
    return conform(
        reader(corpus).read(folder / corpus, name=f"{corpus}-standin", **options), f"{corpus}-standin"
    )


def test_every_layout_is_tested() -> None:
    assert set(LAYOUTS) == set(TWO_EACH) == set(RATES)


@pytest.mark.parametrize("corpus", sorted(TWO_EACH))
def test_the_corpus_own_reader_finds_everything(made: Path, corpus: str) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not UTF-8")
        rows = read(made, corpus)
    assert Counter(rows["emotion"]) == TWO_EACH[corpus]
    assert rows["text"].null_count() == 0
    assert rows["speaker_id"].n_unique() == 1
    assert all(Path(uri).is_file() for uri in rows["media_uri"])


@pytest.mark.parametrize("corpus", sorted(RATES))
def test_its_sounds_are_real_sound_files_at_the_corpus_rate(made: Path, corpus: str) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not UTF-8")
        uri = read(made, corpus)["media_uri"][0]
    sound = decode_audio(uri)
    assert (sound.facts["rate"], sound.facts["channels"]) == (RATES[corpus], 1)
    assert 0.5 < len(sound.samples) / 16_000 < 5
    assert np.abs(sound.samples).max() > 0.05


def test_a_speaker_keeps_their_voice_and_others_have_another() -> None:
    assert voice("1001", 0) == voice("1001", 0)
    assert len({voice(str(actor), 0) for actor in range(1001, 1011)}) == 10
    assert voice("1001", 0) != voice("1001", 1)


def pitch_hz(sound: np.ndarray) -> float:
    """The median over 40 ms frames of the strongest period between 60 and 500 Hz, by autocorrelation."""
    frames = np.lib.stride_tricks.sliding_window_view(sound.astype(float), 640)[::320]
    frames = frames[np.square(frames).mean(axis=1) > np.square(sound).mean() / 4]
    power = np.abs(np.fft.rfft(frames - frames.mean(axis=1, keepdims=True), 2048)) ** 2
    periods = np.fft.irfft(power)[:, 32:267].argmax(axis=1) + 32
    return float(np.median(16_000 / periods))


def test_emotions_are_heard_in_pitch_and_level() -> None:
    def measured(feeling: str) -> tuple[float, float]:
        sound = perform(Take("1.wav", "1001", feeling, "one two three four", strength=0.9), 0)
        return pitch_hz(sound), float(np.sqrt(np.mean(sound**2)))

    assert pitch_hz(np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000)) == pytest.approx(200, rel=0.01)
    (plain, soft), (high, loud), (low, quiet) = measured("neutral"), measured("surprise"), measured("sadness")
    assert high > 1.15 * plain > 1.15 * low
    assert loud > 1.2 * soft > 1.2 * quiet


def test_strength_leads_from_neutral_to_the_whole_feeling() -> None:
    assert manner("anger", 0.0) == manner("neutral", 1.0)
    pitches = [manner("joy", strength).pitch for strength in (0.0, 0.5, 1.0)]
    assert pitches == pytest.approx([1.0, 1.25**0.5, 1.25])


def test_the_same_seed_gives_the_same_files(made: Path, tmp_path: Path) -> None:
    for seed, same in ((0, True), (1, False)):
        make_stand_in("esd", tmp_path / str(seed), speakers=1, per_emotion=1, seed=seed)
        path = "0001/Angry/0001_000351.wav"
        assert ((tmp_path / str(seed) / path).read_bytes() == (made / "esd" / path).read_bytes()) is same
    for name in ("a.m4a", "b.m4a"):
        write_sound(tmp_path / name, np.linspace(-0.5, 0.5, 4000, dtype=np.float32), 48_000)
    assert (tmp_path / "a.m4a").read_bytes() == (tmp_path / "b.m4a").read_bytes()


def test_it_is_made_once_and_completed_after_an_interruption(tmp_path: Path) -> None:
    done: list[int] = []

    def stop(number: int, total: int) -> None:
        done.append(total)
        if len(done) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_stand_in("tess", tmp_path / "t", speakers=1, per_emotion=1, on_clip=stop)
    early = {path: path.stat().st_mtime_ns for path in (tmp_path / "t").rglob("*.wav")}
    assert (len(early), done) == (3, [7, 7, 7])
    assert make_stand_in("tess", tmp_path / "t", speakers=1, per_emotion=1).made
    assert all(path.stat().st_mtime_ns == before for path, before in early.items())
    assert len(list((tmp_path / "t").rglob("*.wav"))) == 7
    assert not make_stand_in("tess", tmp_path / "t", speakers=1, per_emotion=1).made


@pytest.mark.parametrize("marks", [0, 1])
def test_a_kill_while_it_is_marked_is_mended_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, marks: int
) -> None:
    written: list[Path] = []
    write = Path.write_text

    def killed(path: Path, text: str, *arguments: str) -> int:
        if len(written) == marks:
            write(path, text[: len(text) // 2], *arguments)
            raise KeyboardInterrupt
        written.append(path)
        return write(path, text, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            make_stand_in("tess", tmp_path / "s", speakers=1, per_emotion=1)
    done = make_stand_in("tess", tmp_path / "s", speakers=1, per_emotion=1)
    assert done.made
    assert stand_in_corpus(tmp_path / "s") == "tess"
    assert not make_stand_in("tess", tmp_path / "s", speakers=1, per_emotion=1).made


def test_nothing_is_mixed_with_what_is_there(made: Path, tmp_path: Path) -> None:
    (tmp_path / "AudioWAV").mkdir()
    with pytest.raises(BadInputError, match="not empty and holds no stand-in"):
        make_stand_in("cremad", tmp_path)
    with pytest.raises(BadInputError, match="holds another stand-in"):
        make_stand_in("cremad", made / "tess")


def test_sizes_and_names_that_a_corpus_does_not_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="speakers 3: tess has from 1 to 2"):
        make_stand_in("tess", tmp_path / "t", speakers=3)
    with pytest.raises(BadInputError, match="per-emotion 0: tess has from 1 to"):
        make_stand_in("tess", tmp_path / "t", speakers=1, per_emotion=0)
    with pytest.raises(UnknownNameError, match="'meld'; allowed: cremad, "):
        make_stand_in("meld", tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_a_stand_in_never_passes_as_the_corpus(made: Path, tmp_path: Path) -> None:
    assert json.loads((made / "cremad" / "stand-in.json").read_text())["made up"].startswith("no recording")
    for folder in (made / "cremad", made / "cremad" / "AudioWAV"):
        assert stand_in_corpus(folder) == "cremad"
        assert name_in_store("cremad", folder, None) == "cremad-standin"
        assert name_in_store("cremad", folder, "small-standin") == "small-standin"
        with pytest.raises(BadInputError, match="--name cremad-standin"):
            name_in_store("cremad", folder, "cremad")
    assert stand_in_corpus(tmp_path) is None
    assert (name_in_store("cremad", tmp_path, None), name_in_store("cremad", tmp_path, "mine")) == (
        "cremad",
        "mine",
    )


@pytest.mark.parametrize("corpus", sorted(LAYOUTS))
def test_every_layout_can_be_as_large_as_it_says(corpus: str) -> None:
    layout = LAYOUTS[corpus]
    plan = layout.plan(layout.speakers, layout.most)
    paths = [take.path for take in plan.takes]
    assert len(paths) == len(set(paths))
    assert {take.speaker for take in plan.takes} == set(layout.speakers)


def test_two_actors_of_a_session_talk_in_turns(tmp_path: Path) -> None:
    make_stand_in("iemocap", tmp_path / "i", speakers=2, per_emotion=1)
    rows = reader("iemocap").read(tmp_path / "i", media="audio").sort("turn")
    assert rows["dialogue_id"].n_unique() == 1
    assert rows["speaker_raw"].to_list() == ["Ses01F", "Ses01M"] * 6
    assert set(rows["rater_counts"].str.json_decode(pl.Struct({"ang": pl.Int64})).struct["ang"]) == {None, 2}
