"""What a derivation is: recipes over stored rows, and the outcomes that it computes from them."""

from collections.abc import Generator, Mapping, Sequence
from typing import Protocol

from feature_repo.outcome import Outcome
from feature_repo.recipe import Recipe
from feature_repo.store import Store

Derived = Generator[tuple[str, str, Outcome], None, None]  # view, id of the utterance or speaker, outcome


class Derivation(Protocol):
    """One step of quality control: it reads stored feature tables and fills others.

    An instance is made of the views that it reads, and states its recipes without a model: a model is loaded at the
    first missing row. ``derive`` gives it to ``feature_repo.fill.fill``, so it is resumed, filed and interrupted like
    an extraction.
    """

    @property
    def name(self) -> str:
        """What a person calls the step, such as ``reference`` or ``alignment``."""
        ...

    @property
    def slot(self) -> str:
        """The slot of its first recipe."""
        ...

    def recipes(self) -> Mapping[str, Recipe]:
        """Slot to recipe."""
        ...

    def provenance(self) -> dict[str, str]:
        """Model and library versions, told with each of its views and never compared."""
        ...

    def compute(self, store: Store, missing: Mapping[str, Sequence[str]]) -> Derived:
        """Yield (view, id, outcome) once for each missing pair.

        Args:
            store: where its inputs are.
            missing: view to ids of utterances, or of speakers where the recipe is about a speaker.
        """
        ...
