"""The end-to-end model: encoders whose vectors go into the modality-token Transformer (papers/003 section 3.3)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from trainers.end_to_end.config import EndToEndConfig
from trainers.end_to_end.encoder_pair import SPEECH, TEXT, Encoder, FoundEncoder, encoder_slots, load_encoder
from trainers.end_to_end.examples import RecordingBatch, RecordingExamples
from trainers.fusion.inputs import SlotInput
from trainers.fusion.token_transformer import TokenTransformer

_ENCODERS = "encoders"


class EndToEndModel(TokenTransformer):
    """The modality-token Transformer over vectors that its own encoders make.

    Its fusion is drawn first and has the names that it has by itself, so that the same generator gives the same model
    as in stage 1 from stored features, and such a run's checkpoint fits. Frozen encoders are no part of its state:
    they learn nothing, do not decay, drop nothing out and are not written into checkpoints.

    Args:
        found: the encoders by slot.
        classes: number of classes.
        config: settings.
        device: where the encoders are loaded.

    Attributes:
        rates: learning rate by the name of each encoder that learns.
        encoders: the encoders' modules, where they learn.
    """

    def __init__(
        self, found: Mapping[str, FoundEncoder], classes: int, config: EndToEndConfig, device: str = "cpu"
    ) -> None:
        super().__init__(encoder_slots(found), classes, config)
        self.found = dict(found)
        self.tuned = config.encoders == "tuned"
        self._frontend_frozen_epochs = config.frontend_frozen_epochs
        with _own_draws(device):
            loaded = {slot: load_encoder(one, config, device) for slot, one in found.items()}
        self._read = _Loaded(loaded, shared=not self.tuned)
        self.rates: dict[str, float] = {}
        if self.tuned:
            self.encoders = nn.ModuleDict({slot: encoder.model for slot, encoder in loaded.items()})
            each = {SPEECH: config.speech_lr, TEXT: config.text_lr}
            self.rates = {f"{_ENCODERS}.{slot}": each[slot] for slot in found}
        for encoder in loaded.values():
            encoder.model.requires_grad_(self.tuned)

    def begin_epoch(self, number: int) -> None:
        """Let the speech encoder's convolutions learn, or not yet, in the epoch of this number from 1."""
        if self.tuned and SPEECH in self.found:
            learns = number > self._frontend_frozen_epochs
            front: Any = self._read[SPEECH].model.feature_extractor
            front.requires_grad_(learns)
            front._requires_grad = learns  # else it would carry gradients down to the sound for nothing

    def hidden(self, batch: RecordingBatch) -> Tensor:  # type: ignore[override]  # it reads recordings, not vectors
        """What [CLS] became, ``[rows, width]``, of a batch of recordings."""
        return super().hidden(self.encoded(batch))

    def forward(self, batch: RecordingBatch) -> Tensor:  # type: ignore[override]
        """Logits ``[rows, classes]`` of a batch of recordings."""
        logits: Tensor = self.head(self.dropout(self.hidden(batch)))
        return logits

    def encoded(self, batch: RecordingBatch) -> dict[str, SlotInput]:
        """The batch as the fusion reads it: a vector per slot, zeros where a row has none."""
        items: dict[str, Sequence[Any]] = {SPEECH: batch.sounds, TEXT: batch.texts}
        return {slot: self._slot(slot, items[slot]) for slot in self.found}

    def vectors(self, slot: str, examples: RecordingExamples, rows: npt.NDArray[np.int64]) -> Tensor:
        """All vectors of a slot that these rows have, ``[any, width]``, in evaluation mode."""
        self.eval()
        made = [torch.zeros(0, self.found[slot].width, device=self.head.weight.device)]
        with torch.inference_mode():
            for part in torch.split(torch.from_numpy(rows), examples.rows_at_once):
                (batch,) = examples.arguments(part)
                one = self._slot(slot, batch.sounds if slot == SPEECH else batch.texts)
                made.append(one.values[one.present])
            return torch.cat(made)

    def _slot(self, slot: str, items: Sequence[Any]) -> SlotInput:
        encoder = self._read[slot]
        device = self.head.weight.device
        places = [place for place, item in enumerate(items) if item is not None]
        values = torch.zeros(len(items), encoder.width, device=device)
        where = torch.tensor(places, dtype=torch.int64, device=device)
        if places:
            with self._pass():
                pooled = encoder.pooled([items[place] for place in places])
            values = values.index_copy(0, where, pooled.float())
        present = torch.zeros(len(items), dtype=torch.bool, device=device)
        present[where] = True
        return SlotInput(values, present)

    @contextlib.contextmanager
    def _pass(self) -> Iterator[None]:
        if self.tuned and self.training:
            yield
            return
        # Some versions of the encoders draw for layers to leave out even where they leave out none.
        with _own_draws(str(self.head.weight.device)), contextlib.ExitStack() as stack:
            if not self.tuned:
                stack.enter_context(torch.no_grad())
            yield


class _Loaded(dict[str, Encoder]):
    """Loaded encoders by slot. Frozen ones are shared by a model's copies, such as the average of its weights."""

    def __init__(self, encoders: Mapping[str, Encoder], *, shared: bool) -> None:
        super().__init__(encoders)
        self.shared = shared

    def __deepcopy__(self, memo: dict[int, Any]) -> _Loaded:
        import copy

        if self.shared:
            return self
        return _Loaded({slot: copy.deepcopy(one, memo) for slot, one in self.items()}, shared=False)


@contextlib.contextmanager
def _own_draws(device: str) -> Iterator[None]:
    """Within it whatever is drawn leaves torch's generators as they were."""
    devices = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices):
        yield
