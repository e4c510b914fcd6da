"""Weights by quality, against products by hand."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from feature_repo.errors import BadInputError
from feature_repo.measures import read_measures
from feature_repo.named_verdicts import NamedVerdict, name_verdict
from feature_repo.quality_config import load_quality_config
from feature_repo.quality_weights import FLOOR, quality_weights, weighed
from feature_repo.verdict import judge
from tests.feature_repo.planted_measures import PlantedStore, good

LIMITS = {"cosine": 0.25, "levenshtein": 0.3, "similarity": 0.3}
CHECKS = {"c": ["alignment", "face"], "d": ["face"]}


def _weight(
    corpus: str = "c",
    reason: str | None = None,
    cosine: float | None = 0.9,
    levenshtein: float | None = 0.9,
    similarity: float | None = 0.9,
) -> float:
    frame = pl.DataFrame(
        {
            "utterance_id": ["u"],
            "corpus": [corpus],
            "reason": [reason],
            "cosine": [cosine],
            "levenshtein": [levenshtein],
            "similarity": [similarity],
        },
        schema_overrides={"reason": pl.String}
        | dict.fromkeys(("cosine", "levenshtein", "similarity"), pl.Float32),
    )
    (weight,) = weighed(frame, CHECKS, LIMITS)["weight"]
    return float(weight)


@pytest.mark.parametrize(
    ("row", "weight"),
    [
        ({}, 1.0),
        ({"cosine": 0.25, "levenshtein": 0.3, "similarity": 0.3}, 1.0),  # at the thresholds, in float32
        ({"cosine": 0.125, "reason": "cosine"}, 0.5),
        ({"cosine": 0.125, "similarity": 0.06, "reason": "cosine"}, 0.5 * 0.2),
        ({"cosine": -0.4, "reason": "cosine"}, FLOOR),
        ({"cosine": 0.001, "levenshtein": 0.001, "reason": "cosine"}, FLOOR * FLOOR),
        ({"reason": "offscreen"}, FLOOR),
        ({"reason": "offscreen", "similarity": 0.15}, FLOOR * 0.5),
        ({"reason": "no_face", "similarity": None}, FLOOR),
        ({"reason": "cosine", "cosine": None, "levenshtein": None}, FLOOR),  # no transcript to compare with
        ({"reason": "unmeasured", "similarity": None}, 1.0),
        ({"corpus": "d", "cosine": 0.01}, 1.0),  # alignment is no check of it
        ({"corpus": "d", "cosine": 0.01, "similarity": 0.15, "reason": "no_match"}, 0.5),
        ({"corpus": "e", "similarity": 0.01}, 1.0),  # nothing is
    ],
)
def test_the_weight_is_the_product_of_what_it_falls_short_by(row: dict[str, Any], weight: float) -> None:
    assert _weight(**row) == pytest.approx(weight, rel=1e-6)


@pytest.mark.parametrize(("cosine", "weight"), [(-0.2, FLOOR), (-0.1, 1.0), (0.5, 1.0), (None, 1.0)])
def test_a_threshold_below_zero_has_no_degrees(cosine: float | None, weight: float) -> None:
    frame = pl.DataFrame(
        {"utterance_id": ["u"], "corpus": ["c"], "reason": [None], "cosine": [cosine]},
        schema_overrides={"reason": pl.String, "cosine": pl.Float32},
    )
    assert weighed(frame, CHECKS, {"cosine": -0.1})["weight"][0] == pytest.approx(weight)


def test_a_verdicts_stored_measures_weigh(tmp_path: Path) -> None:
    near = {"frames": 8, "faces": 1, "reference": 1, "similarity": 0.21, "similarities": [0.21]}
    planted = PlantedStore(
        tmp_path,
        {
            "c/good": good(),
            "c/half": good(alignment={"cosine": 0.125, "levenshtein": 0.8}),
            "c/around": good(match={"similarity": 0.1}, offsetmatch=near),
            "c/silent": good(level={"peak_db": -100.0}),
            "c/new": good(match="missing"),
        },
    )
    config = load_quality_config(None, None, ["face.MobileFaceNet.similarity=0.3"])
    config = config.with_checks(["audio", "alignment", "face"])
    measures = read_measures(planted.store)
    verdict = name_verdict(planted.store, "v", measures, judge(measures, config), config)
    planted.store.verdicts.save(verdict)
    weights = quality_weights(planted.store, "v")
    ids = ["c/silent", "c/good", "elsewhere", "c/half", "c/around", "c/new"]
    assert weights.of(ids).tolist() == pytest.approx([FLOOR, 1, 1, 0.5, 0.7, 1])
    assert weights.identity(ids) == weights.identity(ids)
    assert weights.identity(ids)["name"] == "v"
    assert weights.identity(ids) != weights.identity(list(reversed(ids)))


def test_a_list_from_elsewhere_has_nothing_to_weigh_by(tmp_path: Path) -> None:
    planted = PlantedStore(tmp_path, {"c/good": good()})
    rows = pl.DataFrame(
        {"utterance_id": ["c/good"], "passed": [True], "reason": [None]},
        schema_overrides={"reason": pl.String},
    )
    planted.store.verdicts.save(NamedVerdict("v", rows, origin="imported from list.txt"))
    with pytest.raises(BadInputError, match="'v' is imported from list.txt and has no measures"):
        quality_weights(planted.store, "v")
