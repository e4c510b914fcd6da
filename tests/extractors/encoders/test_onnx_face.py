"""ONNX encoders: what a file says of itself, and the vectors of a network that NumPy computes too."""

import shutil

import numpy as np
import pytest

from extractors.encoders.onnx_face import OnnxFaceConfig, OnnxFaceEncoder, Pixels
from extractors.encoders.onnx_file import OnnxFile
from feature_repo.errors import BadInputError
from tests.extractors.face.tiny_onnx import SIDE, WIDTH, expected, write_tiny_onnx

pytest.importorskip("onnxruntime")


def crops(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, SIDE, SIDE, 3), np.uint8)


def encoder(path, pixels=None):
    return OnnxFaceEncoder(path, OnnxFaceConfig.read(path), pixels or Pixels(), "cpu")


@pytest.mark.parametrize("options", [{}, {"batch": 1}, {"batch": 4}, {"last": True}, {"external": "w.bin"}])
def test_vectors_are_numpys(tmp_path, options):
    path = write_tiny_onnx(tmp_path / "tiny.onnx", **options)
    pictures = crops(6)
    found = encoder(path).encode(pictures)
    wanted = expected(((pictures.astype(np.float64) - 127.5) / 128).transpose(0, 3, 1, 2))
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert found.shape == (6, WIDTH)


def test_order_of_colours_mean_and_scale_are_settings(tmp_path):
    path = write_tiny_onnx(tmp_path / "tiny.onnx")
    pictures = crops(2)
    found = encoder(path, Pixels(mean=0.0, scale=255.0, channels="bgr")).encode(pictures)
    wanted = expected((pictures[..., ::-1] / 255).transpose(0, 3, 1, 2))
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("options", [{}, {"batch": 1}, {"batch": 4}])
def test_a_batch_of_many_equals_batches_of_one(tmp_path, options):
    made = encoder(write_tiny_onnx(tmp_path / "tiny.onnx", **options))
    pictures = crops(7)
    together = made.encode(pictures)
    alone = np.concatenate([made.encode(pictures[place : place + 1]) for place in range(7)])
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, (None, 3, SIDE, SIDE)),
        ({"batch": 1}, (1, 3, SIDE, SIDE)),
        ({"last": True}, (None, SIDE, SIDE, 3)),
    ],
)
def test_what_a_file_says_is_what_onnxruntime_says(tmp_path, options, shape):
    import onnxruntime

    path = write_tiny_onnx(tmp_path / "tiny.onnx", **options)
    found = OnnxFile.read(path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert list(found.inputs) == [each.name for each in session.get_inputs()]
    assert list(found.outputs) == [each.name for each in session.get_outputs()]
    assert found.inputs["pixels"] == shape
    assert tuple(side if isinstance(side, int) else None for side in session.get_inputs()[0].shape) == shape
    assert found.external == ()


def test_the_real_model(samples):
    folder = samples / "models" / "mobilefacenet"
    found = OnnxFile.read(folder / "MobileFaceNet.onnx")
    assert list(found.inputs.values()) == [(1, 3, 112, 112)]
    assert list(found.outputs.values()) == [(1, 128)]
    # The file holds its weights itself; MobileFaceNet.onnx.data beside it is not referred to.
    assert found.external == ()
    assert OnnxFaceConfig.read(folder / "MobileFaceNet.onnx") == OnnxFaceConfig(112, 128, 1, False)


def test_files_of_weights_beside_a_model_are_known(tmp_path):
    path = write_tiny_onnx(tmp_path / "tiny.onnx", external="tiny.onnx.data")
    assert OnnxFile.read(path).external == ((tmp_path / "tiny.onnx.data").resolve(),)
    (tmp_path / "alone").mkdir()
    shutil.copy(path, tmp_path / "alone")
    with pytest.raises(BadInputError, match=r"refers to tiny\.onnx\.data, which is not beside it"):
        OnnxFile.read(tmp_path / "alone" / "tiny.onnx")


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 not a model", b"\x00" * 40, b"\x3a\x7f short", b"\xff" * 30]
)
def test_what_is_no_model_is_told(tmp_path, content):
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=r"broken\.onnx is not an ONNX model"):
        OnnxFile.read(path)


def test_half_a_model_is_told(tmp_path):
    path = write_tiny_onnx(tmp_path / "tiny.onnx")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BadInputError, match="is not an ONNX model"):
        OnnxFile.read(path)


def test_a_size_that_contradicts_the_file_is_told(tmp_path):
    path = write_tiny_onnx(tmp_path / "tiny.onnx")
    assert OnnxFaceConfig.read(path, 112, WIDTH).size == 112
    with pytest.raises(BadInputError, match=r"input_size=160: .*tiny\.onnx says 112"):
        OnnxFaceConfig.read(path, 160)
    with pytest.raises(BadInputError, match="width=8: .* says 16"):
        OnnxFaceConfig.read(path, width=8)


def test_a_detector_is_no_encoder(samples):
    with pytest.raises(BadInputError):
        OnnxFaceConfig.read(samples / "models" / "yunet" / "face_detection_yunet_2026may.onnx")
