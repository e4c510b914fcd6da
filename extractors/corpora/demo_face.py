"""Drawn faces for the demonstration corpus: hair, glasses and beard tell who it is, mouth, brows and eyes the mood."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT = 160, 120

Picture = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Colour = tuple[int, int, int]

_SKIN: tuple[Colour, ...] = (
    (236, 188, 160),
    (198, 134, 94),
    (255, 220, 190),
    (141, 85, 54),
    (224, 172, 120),
    (110, 66, 40),
)
# Emotion -> (corners of the mouth up, brows slanted inwards, brows raised, eyes' height), in pixels.
_MOODS = {
    "neutral": (0, 0, 0, 4),
    "joy": (12, 0, 1, 4),
    "surprise": (0, 0, 9, 8),
    "sadness": (-10, -6, 1, 3),
    "anger": (-5, 8, -4, 3),
    "fear": (-3, -7, 7, 8),
    "disgust": (-9, 4, -3, 2),
}
_DARK: Colour = (40, 25, 20)
_Y: npt.NDArray[np.float64]
_X: npt.NDArray[np.float64]
_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)


@dataclass(frozen=True)
class Look:
    """What a person is known by: half axes of the head in pixels, hair, glasses, beard; and the room behind them."""

    skin: int
    wide: int
    high: int
    hair: Literal["long", "bald", "bun", "short", "curls", "hat", "fringe", "bob"]
    colour: Colour
    room: Colour
    glasses: bool = False
    beard: bool = False


LOOKS = {
    "Ada": Look(0, 36, 46, "long", (90, 50, 20), (60, 90, 200)),
    "Bruno": Look(1, 44, 44, "bald", (30, 20, 20), (85, 90, 175), beard=True),
    "Clara": Look(2, 32, 46, "bun", (210, 180, 90), (110, 90, 150)),
    "Dario": Look(3, 38, 48, "short", (20, 15, 15), (135, 90, 125), glasses=True),
    "Elif": Look(4, 34, 42, "curls", (150, 60, 30), (160, 90, 100)),
    "Felix": Look(5, 42, 50, "hat", (40, 60, 120), (185, 90, 75)),
    "Gina": Look(0, 33, 40, "fringe", (120, 120, 125), (70, 130, 90), glasses=True),
    "Hana": Look(3, 40, 42, "bob", (60, 20, 60), (200, 150, 60)),
}


@cache
def draw_face(person: str, emotion: str, opened: float) -> Picture:
    """A face ``[120, 160, 3]`` uint8.

    Args:
        person: of ``LOOKS``: sets everything but the expression.
        emotion: sets mouth, brows and eyes.
        opened: how far the mouth is open, 0 to 1.
    """
    look = LOOKS[person]
    corners, slant, raised, eye = _MOODS[emotion]
    picture = draw_room(person).copy()
    head = _disc(80, 62, look.wide, look.high)
    picture[_hair_behind(look)] = look.colour
    picture[head] = _SKIN[look.skin]
    picture[_hair_before(look, head)] = look.colour
    for side in (-1, 1):
        centre = 80 + 15 * side
        picture[_disc(centre, 52, 6, eye)] = (250, 250, 250)
        picture[_disc(centre, 52, 2.5, 2.5)] = _DARK
        brow = 42 - raised - slant * side * (_X - centre) / 12
        picture[(np.abs(_X - centre) <= 10) & (np.abs(_Y - brow) <= 2)] = _DARK
        if look.glasses:
            picture[_disc(centre, 52, 12.5, 11) & ~_disc(centre, 52, 10.5, 9)] = _DARK
    if look.glasses:
        picture[(np.abs(_X - 80) < 3.5) & (np.abs(_Y - 51) < 1.2)] = _DARK
    across = (_X - 80) / 19
    curve = 86 - corners * (across**2 - 0.5)
    inside = np.abs(across) <= 1
    picture[inside & (np.abs(_Y - curve) <= 2 + 7 * opened * (1 - across**2))] = (150, 30, 40)
    return picture


@cache
def draw_room(person: str) -> Picture:
    """The room behind a person with nobody in it: one colour, ``[120, 160, 3]`` uint8."""
    picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    picture[:] = LOOKS[person].room
    return picture


def _hair_behind(look: Look) -> Mask:
    """What the head covers in part."""
    upper = _disc(80, 58, look.wide + 5, look.high + 6)
    if look.hair == "long":
        return _disc(80, 66, look.wide + 14, look.high + 12) | (
            (np.abs(_X - 80) < look.wide + 14) & (_Y > 66)
        )
    if look.hair == "bob":
        sides = (np.abs(_X - 80) < look.wide + 12) & (_Y > 54) & (_Y < 92)
        return _disc(80, 54, look.wide + 12, look.high + 8) | sides
    if look.hair == "curls":
        turns = np.radians(np.arange(180, 361, 22.5))
        across, up = 80 + (look.wide + 4) * np.cos(turns), 58 + look.high * np.sin(turns)
        curls: Mask = np.any([_disc(*at, 12, 12) for at in zip(across, up, strict=True)], axis=0)
        return curls
    if look.hair == "bun":
        return _disc(80, 12, 15, 12) | (upper & (_Y < 60))
    return upper & (_Y < 52) if look.hair in ("short", "fringe") else np.zeros_like(upper)


def _hair_before(look: Look, head: Mask) -> Mask:
    """What covers the head: hair on the forehead, the hat, the beard."""
    nowhere = np.zeros_like(head)
    lines = {"short": 62 - 0.62 * look.high, "fringe": 36.0, "bun": 62 - 0.72 * look.high}
    above = head & (lines[look.hair] > _Y) if look.hair in lines else nowhere
    if look.hair == "hat":
        brim = (np.abs(_X - 80) < look.wide + 18) & (np.abs(_Y - 30) < 4)
        above = brim | ((np.abs(_X - 80) < look.wide - 6) & (_Y < 30))
    beard = head & (_Y > 74) & ~_disc(80, 86, 20, 11) if look.beard else nowhere
    return above | beard


def _disc(x: float, y: float, wide: float, high: float) -> Mask:
    """The filled ellipse with this centre and these half axes."""
    inside: Mask = ((_X - x) / wide) ** 2 + ((_Y - y) / high) ** 2 <= 1
    return inside
