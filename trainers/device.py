"""The device that a training runs on."""

from feature_repo.errors import BadInputError


def chosen_device(name: str) -> str:
    """``cpu`` or ``cuda``, where ``auto`` is a GPU if torch finds one.

    Raises:
        BadInputError: another name, or a GPU that is not there.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise BadInputError(f"device {name!r}; allowed: auto, cpu, cuda")
    import torch  # after the name was checked: it takes seconds

    if name == "cuda" and not torch.cuda.is_available():
        raise BadInputError("device 'cuda': torch finds no GPU here; allowed: auto, cpu")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"
