"""Offset search: the faces of the frames around the sampled ones, where none of those shows the speaker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from extractors.recorded import recorded
from extractors.runner import Runner
from feature_repo.recipe import Recipe

if TYPE_CHECKING:
    from extractors.protocol import Extractor
    from extractors.quality.derivation import Derived
    from feature_repo.store import Store


class OffsetSearch:
    """Runs an extractor of faces on the frames at 0.1 to 0.4 s around the sampled ones (DESIGN 8.4).

    Args:
        extractor: set to ``sampling=offsets``, its models not loaded.
        device: where its models run.
        on_load: told its name when they are loaded.
    """

    name = "offsets"
    slot = "offsets_steps"

    def __init__(
        self, extractor: Extractor, device: str = "auto", on_load: Callable[[str], None] | None = None
    ) -> None:
        self._extractor, self._device, self._on_load = extractor, device, on_load

    @property
    def pointless(self) -> bool:
        """Whether every frame is one face: then the frames around can show nobody else."""
        return getattr(self._extractor.settings, "detector", None) == "whole"

    def recipes(self) -> Mapping[str, Recipe]:
        """Slot to recipe.

        Raises:
            BadInputError: weights that are not at hand.
        """
        return {recipe.slot: recipe for recipe in self._extractor.recipes().values()}

    def provenance(self) -> dict[str, str]:
        """Model, library versions and device."""
        told = Runner([self._extractor], pl.DataFrame(), device=self._device).provenance()
        return told[self.recipes()[self.slot].view]

    def compute(self, store: Store, missing: Mapping[str, Sequence[str]]) -> Derived:
        """Decode and look, as an extraction does."""
        runner = Runner([self._extractor], store.manifest(), device=self._device, on_load=self._on_load)
        yield from runner.compute(missing)


def around(store: Store, view: str, settings: Mapping[str, str] | None = None) -> Extractor:
    """The extractor that filled a view of faces, set to look at the frames around the sampled ones.

    Args and errors are those of :func:`recorded`.
    """
    return recorded(store, view, settings, {"sampling": "offsets"})


def around_recipe(faces: Recipe) -> Recipe:
    """The recipe of what :func:`around` computes, stated without its weights.

    Args:
        faces: recipe of the sampled frames' faces.
    """
    return replace(faces, modality="offsets", settings={**faces.settings, "sampling": "offsets"})
