"""What a folder states, and the decoder against faster-whisper's own transcribing."""

import json
import shutil
from pathlib import Path

import pytest

from extractors.encoders.whisper import WhisperDecoder, timed_tokens, whisper_facts
from feature_repo.errors import BadInputError
from tests.extractors.asr.tiny_whisper import LANGUAGES, build_tiny_whisper
from tests.extractors.conftest import make_voice

ZERO = 100  # the token of 0.00 s in the tests of timed_tokens


@pytest.fixture
def tiny(tiny_whisper: Path) -> Path:
    return tiny_whisper


@pytest.fixture(scope="session")
def english(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_whisper(tmp_path_factory.mktemp("whisper") / "english", english_only=True)


@pytest.fixture
def copied(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


def decoder(folder: Path, **options: object) -> WhisperDecoder:
    return WhisperDecoder(folder, "cpu", **{"compute_type": "float32", "beam_size": 5, **options})


def test_a_folder_states_its_languages(tiny, english):
    facts = whisper_facts(tiny)
    assert (facts.languages, facts.multilingual) == (tuple(sorted(LANGUAGES)), True)
    # Its tokenizer lists the languages too, but it is never told one.
    assert (whisper_facts(english).languages, whisper_facts(english).multilingual) == (("en",), False)


def test_an_older_folder_has_its_vocabulary_as_text(copied):
    tokens = json.loads((copied / "vocabulary.json").read_text())
    (copied / "vocabulary.json").unlink()
    (copied / "vocabulary.txt").write_text("\n".join(tokens) + "\n")
    assert whisper_facts(copied).multilingual
    assert whisper_facts(copied).languages == tuple(sorted(LANGUAGES))


@pytest.mark.parametrize(
    "name", ["model.bin", "config.json", "tokenizer.json", "vocabulary.json", "preprocessor_config.json"]
)
def test_each_file_that_decides_the_words_is_noticed(copied, name):
    before = whisper_facts(copied).digest
    (copied / name).write_bytes((copied / name).read_bytes() + b" ")
    assert whisper_facts(copied).digest != before


def test_other_files_and_the_place_are_not(tiny, copied):
    for name in ("README.md", "model.safetensors", "generation_config.json", "pytorch_model.bin"):
        (copied / name).write_text("something")
    assert whisper_facts(copied).digest == whisper_facts(tiny).digest


@pytest.mark.parametrize("name", ["model.bin", "config.json", "tokenizer.json", "vocabulary.json"])
def test_an_incomplete_folder_is_refused_by_the_missing_file(copied, name):
    (copied / name).unlink()
    with pytest.raises(BadInputError, match=rf"{name}"):
        whisper_facts(copied)
    with pytest.raises(BadInputError, match=rf"{name}"):
        decoder(copied)


def test_an_unreadable_tokenizer_is_named(copied):
    (copied / "tokenizer.json").write_text("{ half")
    with pytest.raises(BadInputError, match=r"tokenizer\.json: not readable"):
        whisper_facts(copied)


def test_without_a_preprocessor_config_80_mel_bands_are_meant(copied, tiny, tmp_path):
    (copied / "preprocessor_config.json").unlink()
    voice = make_voice(2.0)
    assert decoder(copied).hear([voice], ["en"]) == decoder(tiny).hear([voice], ["en"])
    other = build_tiny_whisper(tmp_path / "wide", mels=128, preprocessor=False)
    with pytest.raises(BadInputError, match="hears 128 mel bands; preprocessor_config.json is missing"):
        decoder(other)


def test_a_preprocessor_config_of_another_model_is_refused(copied):
    (copied / "preprocessor_config.json").write_text(json.dumps({"feature_size": 128}))
    with pytest.raises(BadInputError, match="hears 80 mel bands; preprocessor_config.json says 128"):
        decoder(copied)


def test_what_the_device_cannot_compute_is_refused_with_what_it_can(tiny):
    with pytest.raises(BadInputError, match="'float16' is not to be had on cpu; allowed there: .*float32"):
        decoder(tiny, compute_type="float16")


def test_a_prompt_beyond_the_model_is_refused(tiny):
    with pytest.raises(BadInputError, match="initial_prompt has 6.. tokens; at most 223"):
        decoder(tiny, initial_prompt="name, " * 100)


def test_a_prompt_changes_what_is_heard(tiny):
    voice = make_voice(2.0)
    (plain,), (prompted,) = (
        decoder(tiny, initial_prompt=prompt).hear([voice], ["en"]) for prompt in ("", "Chandler")
    )
    assert plain != prompted


@pytest.mark.parametrize("folder", ["tiny", "english"])
@pytest.mark.parametrize("prompt", ["", "Chandler Bing"])
def test_the_words_are_those_of_faster_whisper(folder, prompt, request, monkeypatch):
    from faster_whisper import BatchedInferencePipeline, WhisperModel
    from faster_whisper.tokenizer import Tokenizer

    place = request.getfixturevalue(folder)
    pipeline = BatchedInferencePipeline(WhisperModel(str(place), device="cpu", compute_type="float32"))
    decoded: list[list[int]] = []
    generate = pipeline.generate_segment_batched

    def remembered(*arguments: object) -> object:
        encoded, outputs = generate(*arguments)
        decoded.extend(output["tokens"] for output in outputs)
        return encoded, outputs

    monkeypatch.setattr(pipeline, "generate_segment_batched", remembered)
    made = decoder(place, initial_prompt=prompt)
    for seed, seconds in enumerate((0.3, 1.0, 2.0, 3.3, 5.0, 12.0, 29.9)):
        voice = make_voice(seconds, seed)
        (heard,) = made.hear([voice], ["en"])
        segments, _ = pipeline.transcribe(
            voice, language="en", vad_filter=False, without_timestamps=False, temperature=0.0,
            initial_prompt=" " + prompt if prompt else None,
        )  # fmt: skip
        segments = list(segments)
        assert heard.logprob == pytest.approx(segments[0].avg_logprob, rel=1e-5)
        assert heard.no_speech == pytest.approx(segments[0].no_speech_prob, rel=1e-4)
        # Its batches lose what follows the last pair of timestamps; ours keep it.
        theirs, ours = ("".join(each.text for each in said) for said in (segments, heard.segments))
        assert theirs
        assert ours.startswith(theirs)
        assert ours == Tokenizer(pipeline.model.hf_tokenizer, False).decode(decoded[-1])
        for mine, other in zip(
            heard.segments, (each for each in segments if each.text.strip()), strict=False
        ):
            assert mine.text == other.text
            assert mine.start_s == pytest.approx(min(other.start, seconds), abs=1e-3)
            assert mine.end_s == pytest.approx(min(other.end, seconds), abs=1e-3)


def test_a_detected_language_is_faster_whisper_s(tiny):
    from faster_whisper import WhisperModel

    model = WhisperModel(str(tiny), device="cpu", compute_type="float32")
    voices = [make_voice(seconds, seed) for seed, seconds in enumerate((1.0, 2.0, 5.0))]
    wanted = [
        model.detect_language(voice, language_detection_threshold=0.0)[0]
        for voice in voices
    ]  # fmt: skip
    heard = decoder(tiny).hear([*voices, voices[0]], [None, None, None, "de"])
    assert [each.language for each in heard] == [*wanted, "de"]
    assert heard[3] != heard[0], "what is told of the language changes the words' probability"


def test_windows_together_are_windows_alone(tiny):
    made = decoder(tiny)
    voices = [make_voice(seconds, seed) for seed, seconds in enumerate((1.0, 29.0, 0.05, 5.0))]
    together = made.hear(voices, ["en"] * 4)
    assert len({each.segments for each in together}) == 4
    for voice, many in zip(voices, together, strict=True):
        (one,) = made.hear([voice], ["en"])
        assert (one.segments, one.language) == (many.segments, many.language)
        assert one.logprob == pytest.approx(many.logprob, rel=1e-5)
        assert one.no_speech == pytest.approx(many.no_speech, rel=1e-4)


def test_words_stand_between_timestamps():
    tokens = [ZERO + 10, 1, 2, ZERO + 50, ZERO + 60, 3, ZERO + 100]
    assert timed_tokens(tokens, ZERO, 30.0) == [
        (pytest.approx(0.2), pytest.approx(1.0), [1, 2]),
        (pytest.approx(1.2), pytest.approx(2.0), [3]),
    ]


def test_words_after_the_last_timestamp_last_to_the_end():
    assert timed_tokens([ZERO, 1, ZERO + 50, ZERO + 50, 2, 3], ZERO, 4.0) == [
        (0.0, pytest.approx(1.0), [1]),
        (pytest.approx(1.0), 4.0, [2, 3]),
    ]


def test_words_without_any_timestamp_are_one_segment():
    assert timed_tokens([1, 2], ZERO, 4.0) == [(0.0, 4.0, [1, 2])]


def test_no_time_lies_beyond_the_window_and_none_runs_backwards():
    assert timed_tokens([ZERO + 1400, 1, ZERO + 1500], ZERO, 4.0) == [(4.0, 4.0, [1])]
    assert timed_tokens([ZERO + 100, 1, ZERO + 50], ZERO, 4.0) == [(2.0, 2.0, [1])]


@pytest.mark.parametrize("tokens", [[], [ZERO], [ZERO, ZERO + 50]])
def test_timestamps_alone_are_no_segment(tokens):
    assert timed_tokens(tokens, ZERO, 4.0) == []
