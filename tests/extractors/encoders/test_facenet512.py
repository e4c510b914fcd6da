"""Facenet512 against DeepFace.represent, on random weights."""

import numpy as np
import pytest

from extractors.encoders.crop import CropStyle, cut
from extractors.encoders.facenet512 import Facenet512Encoder, locate_facenet512, prepare
from feature_repo.errors import BadInputError
from tests.extractors.face.random_models import write_facenet512

pytest.importorskip("deepface")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deepface")
    write_facenet512(folder / ".deepface" / "weights" / "facenet512_weights.pth")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPFACE_HOME", str(folder))
        yield folder


def pictures(count=3, shape=(200, 180)):
    return np.random.default_rng(2).integers(0, 256, (count, *shape, 3), np.uint8)


@pytest.mark.parametrize("normalization", ["base", "Facenet", "Facenet2018"])
def test_vectors_are_those_of_represent(home, normalization):
    from deepface import DeepFace

    images = pictures()
    wanted = DeepFace.represent(
        [np.ascontiguousarray(image[..., ::-1]) for image in images],  # DeepFace reads arrays as BGR
        model_name="Facenet512",
        detector_backend="skip",
        normalization=normalization,
    )
    wanted = np.array([each[0]["embedding"] for each in wanted])
    style = CropStyle(160, align="eyes", fit="pad")
    crops = np.stack([cut(image, (0.0, 0.0, 180.0, 200.0), None, style) for image in images])
    found = Facenet512Encoder(locate_facenet512("facenet512"), "cpu", normalization).encode(crops)
    assert found.shape == (3, 512)
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("normalization", ["base", "Facenet", "Facenet2018"])
def test_pixels_are_scaled_as_deepface_scales_them(normalization):
    preprocessing = pytest.importorskip("deepface.modules.preprocessing")
    crops = pictures(shape=(160, 160))
    for crop, found in zip(crops, prepare(crops, normalization), strict=True):
        resized = preprocessing.resize_image(crop[..., ::-1], (160, 160))
        np.testing.assert_allclose(found, preprocessing.normalize_input(resized, normalization)[0], atol=2e-5)


def test_a_batch_of_many_equals_batches_of_one(home):
    made = Facenet512Encoder(locate_facenet512("facenet512"), "cpu")
    crops = pictures(5, (160, 160))
    together = made.encode(crops)
    alone = np.concatenate([made.encode(crops[place : place + 1]) for place in range(5)])
    assert np.abs(together - alone).max() <= 1e-4 * np.abs(alone).max()


def test_weights_are_where_deepface_keeps_them_or_where_one_says(home, tmp_path, monkeypatch):
    file = home / ".deepface" / "weights" / "facenet512_weights.pth"
    assert locate_facenet512("facenet512") == file
    assert locate_facenet512(str(file)) == file.resolve()
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("asked the network"))
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    with pytest.raises(BadInputError, match=r"not at hand: no .*facenet512_weights\.pth.*--download"):
        locate_facenet512("facenet512")
    with pytest.raises(BadInputError, match="no such file of Facenet512 weights"):
        locate_facenet512(str(tmp_path / "absent.pth"))
    assert not list(tmp_path.iterdir())


def test_a_download_that_fails_is_one_line(tmp_path, monkeypatch):
    from deepface.commons import weight_utils

    def refuse(*_):
        raise ConnectionError("no network")

    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    monkeypatch.setattr(weight_utils, "ensure_source_is_reachable", refuse)
    with pytest.raises(BadInputError, match="could not be downloaded: .*facenet512_weights"):
        locate_facenet512("facenet512", download=True)


def test_a_file_that_would_run_code_is_refused(tmp_path):
    import pickle

    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harmed"), "w"))

    (tmp_path / "weights.pth").write_bytes(pickle.dumps(Harm(), protocol=2))
    with pytest.raises(pickle.UnpicklingError):
        Facenet512Encoder(tmp_path / "weights.pth", "cpu")
    assert not (tmp_path / "harmed").exists()
