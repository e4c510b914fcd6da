"""Facenet512 as an extractor, on random weights: crops of many clips in one pass, and its key."""

import numpy as np
import pytest

from extractors.encoders.crop import CropStyle, cut
from extractors.protocol import Frame, Item
from extractors.registry import create
from feature_repo.errors import BadInputError
from tests.extractors.face.random_models import write_facenet512

pytest.importorskip("deepface")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_facenet512(tmp_path_factory.mktemp("facenet") / "facenet512_weights.pth")


@pytest.fixture(scope="module")
def made(weights):
    extractor = create("facenet512", {"model": str(weights), "detector": "whole", "batch_size": "4"})
    extractor.load("cpu")
    return extractor


def items(made, counts=(3, 0, 1, 5)):
    rng = np.random.default_rng(0)
    return [
        Item(
            f"c/{place}",
            seen=tuple(
                made.look(
                    [
                        Frame(index + 0.5, rng.integers(0, 256, (90, 120, 3), np.uint8))
                        for index in range(count)
                    ]
                )
            ),
        )
        for place, count in enumerate(counts)
    ]


def test_vectors_are_the_networks_normalised(made, weights):
    import torch
    from deepface.models.facial_recognition.pytorch.Facenet import InceptionResNetV1

    image = np.random.default_rng(3).integers(0, 256, (160, 160, 3), np.uint8)
    (outcome,) = made.extract([Item("c/0", seen=tuple(made.look([Frame(0.5, image)])))])
    network = InceptionResNetV1(dimension=512).eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    with torch.no_grad():
        bgr = np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1)[None] / np.float32(255))
        wanted = network(torch.from_numpy(bgr))[0].numpy()
    np.testing.assert_allclose(outcome["faces_steps"].value[0], wanted / np.linalg.norm(wanted), atol=1e-5)


def test_crops_of_many_clips_share_passes(made, monkeypatch):
    passes = []
    real = made.embed
    monkeypatch.setattr(made, "embed", lambda crops: (passes.append(len(crops)), real(crops))[1])
    together = made.extract(items(made))
    assert passes == [4, 4, 1]
    assert [len(each["faces_steps"].columns["time_s"]) for each in together] == [3, 0, 1, 5]
    for item, outcome in zip(items(made), together, strict=True):
        (alone,) = made.extract([item])
        if alone["faces_steps"].value is None:
            assert outcome["faces_steps"].note == "no face in 0 frames"
            continue
        apart = np.abs(alone["faces_steps"].value - outcome["faces_steps"].value).max()
        assert apart <= made.batch_tolerance * np.abs(alone["faces_steps"].value).max()


def test_the_key_is_weights_normalization_and_alignment(weights, tmp_path):
    def key(**settings):
        made = create("facenet512", {"model": str(weights), "detector": "whole", **settings})
        return made.recipes()["faces_steps"].fingerprint

    assert key() == key(batch_size="2", download="yes")
    assert len({key(), key(normalization="Facenet"), key(normalization="Facenet2018"), key(align="box")}) == 4
    recipe = create("facenet512", {"model": str(weights), "detector": "whole"}).recipes()["faces_steps"]
    assert recipe.settings["input"] == {
        "channels": "bgr",
        "normalization": "base",
        "crop": {"size": 160, "align": "eyes", "fit": "pad", "margin": 0.0},
    }


def test_the_crop_is_deepfaces(made):
    image = np.random.default_rng(3).integers(0, 256, (90, 120, 3), np.uint8)
    (seen,) = made.look([Frame(0.5, image)])
    wanted = cut(image, (0.0, 0.0, 120.0, 90.0), None, CropStyle(160, align="eyes", fit="pad"))
    np.testing.assert_array_equal(seen.faces[0].crop, wanted)


def test_what_the_paper_uses_needs_named_weights(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    with pytest.raises(BadInputError, match="Facenet512's weights are not at hand"):
        create("facenet512", {"detector": "whole"}).recipes()
    with pytest.raises(BadInputError, match="face detector's weights are not named"):
        create("facenet512", {"model": str(weights), "detector": "yolov8"}).recipes()
