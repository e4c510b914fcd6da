"""Stage 1 from stored features against stage 1 with frozen encoders in the loop: time, and whether losses are equal.

Run it as ``python -m tests.benchmarks.bench_end_to_end [--rows 160] [--epochs 5] [--seconds 2.0] [--width 192]
[--layers 4] [--threads 2] [--device cpu] [--folder DIR]``: utterances of about so many seconds and a dozen words, a
randomly drawn WavLM and RoBERTa of that width and depth, three quarters of the rows train. Both stages have the same
rows, epochs, seed and settings (papers/003 3.2); both are told in seconds of `train`, and the extraction of the vectors
that stage 1 from stored features needs, which is done once for all its runs, by itself.
"""

import argparse
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from extractors.audio.waveform import INT16_SCALE
from extractors.encoders.model_folder import ModelFolder
from extractors.encoders.roberta import RobertaEncoder
from extractors.encoders.wavlm import WavLMEncoder
from feature_repo.fill import fill
from feature_repo.outcome import Features, Outcome
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store
from tests.extractors.encoders.tiny_roberta import build_tiny_roberta
from tests.extractors.encoders.tiny_wavlm import draw_weights
from trainers.config import resolve
from trainers.models import model_config
from trainers.runs.run import Run
from trainers.train import train

RATE = 16_000
EMOTIONS = ("neutral", "joy", "anger", "sadness")
WORDS = (
    "the",
    "of",
    "and",
    "a",
    "to",
    "in",
    "is",
    "you",
    "that",
    "it",
    "he",
    "was",
    "for",
    "on",
    "are",
    "as",
    "with",
)
SPLITS = ("train", "train", "train", "dev", "train", "train", "train", "test")


def build_wavlm(folder: Path, width: int, layers: int) -> Path:
    """A WavLM with the base model's seven convolutions, an eighth as wide, over so many layers."""
    from transformers import WavLMConfig, WavLMModel

    config = WavLMConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        intermediate_size=4 * width,
        conv_dim=(64,) * 7,
        num_conv_pos_embeddings=32,
        num_conv_pos_embedding_groups=8,
    )
    model: Any = WavLMModel(config)
    draw_weights(model, 11)
    model.save_pretrained(folder)
    return folder


def build_roberta(folder: Path, width: int, layers: int) -> Path:
    """A RoBERTa of that size with the tests' tokenizer."""
    from transformers import RobertaConfig, RobertaModel

    build_tiny_roberta(folder)  # for its tokenizer
    small = RobertaConfig.from_pretrained(str(folder))
    config = RobertaConfig(
        **{
            **small.to_dict(),
            "hidden_size": width,
            "num_hidden_layers": layers,
            "num_attention_heads": width // 32,
            "intermediate_size": 4 * width,
        }
    )
    model: Any = RobertaModel(config, add_pooling_layer=False)
    draw_weights(model, 13)
    model.save_pretrained(folder)
    return folder


def make_store(folder: Path, rows: int, seconds: float) -> tuple[Store, dict[str, np.ndarray]]:
    """A store of manifest rows, and a sound of each, which a view of int16 holds."""
    store = init_store(str(folder / "store"), cache=str(folder / "cache"))
    random = np.random.default_rng(0)
    names = [f"bench/{number:05d}" for number in range(rows)]
    emotions = [EMOTIONS[number % len(EMOTIONS)] for number in range(rows)]
    table = {
        "utterance_id": names,
        "split": [SPLITS[number // len(EMOTIONS) % len(SPLITS)] for number in range(rows)],
        "text": [" ".join(random.choice(WORDS, 12)) for _ in names],
        "language": ["en"] * rows,
        "emotion": emotions,
        "label_raw": emotions,
    }
    store.write_manifest("bench", pl.DataFrame(table))
    sounds = {}
    for number, name in enumerate(names):
        time_ = np.arange(round(RATE * seconds * random.uniform(0.5, 1.5))) / RATE
        tone = 0.3 * np.sin(2 * np.pi * (150 + 100 * (number % len(EMOTIONS))) * time_)
        sounds[name] = np.rint((tone + 0.05 * random.standard_normal(len(time_))) * INT16_SCALE).astype(
            np.int16
        )
    return store, sounds


def store_vectors(
    store: Store, sounds: Mapping[str, np.ndarray], speech_model: Path, text_model: Path, device: str
) -> tuple[Recipe, Recipe, Recipe]:
    """Fill the views of sounds, of the speech encoder's vectors and of the text encoder's."""
    hearing, reading = WavLMEncoder(speech_model, device), RobertaEncoder(text_model, device)
    texts = dict(store.manifest().select("utterance_id", "text").iter_rows())
    weights = {
        name: ModelFolder.find(str(folder)).digest
        for name, folder in (("s", speech_model), ("t", text_model))
    }
    sound = Recipe("audio", "bench", 1, "text", "steps", 1, dtype="int16")
    speech = Recipe("speech", "bench", 1, "text", "pooled", hearing.width, weights=weights["s"])
    text = Recipe("text", "bench", 1, "text", "pooled", reading.width, weights=weights["t"])

    def compute(missing: Mapping[str, Sequence[str]]) -> Generator[tuple[str, str, Outcome], None, None]:
        for view, names in missing.items():
            for start in range(0, len(names), 32):
                some = names[start : start + 32]
                if view == sound.view:
                    made: Sequence[Any] = [sounds[name][:, None] for name in some]
                elif view == speech.view:
                    heard = [sounds[name].astype(np.float32) / np.float32(INT16_SCALE) for name in some]
                    made = list(hearing.encode(heard).pooled)
                else:
                    made = list(reading.encode([texts[name] for name in some]).pooled)
                for name, value in zip(some, made, strict=True):
                    yield view, name, Features(value)

    fill(store, [sound, speech, text], compute)
    return sound, speech, text


def timed(store: Store, views: Sequence[str], model: str, device: str, **settings: Any) -> tuple[Run, float]:
    """The run of these settings and the seconds that it took from the pull to the end."""
    config = resolve(model_config(model), values=settings)
    began = time.perf_counter()
    done = train(store, views, config=config, protocol="official", device=device)
    return done.runs[0], time.perf_counter() - began


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=160)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory(dir=given.folder) as made:
        folder = Path(made)
        speech_model = build_wavlm(folder / "wavlm", given.width, given.layers)
        text_model = build_roberta(folder / "roberta", given.width, given.layers)
        store, sounds = make_store(folder, given.rows, given.seconds)
        began = time.perf_counter()
        sound, speech, text = store_vectors(store, sounds, speech_model, text_model, given.device)
        extraction = time.perf_counter() - began
        settings = {"max_epochs": given.epochs, "patience": given.epochs, "lr": 1e-3}
        encoders = {"speech_model": str(speech_model), "text_model": str(text_model), "encoders": "frozen"}
        timed(
            store,
            [text.view, speech.view],
            "token-transformer",
            given.device,
            **{**settings, "max_epochs": 1},
        )
        stored, fast = timed(store, [text.view, speech.view], "token-transformer", given.device, **settings)
        looped, slow = timed(store, [sound.view], "end-to-end", given.device, **settings, **encoders)
        epochs = [run.epochs() for run in (stored, looped)]
    print(
        f"{given.rows} utterances, {given.epochs} epochs, width {given.width}, {given.layers} layers, {given.device}"
    )
    print(f"stage 1 from stored features    {fast:8.2f} s   (their extraction, once: {extraction:.2f} s)")
    print(f"stage 1, encoders in the loop   {slow:8.2f} s")
    print(f"ratio                           {fast / slow:8.3f}     at most 0.100 is asked for")
    print(f"ratio with the extraction       {(fast + extraction) / slow:8.3f}")
    for loss in ("train_loss", "validation_loss"):
        one, other = (each[loss].to_numpy() for each in epochs)
        print(f"{loss}: largest relative difference over the epochs {np.abs(one / other - 1).max():.1e}")


if __name__ == "__main__":
    main()
