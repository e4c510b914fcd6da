"""Golden outputs: an extractor whose numbers change must raise its ``code_version``.

``AFFECTSTORE_WRITE_GOLDEN=1 pytest tests/extractors/test_golden.py`` writes them anew, after that was done.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from extractors.protocol import Extractor
from extractors.registry import extractor_names
from tests.extractors.test_registry import at_hand, items_for, numbers

GOLDEN = Path(__file__).with_name("golden.json")
# Library versions and processors round differently; a changed window, pooling or token moves far more.
RELATIVE = 2e-3
# The tiny WavLM and RoBERTa are written by the installed transformers, whose config.json decides their digest; the
# random Facenet512 by the installed torch; the tiny Whisper by the installed CTranslate2.
UNSTABLE_WEIGHTS = {"xvector", "wavlm", "roberta", "facenet512", "fasterwhisper"}


def projections(value: np.ndarray) -> list[float]:
    """Dot products with three random directions: they move with any number and with any change of order."""
    directions = np.random.default_rng(0).standard_normal((3, value.size))
    return [round(float(each), 5) for each in directions @ value.ravel()]


def measured(extractor: Extractor, request: pytest.FixtureRequest) -> dict[str, object]:
    """Code version, fingerprint, and of the first two outcomes the shape, norm and three projections."""
    extractor.load("cpu")
    outcomes = [each for each in extractor.extract(items_for(extractor, request)) if isinstance(each, dict)][
        :2
    ]
    found: dict[str, object] = {}
    for output, recipe in extractor.recipes().items():
        values = [
            numbers(each[output]) if recipe.layout == "record" else np.asarray(each[output].value, np.float64)
            for each in outcomes
        ]
        found[output] = {
            "code_version": recipe.code_version,
            "fingerprint": None if extractor.name in UNSTABLE_WEIGHTS else recipe.fingerprint,
            "shapes": [list(value.shape) for value in values],
            "norms": [round(float(np.linalg.norm(value)), 5) for value in values],
            "projections": [projections(value) for value in values],
        }
    return found


@pytest.mark.parametrize("name", extractor_names())
def test_numbers_change_only_with_the_code_version(name, request):
    extractor = at_hand(name, request)
    found = measured(extractor, request)
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.is_file() else {}
    if os.environ.get("AFFECTSTORE_WRITE_GOLDEN"):
        GOLDEN.write_text(json.dumps(golden | {name: found}, indent=1, sort_keys=True) + "\n")
    assert name in golden or os.environ.get("AFFECTSTORE_WRITE_GOLDEN"), (
        f"no golden output of {name} yet; write it"
    )
    wanted = golden.get(name, found)
    assert set(found) == set(wanted)
    for output in found:
        now, then = found[output], wanted[output]
        assert now["code_version"] == then["code_version"], "write the golden outputs anew"
        told = f"{name}'s {output} changed: raise its code_version, then write the golden outputs anew"
        assert now["fingerprint"] == then["fingerprint"], (
            f"the key of {name}'s {output} moved: stored rows would be lost"
        )
        assert now["shapes"] == then["shapes"], told
        np.testing.assert_allclose(now["norms"], then["norms"], rtol=RELATIVE, err_msg=told)
        atol = RELATIVE * max(then["norms"])
        np.testing.assert_allclose(now["projections"], then["projections"], atol=atol, rtol=0, err_msg=told)
