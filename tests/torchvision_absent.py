"""ultralytics where torchvision is not installed: it goes with CUDA builds of torch, and breaks CPU installations.

ultralytics reads torchvision's version when it is imported, and imports the module when it predicts, to use its
``ops.nms``; its own non-maximum suppression gives the same. Both patches last only as long as their block, so that
transformers, torchmetrics and Lightning never see a torchvision. Where there is a real one nothing is patched.
"""

import importlib.machinery
import importlib.metadata
import importlib.util
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager

from extractors.detectors.yolov8 import keep_to_this_machine

VERSION = "0.28.0"


@contextmanager
def ultralytics_ready() -> Iterator[None]:
    """Inside, ultralytics can be imported and can predict."""
    keep_to_this_machine()  # ultralytics looks for the network when it is imported
    if importlib.util.find_spec("torchvision") is not None:
        yield
        return
    with _metadata():
        import ultralytics  # noqa: F401  (it reads the version once)
    with _nms():
        yield


@contextmanager
def _metadata() -> Iterator[None]:
    real = importlib.metadata.version

    def version(name: str) -> str:
        return VERSION if name == "torchvision" else real(name)

    importlib.metadata.version = version
    try:
        yield
    finally:
        importlib.metadata.version = real


@contextmanager
def _nms() -> Iterator[None]:
    from ultralytics.utils.nms import TorchNMS

    module, operations = types.ModuleType("torchvision"), types.ModuleType("torchvision.ops")
    module.__spec__ = importlib.machinery.ModuleSpec("torchvision", None)
    module.__version__ = VERSION  # type: ignore[attr-defined]
    operations.nms = TorchNMS.nms  # type: ignore[attr-defined]
    module.ops = operations  # type: ignore[attr-defined]
    sys.modules["torchvision"] = module
    try:
        yield
    finally:
        del sys.modules["torchvision"]
