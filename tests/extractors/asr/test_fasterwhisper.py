"""Transcripts by a tiny Whisper: what is stored of them, of short sounds and long, and what the recipe says."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from extractors.asr.windows import cut, speech_spans
from extractors.protocol import Item
from extractors.registry import create
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.gate import gated
from feature_repo.outcome import Fault, Features
from tests.extractors.asr.tiny_whisper import LANGUAGES, build_tiny_whisper
from tests.extractors.conftest import make_voice

RATE = 16_000
LENGTHS = (2.0, 0.05, 1.0, 31.0, 3.3, 1.0, 65.0, 0.3)
FLOATS = ("segment_logprob", "segment_no_speech")


def made(folder: Path, **settings: str):
    extractor = create("fasterwhisper", {"model": str(folder), **settings})
    extractor.load("cpu")
    return extractor


def heard(extractor, *sounds: np.ndarray) -> list[Features]:
    """Outcomes as they are stored."""
    items = [Item(f"c/{place}", audio=np.asarray(sound, np.float32)) for place, sound in enumerate(sounds)]
    recipe = extractor.recipes()["transcript"]
    outcomes = [gated(recipe, outcome["transcript"]) for outcome in extractor.extract(items)]
    assert all(isinstance(outcome, Features) for outcome in outcomes), outcomes
    return outcomes


def sequence(seconds: float) -> np.ndarray:
    """Different voices, each some seconds long and followed by a second of silence."""
    rng = np.random.default_rng(2)
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < seconds * RATE:
        parts += [make_voice(float(rng.uniform(2, 9)), len(parts)), np.zeros(RATE, np.float32)]
    return np.concatenate(parts)[: round(seconds * RATE)]


def test_a_transcript_has_its_words_and_their_times(tiny_whisper):
    (found,) = heard(made(tiny_whisper), make_voice(5.0, 3))
    columns = found.columns
    assert (found.value, found.note, columns["language"]) == (None, "", "en")
    assert columns["text"] == columns["text"].strip() != ""
    assert " ".join(columns["segment_text"]) == columns["text"]
    counts = {len(columns[name]) for name in columns if name.startswith("segment")}
    assert counts == {len(columns["segment_text"])}
    assert (columns["segment_start"] <= columns["segment_end"]).all()
    assert columns["segment_end"].max() <= 5.0
    assert (columns["segment_logprob"] < 0).all()
    assert ((columns["segment_no_speech"] > 0) & (columns["segment_no_speech"] < 1)).all()


@pytest.mark.parametrize("language", ["en", "auto"])
@pytest.mark.parametrize("compute_type", ["float32", "int8"])
def test_a_batch_of_many_equals_batches_of_one(tiny_whisper, compute_type, language):
    extractor = made(tiny_whisper, compute_type=compute_type, language=language, batch_size="5")
    sounds = [make_voice(seconds, seed) for seed, seconds in enumerate(LENGTHS)]
    sounds.insert(2, np.zeros(RATE, np.float32))
    together = heard(extractor, *sounds)
    assert len({found.columns.get("text") for found in together}) >= 6
    for sound, many in zip(sounds, together, strict=True):
        (one,) = heard(extractor, sound)
        assert one.note == many.note
        for name, value in one.columns.items():
            if name in FLOATS:
                np.testing.assert_allclose(value, many.columns[name], rtol=extractor.batch_tolerance)
            elif isinstance(value, np.ndarray):
                np.testing.assert_array_equal(value, many.columns[name])
            else:
                assert value == many.columns[name], name


def test_the_same_sound_gives_the_same_words_in_a_new_model(tiny_whisper):
    sounds = [make_voice(seconds, seed) for seed, seconds in enumerate(LENGTHS[:4])]
    first, second = (heard(made(tiny_whisper), *sounds) for _ in range(2))
    assert [found.columns["text"] for found in first] == [found.columns["text"] for found in second]
    np.testing.assert_array_equal(first[0].columns["segment_logprob"], second[0].columns["segment_logprob"])


def test_compute_types_are_spaces_of_their_own(tiny_whisper):
    sounds = [make_voice(seconds, seed) for seed, seconds in enumerate((1.0, 2.0, 3.3, 5.0, 7.0))]
    whole, quantised = (heard(made(tiny_whisper, compute_type=kind), *sounds) for kind in ("float32", "int8"))
    assert any(
        one.columns["segment_logprob"].tolist() != other.columns["segment_logprob"].tolist()
        for one, other in zip(whole, quantised, strict=True)
    )


@pytest.mark.parametrize("seconds", [61.0, 305.0])
def test_a_long_sound_is_its_windows_one_after_the_other(tiny_whisper, seconds):
    extractor = made(tiny_whisper, batch_size="4")
    sound = sequence(seconds)
    (found,) = heard(extractor, sound)
    windows = cut(len(sound), speech_spans(sound), 30 * RATE)
    assert len(windows) >= seconds / 30
    texts: list[str] = []
    starts: list[float] = []
    for start, end in windows:
        (part,) = heard(extractor, sound[start:end])
        texts += part.columns["segment_text"]
        starts += [start / RATE + offset for offset in part.columns["segment_start"]]
    assert found.columns["segment_text"] == texts
    np.testing.assert_allclose(found.columns["segment_start"], starts, atol=1e-3)
    assert found.columns["segment_end"].max() <= seconds + 1e-3
    assert (np.diff(found.columns["segment_start"]) >= 0).all()


@pytest.mark.long
def test_an_hour_is_heard_to_its_end(tiny_whisper):
    extractor = made(tiny_whisper, beam_size="1")
    voice = sequence(60.0)
    (found,) = heard(extractor, np.tile(voice, 60))
    assert found.columns["segment_start"].max() > 3570
    assert found.columns["segment_end"].max() <= 3600


def test_a_long_sound_has_the_language_of_its_first_window(tiny_whisper):
    extractor = made(tiny_whisper, language="auto", compute_type="float32")
    sound = np.concatenate([make_voice(29.0, 5), np.zeros(RATE, np.float32), make_voice(2.0, 2)])
    windows = cut(len(sound), speech_spans(sound), 30 * RATE)
    first, second, whole = heard(extractor, *(sound[start:end] for start, end in windows), sound)
    assert first.columns["language"] != second.columns["language"], "else nothing is tested"
    assert whole.columns["language"] == first.columns["language"]
    assert whole.columns["language"] in LANGUAGES


def test_silence_is_an_empty_transcript_without_asking_the_model(tiny_whisper):
    extractor = create("fasterwhisper", {"model": str(tiny_whisper)})  # not loaded
    (found,) = heard(extractor, np.zeros(2 * RATE))
    assert (found.value, found.note, dict(found.columns)) == (None, "empty transcript", {})


def test_where_nobody_is_heard_to_speak_there_are_no_words(tiny_whisper):
    voice = make_voice(2.0)
    (plain,) = heard(made(tiny_whisper), voice)
    probability, logprob = (
        float(plain.columns[name][0]) for name in ("segment_no_speech", "segment_logprob")
    )

    def note(no_speech: float, least: float) -> str:
        return heard(made(tiny_whisper, no_speech=str(no_speech), logprob=str(least)), voice)[0].note

    # Both limits must be crossed.
    assert note(probability / 2, logprob + 0.1) == "empty transcript"
    assert note(probability * 2, logprob + 0.1) == ""
    assert note(probability / 2, logprob - 0.1) == ""


def test_with_vad_only_speech_is_heard(tiny_whisper, samples):
    from extractors.clip import decode_audio

    clip = samples / "data" / "ravdess" / "Actor_17" / "03-01-01-01-02-02-17.wav"
    spoken = decode_audio(str(clip)).samples
    rng = np.random.default_rng(0)
    noise = (0.001 * rng.standard_normal(8 * RATE)).astype(np.float32)
    extractor = made(tiny_whisper, vad="yes", compute_type="float32")
    nobody, late = heard(extractor, noise, np.concatenate([noise, spoken]))
    assert nobody.note == "empty transcript"
    start = 8 + speech_spans(spoken)[0][0] / RATE - 0.4
    assert late.columns["segment_start"].min() >= start - 0.2
    (all_of_it,) = heard(made(tiny_whisper, compute_type="float32"), noise)
    assert all_of_it.note == "", "without it, noise is heard too"


def test_unusable_media_are_a_fault_or_a_marked_silence(tiny_whisper):
    lost = Item("c/0", audio=np.zeros(0, np.float32))
    (fault,) = create("fasterwhisper", {"model": str(tiny_whisper)}).extract([lost])
    assert isinstance(fault, Fault)
    assert (fault.error, "c/0" in fault.message) == ("TooShort", True)
    broken = Fault("decode", "TruncatedMedia", "the file ends")
    marked = create("fasterwhisper", {"model": str(tiny_whisper), "unusable": "silence"}).without_media(
        broken
    )
    assert marked["transcript"].note == "silence: the file ends"


def test_only_the_start_is_heard_when_so_told(tiny_whisper):
    sound = sequence(40.0)
    cut_off, alone = heard(made(tiny_whisper, max_seconds="5"), sound, sound[: 5 * RATE])
    assert cut_off.columns["segment_text"] == alone.columns["segment_text"]


def test_the_recipe_tells_what_decides_the_words(tiny_whisper):
    recipe = create("fasterwhisper", {"model": str(tiny_whisper)}).recipes()["transcript"]
    assert (recipe.slot, recipe.layout, recipe.width, recipe.reads) == ("transcript", "record", 0, "media")
    assert (recipe.compute_dtype, recipe.languages, len(recipe.weights)) == ("int8_float32", ("en",), 64)
    assert recipe.settings == {}
    assert set(recipe.columns) == {
        "text", "language", "segment_start", "segment_end", "segment_logprob", "segment_no_speech", "segment_text"
    }  # fmt: skip


def fingerprint(folder: Path, **settings: str) -> str:
    return create("fasterwhisper", {"model": str(folder), **settings}).recipes()["transcript"].fingerprint


def test_each_setting_that_decides_the_words_is_identity(tiny_whisper):
    plain = fingerprint(tiny_whisper)
    others = [
        fingerprint(tiny_whisper, **{name: value})
        for name, value in {
            "compute_type": "float16", "language": "de", "beam_size": "1", "initial_prompt": "Chandler",
            "vad": "yes", "no_speech": "0.5", "logprob": "-2", "max_seconds": "10",
        }.items()
    ]  # fmt: skip
    others.append(fingerprint(tiny_whisper, language="auto"))
    assert len({plain, *others}) == len(others) + 1


def test_place_and_batches_are_not_identity(tiny_whisper, tmp_path):
    copy = shutil.copytree(tiny_whisper, tmp_path / "copy")
    plain = fingerprint(tiny_whisper)
    assert fingerprint(copy) == plain
    assert fingerprint(tiny_whisper, batch_size="1", compute_type="int8_float32") == plain
    (copy / "model.bin").write_bytes((copy / "model.bin").read_bytes() + b" ")
    assert fingerprint(copy) != plain


def test_a_hub_id_is_looked_for_in_the_local_cache_alone(tiny_whisper, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BadInputError, match="'Systran/faster-whisper-large-v3' is not at hand"):
        create("fasterwhisper").recipes()
    repo = tmp_path / "models--Systran--faster-whisper-large-v3"
    shutil.copytree(tiny_whisper, repo / "snapshots" / "abc")
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("abc")
    extractor = create("fasterwhisper")
    assert extractor.recipes()["transcript"].fingerprint == fingerprint(tiny_whisper)
    extractor.load("cpu")
    assert heard(extractor, make_voice(1.0))[0].columns["text"]


def test_a_language_that_the_model_does_not_know_is_refused_with_those_it_does(tiny_whisper):
    with pytest.raises(
        UnknownNameError, match="unknown language of model .* 'english'; allowed: .*auto.*de.*en"
    ):
        fingerprint(tiny_whisper, language="english")
    with pytest.raises(UnknownNameError, match="'xx'"):
        fingerprint(tiny_whisper, language="xx")


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("beam_size", "0", "at least 1"),
        ("no_speech", "1.5", "between 0 and 1"),
        ("compute_type", "default", "int8_float32"),
        ("max_seconds", "-1", "positive"),
    ],
)
def test_impossible_settings_are_refused(setting, value, told):
    with pytest.raises((BadInputError, UnknownNameError), match=told):
        create("fasterwhisper", {setting: value})


def test_an_english_only_model_is_told_no_language(tmp_path):
    folder = build_tiny_whisper(tmp_path / "english", english_only=True)
    assert fingerprint(folder, language="auto") == fingerprint(folder, language="en")
    with pytest.raises(UnknownNameError, match="'de'; allowed: auto, en$"):
        fingerprint(folder, language="de")
    (found,) = heard(made(folder, language="auto"), make_voice(2.0))
    assert (found.columns["language"], bool(found.columns["text"])) == ("en", True)
