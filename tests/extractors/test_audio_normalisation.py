"""Sound as 16 kHz mono (papers/003 section 1.6): level and length against soxr itself, and corrupt files by policy.

soxr is called here on the samples that were written, in one piece; the reader gets the file, and resamples in blocks.
"""

import io
import json
import wave
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest
import soxr
import typer
from typer.testing import CliRunner

import extractors.commands
import feature_repo.commands
from extractors.clip import decode_audio
from extractors.protocol import Item
from extractors.registry import create
from feature_repo.store import Store, init_store
from tests.extractors.conftest import RATE, make_voice

SECONDS = 1.3


def spoken(rate: int, seed: int = 0) -> np.ndarray:
    """A voice as a recording of this rate would have it."""
    return np.asarray(soxr.resample(make_voice(SECONDS, seed), RATE, rate), np.float32)


def reference(samples: np.ndarray, rate: int) -> np.ndarray:
    return np.asarray(soxr.resample(samples.astype(np.float32), rate, RATE, quality="HQ"))


def level_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64))))


def as_stored(samples: np.ndarray, kind: str) -> np.ndarray:
    """What a file of this kind can hold of the samples, full scale at one."""
    if kind == "int16":
        return np.rint(samples * 32767) / 32768
    if kind == "uint8":
        return (np.rint(samples * 127 + 128) - 128) / 128
    return samples


@pytest.mark.parametrize("kind", ["int16", "uint8", "float32"])
@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_414, 44_100, 48_000])
def test_a_wav_of_any_kind_and_rate_is_what_soxr_makes_of_it(write_wav, rate, kind):
    samples = spoken(rate)
    sound = decode_audio(write_wav(samples, rate, kind=kind)).samples
    wanted = reference(as_stored(samples, kind), rate) if rate != RATE else as_stored(samples, kind)
    assert abs(len(sound) - len(wanted)) <= 1
    assert len(sound) == pytest.approx(SECONDS * RATE, abs=2)
    shared = min(len(sound), len(wanted))
    # A thousandth of full scale is -60 dB; the rest is soxr's own difference between blocks and one piece.
    np.testing.assert_allclose(sound[:shared], wanted[:shared], atol=1e-3)
    assert level_db(sound) == pytest.approx(level_db(wanted), abs=0.01)


def test_a_wav_of_24_bits(tmp_path):
    samples = spoken(48_000)
    whole = np.rint(samples * (2**23 - 1)).astype("<i4")
    with wave.open(str(tmp_path / "deep.wav"), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(3)
        target.setframerate(48_000)
        target.writeframes(whole.view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
    sound = decode_audio(str(tmp_path / "deep.wav")).samples
    np.testing.assert_allclose(sound, reference(samples, 48_000)[: len(sound)], atol=1e-3)


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_of_stereo_the_louder_channel_is_what_soxr_makes_of_it(write_wav, rate):
    voice = spoken(rate)
    sound = decode_audio(write_wav(np.stack([voice / 4, voice], 1), rate)).samples
    np.testing.assert_allclose(sound, reference(as_stored(voice, "int16"), rate)[: len(sound)], atol=1e-3)


def test_of_5_1_the_centre_is_what_soxr_makes_of_it(write_wav):
    channels = np.stack([spoken(48_000, seed) * (0.1 if seed == 2 else 1.0) for seed in range(6)], 1)
    sound = decode_audio(write_wav(channels, 48_000)).samples
    np.testing.assert_allclose(
        sound, reference(as_stored(channels[:, 2], "int16"), 48_000)[: len(sound)], atol=1e-3
    )


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_aac_in_m4a_has_the_length_and_level_of_what_was_encoded(tmp_path, rate):
    # MEAD's sound. AAC is lossy, so samples are compared with ffmpeg's own decoding, taken apart by hand.
    samples = spoken(rate)
    path = tmp_path / "001.m4a"
    with av.open(str(path), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=rate, layout="mono", options={"b": "128k"})
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        decoded = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    sound = decode_audio(str(path)).samples
    np.testing.assert_allclose(sound, reference(decoded, rate)[: len(sound)], atol=1e-3)
    assert len(sound) == pytest.approx(
        SECONDS * RATE, abs=2 * 1024 * RATE / rate
    )  # encoders pad whole frames
    energy, wanted = (
        float(np.sum(np.square(part, dtype=np.float64))) for part in (sound, make_voice(SECONDS))
    )
    assert 10 * np.log10(energy / wanted) == pytest.approx(0, abs=0.3)


def test_what_is_stored_is_16_bit_pcm_of_that_sound(write_wav):
    samples = spoken(48_000)
    sound = decode_audio(write_wav(samples, 48_000)).samples
    made = create("waveform")
    made.load("cpu")
    (outcome,) = made.extract([Item("c/0", audio=sound)])
    steps = outcome["audio_steps"].value
    assert (steps.dtype, steps.shape) == (np.dtype(np.int16), (len(sound), 1))
    wanted = reference(as_stored(samples, "int16"), 48_000)[: len(sound)]
    np.testing.assert_allclose(steps[:, 0] / 32767, wanted, atol=1e-3)


# --- corrupt files, through the command ------------------------------------------------------------------------------


def corrupt_files(folder: Path) -> dict[str, Path]:
    """One good file and one of each kind of damage, by what is wrong."""
    sink = io.BytesIO()
    with wave.open(sink, "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(RATE)
        target.writeframes(np.rint(make_voice(1.0) * 32767).astype("<i2").tobytes())
    whole = sink.getvalue()
    silent = whole[:44] + bytes(len(whole) - 44)
    kinds = {
        "good": whole,
        "cut": whole[:8000],
        "empty": b"",
        "noise": bytes(range(256)) * 40,
        "silent": silent,
        "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    }
    for name, content in kinds.items():
        (folder / f"{name}.wav").write_bytes(content)
    return {name: folder / f"{name}.wav" for name in [*kinds, "absent"]}


REASONS = {
    "cut": ("decode", "TruncatedMedia"),
    "empty": ("media", "EmptyFile"),
    "noise": ("decode", "Undecodable"),
    "silent": ("media", "SilentAudio"),
    "pointer": ("decode", "Undecodable"),
    "absent": ("media", "MissingMedia"),
}


@pytest.fixture
def corrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("AFFECTSTORE_ROOT", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "400")
    store = init_store(str(tmp_path / "store"))
    files = corrupt_files(tmp_path)
    rows = {
        "utterance_id": [f"c/{name}" for name in files],
        "media_uri": [str(path) for path in files.values()],
    }
    store.write_manifest("c", pl.DataFrame(rows))
    return store


def run(*arguments: str) -> str:
    app = typer.Typer()
    for commands in (extractors.commands, feature_repo.commands):
        commands.add_commands(app)
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_corrupt_files_are_dropped_each_with_its_reason(corrupted: Store):
    told = run("extract", "-e", "mfcc")
    view = corrupted.resolve("speech")
    assert corrupted.table(view).index()["utterance_id"].to_list() == ["c/good"]
    faults = {row["utterance_id"][2:]: row for row in corrupted.faults.entries(view).iter_rows(named=True)}
    assert {name: (row["stage"], row["error"]) for name, row in faults.items()} == REASONS
    # The entry names the file, so that somebody can look at it.
    assert all(f"{name}.wav" in row["message"] + row["facts"] for name, row in faults.items())
    for line in ("2 failed with decode: Undecodable", "1 failed with media: SilentAudio"):
        assert line in told
    assert "stored as nothing" not in told
    # The corpus is smaller by them, which is what the policy means.
    assert corrupted.pull(["speech"]).ids == ["c/good"]


def test_corrupt_files_become_marked_silence_and_the_corpus_keeps_its_size(corrupted: Store):
    told = run("extract", "-e", "mfcc", "-s", "unusable=silence")
    view = corrupted.resolve("speech")
    notes = dict(corrupted.table(view).index().select("utterance_id", "note").iter_rows())
    assert notes.pop("c/good") is None
    assert {key[2:] for key in notes} == set(REASONS) - {"absent"}
    assert all(note.startswith("silence: ") for note in notes.values())
    assert "cut.wav: the header announces" in notes["c/cut"]
    # A file that is not there may come: it stays a fault, whatever the policy.
    assert corrupted.faults.entries(view)["utterance_id"].to_list() == ["c/absent"]
    assert "5 stored as nothing: silence" in told
    assert "1 failed with media: MissingMedia" in told
    listed = run("faults", "--nothing")
    assert "5 hold nothing" in listed
    assert all(note in " ".join(listed.split()) for note in notes.values())
    assert {
        row["utterance_id"]: row["note"] for row in json.loads(run("faults", "--nothing", "--json"))
    } == notes
    data = corrupted.pull(["speech"], join="outer")
    assert sorted(data.ids) == sorted(f"c/{name}" for name in [*REASONS, "good"])
    assert dict(zip(data.ids, data.present["speech"].tolist(), strict=True)) == {
        f"c/{name}": name == "good" for name in [*REASONS, "good"]
    }
