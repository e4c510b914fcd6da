"""Family B's experiment files: each builds its model, and says of papers/003 what it says."""

import pytest

from tests.trainers.end_to_end.planted_recordings import Recordings
from trainers.config import resolve
from trainers.end_to_end.config import EndToEndConfig
from trainers.end_to_end.model import EndToEndModel
from trainers.experiments.experiment import Experiment, load_experiment
from trainers.models import fresh_model

FAMILY = {name: load_experiment(f"003-{name}") for name in (f"b{number}" for number in range(10))}
TUNED = {name: made for name, made in FAMILY.items() if name != "b2"}


@pytest.mark.parametrize("name", TUNED)
def test_each_builds_its_model(recordings: Recordings, name: str) -> None:
    config = resolve(EndToEndConfig, values={**TUNED[name].settings, **recordings.settings})
    model = fresh_model((), 7, config)
    assert isinstance(model, EndToEndModel)
    assert set(model.rates) == {"encoders.speech", "encoders.text"}
    assert model.head.weight.shape == (7, 256)  # papers/003 3.2
    assert {slot.name: slot.width for slot in model.inputs.slots} == {"text": 32, "speech": 2 * 32}


@pytest.mark.parametrize(("name", "made"), FAMILY.items())
def test_what_the_paper_says_of_all(name: str, made: Experiment) -> None:
    config = made.config()
    assert (config.optimizer, config.selection, config.label_smoothing) == ("adamw", "uar", 0.1)  # 4.2, 4.3
    assert config.class_balance == "balanced"
    assert made.report == ("audio-text-testa", "audio-text-testb")
    assert made.reference == (f"003/family-b/{name}",)
    # 5.2: MELD counts six times wherever several corpora train.
    assert config.corpus_weights == ({} if name == "b5" else {"meld": 6.0})
    assert made.train_corpora == (("meld",) if name == "b5" else ())
    # Whatever the paper is silent on says so.
    stated = {"encoders", "class_balance", "corpus_weights", "context", "prefix", "max_seconds"}
    assert {*made.settings} - {*made.assumed} <= stated


def test_the_stages_and_what_they_begin_with() -> None:
    starts = {name: made.starts_from for name, made in FAMILY.items()}
    assert starts == {
        **dict.fromkeys(("b0", "b1", "b2"), None),
        **dict.fromkeys(("b3", "b4"), "003-b2"),
        **dict.fromkeys(("b5", "b6", "b7"), "003-b3"),
        **dict.fromkeys(("b8", "b9"), "003-b4"),
    }
    assert FAMILY["b2"].model == "token-transformer"
    assert FAMILY["b2"].slots == ("text", "speech")
    assert not set(FAMILY["b4"].seeds) & set(FAMILY["b3"].seeds)
    read = {
        name: (made.settings.get("context", 0), made.settings.get("max_seconds", 15))
        for name, made in TUNED.items()
    }
    assert {name: read[name] for name in ("b3", "b6", "b7", "b8", "b9")} == {
        "b3": (0, 15),
        "b6": (7, 15),
        "b7": (9, 20),
        "b8": (7, 15),
        "b9": (9, 20),
    }
    # 4.4: lower rates after stage 1.
    rates = [FAMILY[name].config().lr for name in ("b2", "b3", "b6")]
    assert rates == sorted(rates, reverse=True)
    config = FAMILY["b3"].config()
    assert isinstance(config, EndToEndConfig)
    assert max(config.speech_lr, config.text_lr) < config.lr
    assert config.frontend_frozen_epochs == 1
