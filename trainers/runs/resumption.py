"""Where a run that was killed goes on: its state after an epoch, in one file of the run's folder."""

from __future__ import annotations

import io
import pickle
import time
from dataclasses import dataclass, field
from typing import Any

import torch

from feature_repo.errors import BadInputError
from feature_repo.files import FileLayer
from trainers.runs.run import RUNS

# Saving may take a twentieth of the time: a small run's epoch is shorter than writing a file.
_TIMES_THE_LAST = 20


@dataclass
class Resumption:
    """The saved state of one unfinished run; what torch draws next is part of it.

    Attributes:
        files: the store's file layer.
        key: the run's key, which holds everything else that decides its numbers.
        device: where it trains. A state of another device or torch version is left alone, as the run would not end
            with the same numbers.
    """

    files: FileLayer
    key: str
    device: str
    _next: float = field(default=0.0, init=False)

    @property
    def path(self) -> str:
        """The file, relative to the store's root."""
        return f"{RUNS}/{self.key}/resume.pt"

    def load(self) -> dict[str, Any] | None:
        """The newest saved state, with torch's generators put where they were; None without one that fits.

        Raises:
            BadInputError: the file is damaged.
        """
        if not self.files.exists(self.path):
            return None
        data = io.BytesIO(self.files.read(self.path))
        try:
            stored: dict[str, Any] = torch.load(data, map_location=self.device, weights_only=True)
        except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise BadInputError(
                f"{self.files.url(self.path)} is damaged; remove it, and the run begins anew"
            ) from error
        if stored["made_by"] != self._made_by():
            return None
        torch.set_rng_state(stored["draws"].cpu())
        if stored["cuda_draws"] is not None:
            torch.cuda.set_rng_state(stored["cuda_draws"].cpu())
        state: dict[str, Any] = stored["state"]
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Replace the saved state, unless the last one is so recent that saving would slow the run down."""
        began = time.monotonic()
        if began < self._next:
            return
        buffer = io.BytesIO()
        cuda = torch.cuda.get_rng_state() if self.device == "cuda" else None
        stored = {
            "made_by": self._made_by(),
            "draws": torch.get_rng_state(),
            "cuda_draws": cuda,
            "state": state,
        }
        torch.save(stored, buffer)
        self.files.write(self.path, buffer.getvalue())
        ended = time.monotonic()
        self._next = ended + _TIMES_THE_LAST * (ended - began)

    def remove(self) -> None:
        """Forget the state: the run is finished."""
        self.files.remove(self.path)

    def _made_by(self) -> list[str]:
        return [str(torch.__version__), self.device]
