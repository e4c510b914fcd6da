"""What the loop reads from the stored view is what the extractors read from the media: the same vectors."""

from pathlib import Path

import numpy as np
import pytest

from extractors.audio.waveform import WaveformExtractor
from extractors.audio_extractor import AudioSettings
from extractors.speech.wavlm import WavLM, WavLMSettings
from tests.extractors.encoders.tiny_wavlm import build_tiny_wavlm
from tests.trainers.end_to_end.planted_recordings import Recordings
from tests.trainers.end_to_end.small_runs import end_to_end, settings
from trainers.end_to_end.examples import INT16_SCALE, RecordingBatch
from trainers.end_to_end.model import EndToEndModel
from trainers.models import fresh_model


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_the_extractors_vectors_are_the_models(tmp_path: Path, recordings: Recordings, norm: str) -> None:
    folder = build_tiny_wavlm(tmp_path / norm, norm=norm)
    random = np.random.default_rng(5)
    # As 16-bit media are decoded: multiples of 1 / 32,768.
    sounds = [
        (np.rint(8000 * random.standard_normal(length).clip(-2, 2)) / 32768).astype(np.float32)
        for length in (5000, 8123, 8123, 12000)
    ]
    extractor = WavLM(WavLMSettings(model=str(folder)))
    extractor.load("cpu")
    wanted = np.stack([np.asarray(one) for one in extractor.embed(sounds)])
    stored = WaveformExtractor(AudioSettings()).embed(sounds)
    read = [np.asarray(one)[:, 0].astype(np.float32) / np.float32(INT16_SCALE) for one in stored]
    config = settings("end-to-end", recordings, encoders="frozen", speech_model=str(folder))
    model = fresh_model((), 3, config).eval()
    assert isinstance(model, EndToEndModel)
    made = model.encoded(RecordingBatch(read, [None] * len(read)))["speech"].values.numpy()
    # A stored sample is off by half of a 32,767th at most.
    np.testing.assert_allclose(made, wanted, atol=2e-4)
    assert np.abs(wanted).max() > 0.1


def test_half_precision_and_accumulation_train(recordings: Recordings) -> None:
    given = {"max_epochs": 2, "accumulate": 2, "batch_size": 8, "dropout": 0.0, "modality_dropout": 0.0}
    # Dropout inside of the encoders draws otherwise in other types; frozen ones have none.
    whole = end_to_end(recordings, encoders="frozen", **given)
    half = end_to_end(recordings, encoders="frozen", precision="bfloat16", **given)
    assert half.key != whole.key
    one, two = (run.epochs()["train_loss"].to_numpy() for run in (whole, half))
    assert 0 < np.abs(one - two).max() < 0.05
    tuned = end_to_end(recordings, precision="bfloat16", like_lengths=True, **given)
    assert np.isfinite(tuned.epochs()["validation_loss"].to_numpy()).all()
