"""Stage 1 from stored features and with the encoders in the loop are the same training; stage 2 goes on from either."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load
from transformers import AutoModel

from feature_repo.errors import BadInputError
from feature_repo.fill import fill
from feature_repo.outcome import Features
from feature_repo.recipe import Recipe
from tests.extractors.encoders.tiny_roberta import build_tiny_roberta
from tests.trainers.end_to_end.planted_recordings import Recordings
from tests.trainers.end_to_end.small_runs import end_to_end, settings, stage_1
from trainers.train import train


@pytest.mark.parametrize("join", ["inner", "outer"])
def test_frozen_encoders_in_the_loop_give_the_losses_of_stored_features(
    recordings: Recordings, join: str
) -> None:
    given = {"modality_dropout": 0.2, "dropout": 0.1, "ema": 0.5, "clip_norm": 1.0}
    stored = train(
        recordings.store,
        ["speech", "text"],
        config=settings("token-transformer", **given),
        protocol="official",
        join=join,  # type: ignore[arg-type]
    ).runs[0]
    looped = end_to_end(recordings, encoders="frozen", join=join, **given)
    for column in ("train_loss", "validation_loss"):
        np.testing.assert_allclose(looped.epochs()[column], stored.epochs()[column], rtol=1e-5)
    assert looped.epochs()["uar"].to_list() == stored.epochs()["uar"].to_list()
    assert looped.predictions()["utterance_id"].equals(stored.predictions()["utterance_id"])
    columns = [name for name in stored.predictions().columns if name.startswith("p_")]
    np.testing.assert_allclose(
        looped.predictions().select(columns).to_numpy(),
        stored.predictions().select(columns).to_numpy(),
        rtol=1e-3,
        atol=1e-6,
    )
    assert looped.record["rows"] == stored.record["rows"]
    assert looped.record["parameters"] == stored.record["parameters"]


def test_stage_2_begins_where_stage_1_ended_and_moves_the_encoders(recordings: Recordings) -> None:
    first = stage_1(recordings)
    still = {"lr": 1e-12, "speech_lr": 1e-12, "text_lr": 1e-12, "max_epochs": 1}
    second = end_to_end(recordings, start=[first], **still)
    columns = [name for name in first.predictions().columns if name.startswith("p_")]
    np.testing.assert_allclose(
        second.predictions().select(columns).to_numpy(),
        first.predictions().select(columns).to_numpy(),
        atol=1e-5,
    )
    assert second.record["start"] == first.key
    assert second.record["upstream"] == [first.key]
    moved = end_to_end(recordings, start=[first], lr=1e-3, speech_lr=1e-3, text_lr=1e-3)
    assert moved.key != second.key
    before, after = load(second.checkpoint()), load(moved.checkpoint())
    for part in ("encoders.speech.encoder.layers.2", "encoders.text.encoder.layer.1", "projections", "head"):
        names = [name for name in before if name.startswith(part)]
        assert names
        assert all(
            not torch.allclose(before[name], after[name], atol=1e-5) for name in names if "weight" in name
        )


def test_a_start_of_other_encoders_or_another_pooling_is_refused(
    recordings: Recordings, tmp_path: Path
) -> None:
    first = stage_1(recordings)
    other = build_tiny_roberta(tmp_path / "other")
    model = AutoModel.from_pretrained(other, add_pooling_layer=False)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight.mul_(1.1)
    model.save_pretrained(other)
    with pytest.raises(
        BadInputError, match=r"no stage 1 of this model: the weights behind its slot 'text' are"
    ):
        end_to_end(recordings, start=[first], text_model=str(other))
    frozen = end_to_end(recordings, encoders="frozen")
    with pytest.raises(BadInputError, match=r"behind its slot 'text'"):
        end_to_end(recordings, start=[frozen], text_model=str(other))
    assert end_to_end(recordings, start=[frozen], max_epochs=1).record["start"] == frozen.key


@pytest.mark.parametrize(
    ("settings_of", "told"),
    [
        ({"pooling": "mean"}, r"pooled by 'mean'; allowed: 'cls', or --set text_pooling=mean"),
        ({"layer": 1}, "whose vectors are of layer 1; allowed: of the last"),
    ],
)
def test_a_start_of_other_vectors_of_the_same_encoders_is_refused(
    recordings: Recordings, settings_of: dict[str, object], told: str
) -> None:
    changed = Recipe.from_identity(recordings.text.identity() | {"settings": settings_of})
    fill(
        recordings.store,
        [changed],
        lambda missing: (
            (view, name, Features(np.ones(32, np.float32)))
            for view, names in missing.items()
            for name in names
        ),
    )
    first = train(
        recordings.store,
        ["speech", f"text={changed.view}"],
        config=settings("token-transformer", max_epochs=1),
        protocol="official",
    ).runs[0]
    with pytest.raises(BadInputError, match=told):
        end_to_end(recordings, start=[first], max_epochs=1)


@pytest.mark.parametrize("encoders", ["frozen", "tuned"])
def test_a_start_whose_encoders_were_pooled_otherwise_is_refused(
    recordings: Recordings, encoders: str
) -> None:
    first = end_to_end(recordings, encoders=encoders, text_pooling="mean", max_epochs=1)
    with pytest.raises(BadInputError, match=r"its encoder, pooled by 'mean'; allowed: 'cls', or --set text_"):
        end_to_end(recordings, start=[first], max_epochs=1)
    again = end_to_end(recordings, start=[first], text_pooling="mean", max_epochs=1)
    assert again.record["start"] == first.key
