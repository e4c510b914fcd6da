"""Golden fingerprints of what is derived: a change of code that moves one makes every store compute it again."""

import pytest

from extractors.quality.matching import MatchDerivation
from extractors.quality.offset_search import around_recipe
from extractors.quality.references import ReferenceDerivation
from extractors.quality.speaker_faces import SpeakerFaceDerivation
from feature_repo.recipe import Recipe

FACES = Recipe("faces", "example", 1, "media", "steps", 4, columns={"time_s": "step"})
NEAR = around_recipe(FACES)
REFERENCE = ReferenceDerivation(FACES, 0.3).recipes()["reference"]
GOLDEN = [
    (ReferenceDerivation(FACES, 0.3), ["reference_example_f1ab7d03"]),
    (ReferenceDerivation(FACES, 0.3, clips=5), ["reference_example_8c76c855"]),
    (MatchDerivation(FACES, REFERENCE), ["match_example_e14f9d8d"]),
    (MatchDerivation(NEAR, REFERENCE, "offsetmatch"), ["offsetmatch_example_91a269f1"]),
    (SpeakerFaceDerivation(FACES, REFERENCE, NEAR, 0.3), ["face_example_110812e8", "face_example_a43d2b84"]),
    (SpeakerFaceDerivation(FACES, REFERENCE, None, 0.3), ["face_example_c9e38595", "face_example_3352cfa1"]),
]


@pytest.mark.parametrize(("derivation", "views"), GOLDEN)
def test_fingerprints_do_not_move(
    derivation: ReferenceDerivation | MatchDerivation | SpeakerFaceDerivation, views: list[str]
) -> None:
    recipes = derivation.recipes()
    assert [recipe.view for recipe in recipes.values()] == views
    assert list(recipes) == [recipe.slot for recipe in recipes.values()]


def test_a_threshold_is_a_number_however_it_is_written() -> None:
    assert ReferenceDerivation(FACES, 1).recipes() == ReferenceDerivation(FACES, 1.0).recipes()


def test_the_offsets_recipe_differs_in_nothing_but_where_it_looks() -> None:
    assert (NEAR.modality, NEAR.settings) == ("offsets", {"sampling": "offsets"})
    assert NEAR.columns == FACES.columns
    assert NEAR.width == FACES.width
