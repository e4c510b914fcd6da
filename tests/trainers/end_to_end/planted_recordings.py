"""A store of sounds and words that tell an emotion, two corpora of them, and the vectors that tiny encoders give."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from extractors.audio.waveform import INT16_SCALE
from extractors.encoders.model_folder import ModelFolder
from extractors.encoders.roberta import RobertaEncoder
from extractors.encoders.wavlm import WavLMEncoder
from feature_repo.fill import fill
from feature_repo.outcome import Features, Outcome
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store
from tests.extractors.encoders.tiny_roberta import build_tiny_roberta
from tests.extractors.encoders.tiny_wavlm import build_tiny_wavlm

RATE = 16_000
EMOTIONS = ("neutral", "joy", "anger")
SAID = {"neutral": "the table is here", "joy": "oh how wonderful", "anger": "get out of it"}
PITCH = {"neutral": 150.0, "joy": 420.0, "anger": 900.0}
SOUND = Recipe("audio", "planted", 1, "text", "steps", 1, dtype="int16")
_SPLITS = ("train", "train", "train", "dev", "test")
# Of twenty rows of a corpus: which have no sound, only silence, one too short for a frame, no words, or other words.
NO_SOUND, SILENT, SHORT, NO_WORDS, MANDARIN = 3, 9, 14, 7, 12


@dataclass(frozen=True)
class Recordings:
    """The store, its encoders' folders and the recipes of their vectors."""

    store: Store
    speech_model: Path
    text_model: Path
    speech: Recipe
    text: Recipe

    @property
    def settings(self) -> dict[str, str]:
        """Of an end-to-end model with these encoders."""
        return {"speech_model": str(self.speech_model), "text_model": str(self.text_model)}


def recording_rows(rows: int = 50) -> pl.DataFrame:
    """Two corpora of as many rows: ``ravdess`` without dialogues, ``meld`` in dialogues of five turns."""
    frames = []
    for corpus in ("ravdess", "meld"):
        number = range(rows)
        emotions = [EMOTIONS[row % 3] for row in number]
        texts = [f"{SAID[emotion]} {row % 11}" for row, emotion in zip(number, emotions, strict=True)]
        frames.append(
            pl.DataFrame(
                {
                    "utterance_id": [f"{corpus}/u{row:03}" for row in number],
                    "corpus": [corpus] * rows,
                    "split": [_SPLITS[row // 5 % 5] for row in number],
                    "dialogue_id": [f"meld/d{row // 5}" if corpus == "meld" else None for row in number],
                    "turn": [row % 5 for row in number],
                    "speaker_id": [f"{corpus}/s{row // 5}{row % 2}" for row in number],
                    "text": [" " if row % 20 == NO_WORDS else text for row, text in enumerate(texts)],
                    "language": ["zh" if row % 20 == MANDARIN else "en" for row in number],
                    "label_raw": emotions,
                    "emotion": emotions,
                },
                schema_overrides={"turn": pl.Int32, "dialogue_id": pl.String},
            )
        )
    return pl.concat(frames)


def sound_of(row: int, emotion: str, seed: int = 0) -> np.ndarray | None:
    """Half a second of a tone in noise, int16 ``[samples]``, as the view of sounds stores it; None where none is."""
    random = np.random.default_rng([seed, row])
    if row % 20 == NO_SOUND:
        return None
    if row % 20 == SHORT:
        return np.full(40, 5000, np.int16)
    samples = 6000 + 640 * (row % 4)
    if row % 20 == SILENT:
        return np.zeros(samples, np.int16)
    time = np.arange(samples) / RATE
    sound = 0.3 * np.sin(2 * np.pi * PITCH[emotion] * time) + 0.02 * random.standard_normal(samples)
    return np.rint(sound * INT16_SCALE).astype(np.int16)


def planted_recordings(folder: Path, rows: pl.DataFrame | None = None) -> Recordings:
    """The store, with the view of sounds and the vectors of both encoders, as stage 1 reads them."""
    speech_model = build_tiny_wavlm(folder / "models" / "wavlm")
    text_model = build_tiny_roberta(folder / "models" / "roberta")
    store = init_store(str(folder / "store"), cache=str(folder / "cache"))
    rows = recording_rows() if rows is None else rows
    for corpus in rows["corpus"].unique():
        store.write_manifest(corpus, rows.filter(pl.col("corpus") == corpus))
    speech, text = speech_recipe(speech_model), text_recipe(text_model)
    manifest = {row["utterance_id"]: row for row in rows.iter_rows(named=True)}
    hearing, reading = WavLMEncoder(speech_model, "cpu"), RobertaEncoder(text_model, "cpu")

    def sound(name: str) -> np.ndarray | None:
        return sound_of(int(name[-3:]), manifest[name]["emotion"])

    def outcome(view: str, name: str) -> Features:
        heard, said = sound(name), manifest[name]["text"]
        if view == text.view:
            return Features(reading.encode([said]).pooled[0] if said.strip() else None, "empty text")
        if heard is None:
            return Features(None, "no sound")
        if view == SOUND.view:
            return Features(heard[:, None])
        if len(heard) < 400 or not heard.any():
            return Features(None, "silent or short")
        return Features(hearing.encode([heard.astype(np.float32) / INT16_SCALE]).pooled[0])

    def compute(missing: Mapping[str, Sequence[str]]) -> Generator[tuple[str, str, Outcome], None, None]:
        for view, names in missing.items():
            for name in names:
                yield view, name, outcome(view, name)

    fill(store, [SOUND, speech, text], compute)
    store.catalog.set("default", {recipe.slot: recipe.view for recipe in (SOUND, speech, text)})
    return Recordings(store, speech_model, text_model, speech, text)


def speech_recipe(folder: Path) -> Recipe:
    """Of the vectors that a speech encoder gives."""
    weights = ModelFolder.find(str(folder)).digest
    return Recipe("speech", "planted", 1, "text", "pooled", 64, weights=weights)


def text_recipe(folder: Path) -> Recipe:
    """Of the vectors that a text encoder gives; it knows no Mandarin."""
    weights = ModelFolder.find(str(folder)).digest
    return Recipe("text", "planted", 1, "text", "pooled", 32, weights=weights, languages=("en",))
