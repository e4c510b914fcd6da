"""What the end-to-end model reads of a training set: sounds from a stored view, texts from the manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.errors import BadInputError
from feature_repo.recipe import digest
from feature_repo.steps import Steps
from trainers.end_to_end.encoder_pair import SPEECH, TEXT, FoundEncoder

if TYPE_CHECKING:
    from feature_repo.store import Store
    from feature_repo.training_set import TrainingSet
    from trainers.end_to_end.config import EndToEndConfig

_SILENT_PEAK = 3  # of 32,767: below -80 dBFS, where extractors of speech refuse a sound
SAMPLE_RATE = 16_000  # of the view `waveform`


@dataclass(frozen=True)
class Recordings:
    """Sounds and texts of the rows of a training set.

    Attributes:
        encoders: the encoders that read them, by slot.
        sounds: int16 ``[samples, 1]`` each, at 16 kHz.
        lengths: int64 ``[rows]``, samples that are read of each, from the start.
        heard: bool ``[rows]``: whether there is a sound, long enough for the encoder and not silent, as the extractors
            ask for whose vectors stand in for the encoder in stage 1.
        texts: what is read, with its context; None where there is nothing, or nothing in a language to be read.
        like_lengths: whether batches are to be of sounds of like length.
    """

    encoders: Mapping[str, FoundEncoder]
    sounds: Steps
    lengths: npt.NDArray[np.int64]
    heard: npt.NDArray[np.bool_]
    texts: tuple[str | None, ...]
    like_lengths: bool = False

    @property
    def present(self) -> dict[str, npt.NDArray[np.bool_]]:
        """Which rows have what an encoder reads, bool ``[rows]`` by slot."""
        each = {TEXT: np.array([text is not None for text in self.texts], bool), SPEECH: self.heard}
        return {slot: each[slot] for slot in self.encoders}

    def snapshot(self, rows: TrainingSet) -> str:
        """Digest of what a run's numbers depend on: the training set's, and the texts that are read."""
        state = hashlib.sha256()
        for text in self.texts:
            data = b"" if text is None else text.encode("utf-8", "surrogatepass")
            state.update(b"%d:" % (-1 if text is None else len(data)))
            state.update(data)
        return digest({"rows": rows.snapshot(), "texts": state.hexdigest()})


def read_recordings(
    store: Store, rows: TrainingSet, encoders: Mapping[str, FoundEncoder], config: EndToEndConfig
) -> Recordings:
    """The recordings of a training set.

    Args:
        store: the store, whose whole manifest the turns before an utterance are read from.
        rows: pulled with the view of the sounds alone.
        encoders: by slot.
        config: what is read of them.

    Raises:
        BadInputError: another view than one of 16-bit sound, or a dialogue of whose turns nobody knows the order.
    """
    sounds = _sounds(store, rows)
    lengths = sounds.lengths.astype(np.int64)
    if config.max_seconds:
        lengths = np.minimum(lengths, round(config.max_seconds * SAMPLE_RATE))
    heard = np.zeros(len(rows), bool)
    if SPEECH in encoders:
        (present,) = rows.present.values()
        heard = present & (lengths >= max(encoders[SPEECH].minimum_samples, 1))
        for row in np.flatnonzero(heard).tolist():
            heard[row] = not _silent(sounds.row(row)[: lengths[row], 0])
    texts: list[str | None] = [None] * len(rows)
    if TEXT in encoders:
        texts = _texts(store, rows, config)
    return Recordings(encoders, sounds, lengths, heard, tuple(texts), config.like_lengths)


def _silent(sound: npt.NDArray[np.int16]) -> bool:
    middle = len(sound) // 2
    # A page of the file is nearly always enough; the whole of a corpus is gigabytes.
    return all(
        max(int(part.max()), -int(part.min())) <= _SILENT_PEAK
        for part in (sound[middle : middle + 2048], sound)
    )


def _sounds(store: Store, rows: TrainingSet) -> Steps:
    names = ", ".join(rows.views.values())
    if len(rows.views) == 1:
        ((slot, view),) = rows.views.items()
        recipe, value = store.recipe(view), rows.features[slot]
        holds_sound = (recipe.modality, recipe.width, recipe.dtype) == ("audio", 1, "int16")
        if isinstance(value, Steps) and holds_sound:
            return value
    raise BadInputError(
        f"the end-to-end model reads sounds from one view and texts from the manifest, not {names}; allowed: the slot"
        " audio_steps, which `affectstore extract -e waveform` fills"
    )


def _texts(store: Store, rows: TrainingSet, config: EndToEndConfig) -> list[str | None]:
    # All of it: a turn before may be of no label, or without a sound.
    manifest = store.manifest().filter(pl.col("corpus").is_in(rows.manifest["corpus"].unique().implode()))
    said = pl.col("text").str.strip_chars() != ""
    known = pl.col("language").is_null() | pl.col("language").is_in(list(config.languages))
    read = manifest.select(
        "utterance_id",
        read=pl.when(said & (known if config.languages else pl.lit(True))).then(
            config.reading.texts(manifest)
        ),
    )
    ids = rows.manifest.select("utterance_id")
    return ids.join(read, on="utterance_id", how="left", maintain_order="left")["read"].to_list()
