"""The head against its formula, AdamW's groups, and the learning rate by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch

from extractors.encoders.sentence import SentenceEncoder
from tests.trainers.text_encoder.tiny_encoder import LONGEST, build_tiny_encoder
from trainers.text_encoder.config import TextEncoderConfig
from trainers.text_encoder.model import TextClassifier, learning_rate_share, mean_loss

TEXTS = ["i am so happy today", "not a day", "w1 w2 w3 w4 w5 w6 w7"]


def build(folder: Path, **settings: object) -> tuple[SentenceEncoder, TextClassifier]:
    torch.manual_seed(0)
    encoder = SentenceEncoder(folder, "cpu", max_length=12)
    config = TextEncoderConfig(**settings)  # type: ignore[arg-type]
    return encoder, TextClassifier(encoder, 16, 7, config)


@pytest.mark.parametrize(("scaling", "scale"), [("unit", 4.0), ("none", 1.0)])  # 4: the root of 16
def test_the_head_reads_what_extract_stores(tiny_encoder: Path, scaling: str, scale: float) -> None:
    from sentence_transformers import SentenceTransformer

    encoder, model = build(tiny_encoder, head_width=5, head_scaling=scaling)
    stored = SentenceTransformer(str(tiny_encoder), device="cpu").encode(TEXTS) * scale
    weights = {name: tensor.detach().numpy() for name, tensor in model.head.state_dict().items()}
    hidden = np.maximum(stored @ weights["1.weight"].T + weights["1.bias"], 0)
    wanted = hidden @ weights["4.weight"].T + weights["4.bias"]
    with torch.inference_mode():
        logits = model.eval()(encoder.tokenise(TEXTS))
    assert logits.shape == (3, 7)
    np.testing.assert_allclose(logits.numpy(), wanted, atol=1e-5)


def test_an_encoder_without_unit_length_is_not_scaled(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    folder = build_tiny_encoder(tmp_path / "free", normalise=False)
    encoder, model = build(folder)
    vectors = torch.from_numpy(SentenceTransformer(str(folder), device="cpu").encode(TEXTS))
    with torch.inference_mode():
        wanted = model.eval().head(vectors)
        torch.testing.assert_close(model(encoder.tokenise(TEXTS)), wanted, atol=1e-5, rtol=1e-5)


def test_weight_decay_is_for_matrices_and_the_head_has_its_own_rate(tiny_encoder: Path) -> None:
    _, model = build(tiny_encoder)
    groups = model.parameter_groups(TextEncoderConfig(head_lr=0.5))
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    rates = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in groups
        for parameter in group["params"]
    }
    for name, parameter in model.named_parameters():
        wanted = (0.5 if name.startswith("head") else 2e-5, 0.01 if parameter.ndim > 1 else 0.0)
        assert rates[id(parameter)] == wanted, name
    assert {group["lr"] for group in model.parameter_groups(TextEncoderConfig())} == {2e-5}


def test_the_learning_rate_rises_and_falls_as_drawn() -> None:
    config = TextEncoderConfig(warmup=0.4, decay="linear")
    shares = [learning_rate_share(step, 10, config) for step in range(10)]
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])
    assert {learning_rate_share(step, 10, TextEncoderConfig()) for step in range(10)} == {1.0}


def test_losses_of_parts_add_up_to_the_loss_of_the_whole() -> None:
    logits, targets = torch.randn(7, 4), torch.tensor([0, 3, 1, 1, 2, 0, 3])
    whole = torch.nn.functional.cross_entropy(logits, targets, label_smoothing=0.1)
    parts = [mean_loss(logits[cut], targets[cut], 7, 0.1) for cut in (slice(0, 4), slice(4, 7))]
    torch.testing.assert_close(parts[0] + parts[1], whole)


def test_a_saved_encoder_reads_as_far_as_the_one_that_was_loaded(tiny_encoder: Path, tmp_path: Path) -> None:
    encoder, _ = build(tiny_encoder)
    long = " ".join(["day"] * 60)
    assert encoder.tokenise([long])["input_ids"].shape == (1, 12)
    encoder.save(tmp_path / "saved")
    assert encoder.tokenise([long])["input_ids"].shape == (1, 12)
    again = SentenceEncoder(tmp_path / "saved", "cpu")
    assert again.tokenise([long])["input_ids"].shape == (1, LONGEST)
    first = SentenceEncoder(tiny_encoder, "cpu")
    one, other = (each.encode([*TEXTS, long], tokens=False).pooled for each in (first, again))
    np.testing.assert_array_equal(one, other)
    assert not (tmp_path / "saved" / "README.md").exists()
