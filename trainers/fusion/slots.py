"""What a fusion model reads: named slots with their widths, and how each meets the steps."""

from collections.abc import Sequence
from dataclasses import dataclass

from feature_repo.errors import BadInputError


@dataclass(frozen=True)
class Slot:
    """One named input of a model.

    Attributes:
        name: slot or alias, such as ``text`` or ``face``.
        width: numbers per vector.
        every_step: whether its vector is repeated on every step, as the speaker's is (papers/000 III-B3d). Any other
            slot is a sequence, and a pooled vector of it a sequence of one step.

    Raises:
        BadInputError: an empty name or a width below 1.
    """

    name: str
    width: int
    every_step: bool = False

    def __post_init__(self) -> None:
        if not self.name or self.width < 1:
            raise BadInputError(
                f"slot {self.name!r} of width {self.width}; allowed: a name and a width of 1 or more"
            )


def checked_slots(slots: Sequence[Slot]) -> tuple[Slot, ...]:
    """The slots as a tuple.

    Raises:
        BadInputError: no slot, or two of one name.
    """
    names = [slot.name for slot in slots]
    if not names or len(set(names)) != len(names):
        raise BadInputError(f"slots {', '.join(names) or 'none'}; allowed: one or more, each name once")
    return tuple(slots)
