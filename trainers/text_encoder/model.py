"""The sentence encoder with its classification head: two linear layers on the pooled vector (papers/000 III-B1c)."""

from typing import Any

from torch import Tensor, nn

from extractors.encoders.sentence import SentenceEncoder
from trainers.text_encoder.config import TextEncoderConfig


class TextClassifier(nn.Module):
    """An encoder and a head that tells the emotion from the vector that ``extract`` would store.

    Args:
        encoder: loaded; its parameters are trained in place.
        width: of its pooled vectors.
        classes: number of classes.
        config: the head's settings.

    Attributes:
        encoder: the encoder's module.
        head: two linear layers.
    """

    def __init__(self, encoder: SentenceEncoder, width: int, classes: int, config: TextEncoderConfig) -> None:
        super().__init__()
        self.encoder: nn.Module = encoder.model
        hidden = config.head_width or width
        self.head = nn.Sequential(
            nn.Dropout(config.head_dropout),
            nn.Linear(width, hidden),
            # Without something between them, two linear layers are one.
            nn.ReLU(),
            nn.Dropout(config.head_dropout),
            nn.Linear(hidden, classes),
        )
        ends_in_unit_length = type(encoder.model[-1]).__name__ == "Normalize"
        self._scale = width**0.5 if ends_in_unit_length and config.head_scaling == "unit" else 1.0

    def forward(self, features: dict[str, Any]) -> Tensor:
        """Logits ``[texts, classes]`` of tokenised texts, as :meth:`SentenceEncoder.tokenise` gives them."""
        pooled: Tensor = self.encoder(features)["sentence_embedding"]
        logits: Tensor = self.head(pooled * self._scale)
        return logits

    def parameter_groups(self, config: TextEncoderConfig) -> list[dict[str, Any]]:
        """AdamW's groups: the head at its own rate, and weight decay on matrices only."""
        groups = []
        for module, lr in ((self.encoder, config.lr), (self.head, config.head_lr or config.lr)):
            learned = [parameter for parameter in module.parameters() if parameter.requires_grad]
            matrices = [parameter for parameter in learned if parameter.ndim > 1]
            others = [parameter for parameter in learned if parameter.ndim <= 1]
            for chosen, decay in ((matrices, config.weight_decay), (others, 0.0)):
                if chosen:  # an encoder without biases has none of the others
                    groups.append({"params": chosen, "lr": lr, "weight_decay": decay})
        return groups

    def snapshot(self) -> dict[str, Tensor]:
        """A copy of all parameters and buffers on the CPU."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self.state_dict().items()}


def learning_rate_share(step: int, steps: int, config: TextEncoderConfig) -> float:
    """What the learning rate is multiplied by at a step, from 0: the warm-up's rise, then the decay's fall."""
    warmup = round(config.warmup * steps)
    if step < warmup:
        return (step + 1) / warmup
    if config.decay == "linear":
        return (steps - step) / max(1, steps - warmup)
    return 1.0


def mean_loss(logits: Tensor, targets: Tensor, rows: int, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy over a batch as its share of a step of so many rows."""
    total = nn.functional.cross_entropy(logits.float(), targets, label_smoothing=smoothing, reduction="sum")
    return total / rows
