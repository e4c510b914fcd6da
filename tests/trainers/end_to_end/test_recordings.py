"""What is read of each utterance, what a run's key notices of it, and what is refused."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from extractors.audio.waveform import INT16_SCALE as STORED_SCALE
from feature_repo.errors import BadInputError
from tests.trainers.end_to_end.planted_recordings import (
    MANDARIN,
    NO_SOUND,
    NO_WORDS,
    SHORT,
    SILENT,
    Recordings,
    recording_rows,
    sound_of,
)
from tests.trainers.end_to_end.small_runs import end_to_end, settings
from trainers.end_to_end.config import EndToEndConfig
from trainers.end_to_end.encoder_pair import find_encoders
from trainers.end_to_end.examples import INT16_SCALE, RecordingExamples
from trainers.end_to_end.recordings import read_recordings
from trainers.train import train
from trainers.training_data import Request, TrainingData


def _pulled(recordings: Recordings, join: str = "outer", **given: object) -> TrainingData:
    config = settings("end-to-end", recordings, **given)
    assert isinstance(config, EndToEndConfig)
    request = Request(("audio_steps",), "recordings", join, encoders=config)  # type: ignore[arg-type]
    return request.pull(recordings.store, request.views(recordings.store))


def test_who_has_a_sound_and_who_has_words(recordings: Recordings) -> None:
    data = _pulled(recordings)
    assert data.recordings is not None
    number = np.array([int(name[-3:]) % 20 for name in data.rows.ids])
    assert data.recordings.heard.tolist() == [n not in (NO_SOUND, SHORT, SILENT) for n in number]
    said = [text is not None for text in data.recordings.texts]
    assert said == [n not in (NO_WORDS, MANDARIN) for n in number]
    assert [slot.name for slot in data.slots] == ["text", "speech"]
    assert [slot.width for slot in data.slots] == [32, 64]
    both = _pulled(recordings, "inner")
    lacks = [n in (NO_SOUND, SHORT, SILENT, NO_WORDS, MANDARIN) for n in number]
    assert (both.labels < 0).tolist() == lacks
    assert both.left_out == {"no sound or no text": sum(lacks)}
    words = _pulled(recordings, "inner", speech_model="")
    assert (words.labels < 0).tolist() == [n in (NO_WORDS, MANDARIN) for n in number]
    assert [slot.name for slot in words.slots] == ["text"]


def test_sounds_are_what_was_stored_cut_at_the_limit(recordings: Recordings) -> None:
    assert INT16_SCALE == STORED_SCALE
    data = _pulled(recordings, max_seconds=0.38)
    assert data.recordings is not None
    examples = RecordingExamples(data.recordings, data.labels)
    row = data.rows.ids.index("meld/u002")  # of 0.455 s
    sound = examples.sound(row)
    stored = sound_of(2, "anger")
    assert stored is not None
    assert sound is not None
    np.testing.assert_allclose(sound, stored[:6080] / 32767, atol=1e-7)
    assert sound.dtype == np.float32
    assert examples.sound(data.rows.ids.index("meld/u009")) is None  # silence
    assert examples.cost is None
    alike = _pulled(recordings, like_lengths=True)
    assert alike.recordings is not None
    cost = RecordingExamples(alike.recordings, alike.labels).cost
    assert cost is not None
    assert cost[row] == 6000 + 640 * 2


def test_the_turns_before_are_read_even_those_without_a_label_or_a_sound(recordings: Recordings) -> None:
    rows = recording_rows().with_columns(
        emotion=pl.when(pl.col("utterance_id") == "meld/u001").then(None).otherwise("emotion")
    )
    recordings.store.write_manifest("meld", rows.filter(pl.col("corpus") == "meld"))
    pulled = recordings.store.pull(["audio_steps"])  # rows with a sound: the fourth turn has none
    config = settings("end-to-end", recordings, context=7, prefix=True)
    assert isinstance(config, EndToEndConfig)
    read = read_recordings(recordings.store, pulled, find_encoders(config), config)
    texts = dict(zip(pulled.ids, read.texts, strict=True))
    first = "speaker=s00 the table is here 0"
    second = f"{first} </s> speaker=s01 oh how wonderful 1"
    assert texts["meld/u000"] == first
    assert texts["meld/u001"] == second
    assert texts["meld/u005"] == "speaker=s11 get out of it 5"  # another dialogue
    assert texts["ravdess/u002"] == "speaker=s00 get out of it 2"
    assert "meld/u003" not in texts
    fourth = f"{second} </s> speaker=s00 get out of it 2 </s> speaker=s01 the table is here 3"
    assert texts["meld/u004"] == f"{fourth} </s> speaker=s00 oh how wonderful 4"


def test_a_run_knows_texts_and_encoders_by_what_is_in_them(recordings: Recordings, tmp_path: Path) -> None:
    given = {"max_epochs": 1, "encoders": "frozen", "context": 2}
    run = end_to_end(recordings, **given)
    # The same weights elsewhere are the same encoders.
    moved = {name: shutil.copytree(folder, tmp_path / name) for name, folder in recordings.settings.items()}
    config = settings("end-to-end", None, **given, **{name: str(place) for name, place in moved.items()})
    again = train(recordings.store, ["audio_steps"], config=config, protocol="official")
    assert (again.runs[0].key, again.trained) == (run.key, 0)
    assert "speech_model" not in str(run.record["encoders"])
    assert set(run.record["encoders"]) == {"speech", "text"}
    # A text that no utterance reads changes nothing; one that is read does.
    rows = recording_rows().filter(pl.col("corpus") == "meld")
    last, first = (pl.col("utterance_id") == f"meld/u{number:03}" for number in (4, 0))

    def rewritten(which: pl.Expr) -> str:
        text = pl.when(which).then(pl.lit("something else")).otherwise("text")
        recordings.store.write_manifest("meld", rows.with_columns(text=text))
        data = _pulled(recordings, **{**given, "encoders": "frozen"})
        assert data.recordings is not None
        changed = dict(zip(data.rows.ids, data.recordings.texts, strict=True))
        return ", ".join(name for name in changed if "something else" in (changed[name] or ""))

    before = _pulled(recordings, context=2).snapshot
    assert rewritten(first) == "meld/u000, meld/u001, meld/u002"
    assert _pulled(recordings, context=2).snapshot != before
    assert rewritten(last) == "meld/u004"
    assert rewritten(pl.lit(False)) == ""


def test_another_view_or_no_encoder_is_refused(recordings: Recordings) -> None:
    config = settings("end-to-end", recordings)
    for slots in (["text"], ["audio_steps", "text"]):
        with pytest.raises(
            BadInputError, match=r"the slot audio_steps, which `affectstore extract -e waveform`"
        ):
            train(recordings.store, slots, config=config, protocol="official")
    with pytest.raises(BadInputError, match="'speech_model' is ''; allowed: a model, or text_model"):
        settings("end-to-end", None, speech_model="", text_model="")
    swapped = {"speech_model": recordings.text_model, "text_model": recordings.speech_model}
    with pytest.raises(BadInputError, match=r"model_type is 'wavlm'"):
        end_to_end(recordings, **{name: str(folder) for name, folder in swapped.items()})
    for key, value in (
        ("max_seconds", -1.0),
        ("context", -1),
        ("speech_lr", 0.0),
        ("frontend_frozen_epochs", -1),
    ):
        with pytest.raises(BadInputError, match=f"'{key}' is {value}"):
            settings("end-to-end", None, **{key: value})


def test_words_alone_and_sounds_alone_train(recordings: Recordings) -> None:
    for model, slot in (("speech_model", "text"), ("text_model", "speech")):
        run = end_to_end(recordings, **{model: "", "max_epochs": 1})
        assert list(run.record["encoders"]) == [slot]
        assert list(run.record["tuned"]) == [slot]
