"""Models of the real shapes with random weights, for tests without a download."""

from pathlib import Path

# YOLOv8's parts in a size that a test can afford: strides 8, 16 and 32, a pose head with five landmarks, one class.
TINY_YOLO = """
nc: 1
kpt_shape: [5, 3]
backbone:
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, C2f, [16, True]]
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [32, 3, 2]]
  - [-1, 1, Conv, [32, 3, 2]]
head:
  - [[3, 4, 5], 1, Pose, [nc, kpt_shape]]
"""


def write_facenet512(path: Path) -> Path:
    """DeepFace's Facenet512 network with random weights, as ``facenet512_weights.pth`` of 94 MB."""
    import os

    import torch

    os.environ.setdefault("DEEPFACE_BACKEND_ENGINE", "pytorch")
    from deepface.models.facial_recognition.pytorch.Facenet import InceptionResNetV1

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = InceptionResNetV1(dimension=512).state_dict()
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    return path


def write_tiny_yolo(path: Path, head: str = TINY_YOLO, task: str = "pose") -> Path:
    """A small YOLOv8-face with random weights, as ``.pt``; call it inside ``ultralytics_ready``."""
    import torch
    from ultralytics.models import YOLO

    path.parent.mkdir(parents=True, exist_ok=True)
    plan = path.with_suffix(".yaml")
    plan.write_text(head)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        YOLO(str(plan), task=task).save(str(path))
    return path
