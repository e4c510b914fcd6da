"""Which parts learn, how fast and from when on; what is part of the model and what is not."""

import copy

import torch
from safetensors.torch import load
from transformers import AutoModel

from tests.trainers.end_to_end.planted_recordings import Recordings
from tests.trainers.end_to_end.small_runs import end_to_end, settings
from trainers.models import fresh_model


def test_each_part_learns_at_its_rate_and_the_convolutions_wait(recordings: Recordings) -> None:
    given = {"lr": 1e-2, "speech_lr": 1e-4, "text_lr": 1e-3, "max_epochs": 1, "weight_decay": 0.0}
    run = end_to_end(recordings, frontend_frozen_epochs=1, **given)
    steps = -(-run.record["rows"]["train"] // 16)
    waits = load(run.checkpoint())
    learns = load(end_to_end(recordings, frontend_frozen_epochs=0, **given).checkpoint())
    speech = AutoModel.from_pretrained(recordings.speech_model).state_dict()
    text = AutoModel.from_pretrained(recordings.text_model, add_pooling_layer=False).state_dict()

    def moved(state: dict[str, torch.Tensor], part: str, base: dict[str, torch.Tensor]) -> float:
        prefix = f"encoders.{part}."
        found = {
            name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)
        }
        assert found.keys() == base.keys()
        return max(float((found[name] - base[name]).abs().max()) for name in base)

    convolutions = {name: one for name, one in speech.items() if name.startswith("feature_extractor")}
    others = {name: one for name, one in speech.items() if name not in convolutions}

    def only(state: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        keep = {f"encoders.speech.{name}" for name in wanted}
        return {name: one for name, one in state.items() if name in keep}

    assert moved(only(waits, convolutions), "speech", convolutions) == 0.0
    assert moved(only(learns, convolutions), "speech", convolutions) > 1e-5
    # Adam moves a weight by about its rate a step.
    for part, base, rate in (("speech", others, 1e-4), ("text", text, 1e-3)):
        state = only(waits, others) if part == "speech" else waits
        assert 0.5 * steps * rate < moved(state, part, base) < 1.5 * steps * rate


def test_the_front_end_wakes_in_its_epoch(recordings: Recordings) -> None:
    model = fresh_model((), 3, settings("end-to-end", recordings, frontend_frozen_epochs=2))
    front = model.encoders["speech"].feature_extractor  # type: ignore[union-attr]
    rest = model.encoders["speech"].encoder  # type: ignore[union-attr]
    for number, learns in ((1, False), (2, False), (3, True), (2, False)):
        model.begin_epoch(number)  # type: ignore[operator]
        assert {one.requires_grad for one in front.parameters()} == {learns}
        assert all(one.requires_grad for one in rest.parameters())


def test_frozen_encoders_are_no_part_of_the_model(recordings: Recordings) -> None:
    config = settings("end-to-end", recordings, encoders="frozen")
    model = fresh_model((), 3, config)
    assert {name.partition(".")[0] for name in model.state_dict()} == {
        "attention",
        "head",
        "inputs",
        "projections",
    }
    copy_of = copy.deepcopy(model)
    assert copy_of._read["speech"] is model._read["speech"]  # type: ignore[index]
    model.train()
    for encoder in model._read.values():  # type: ignore[operator, union-attr]
        assert not encoder.model.training
        assert not any(one.requires_grad for one in encoder.model.parameters())


def test_averaged_weights_of_tuned_encoders_are_an_encoder_too(recordings: Recordings) -> None:
    plain = end_to_end(recordings, speech_lr=1e-3)
    averaged = end_to_end(recordings, speech_lr=1e-3, ema=0.9)
    one, two = load(plain.checkpoint()), load(averaged.checkpoint())
    assert one.keys() == two.keys()
    name = "encoders.speech.encoder.layers.0.attention.q_proj.weight"
    start = AutoModel.from_pretrained(recordings.speech_model).state_dict()[
        name.removeprefix("encoders.speech.")
    ]
    assert 0 < (two[name] - start).abs().max() < (one[name] - start).abs().max()
