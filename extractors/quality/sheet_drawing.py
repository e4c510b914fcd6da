"""Sheets of pictures for people to look at: rows of frames with boxes and words, drawn with Pillow."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from feature_repo.plot_style import GREEN, GREY, ORANGE, VERMILION

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

WIDTH = 1500  # pixels of a sheet
GAP = 12
_LINE = 20  # pixels of a line of text
_TITLE = 34
_SMALL, _NORMAL, _LARGE = 12, 14, 20  # font sizes
_LETTER = 7  # pixels of a small letter, on average
_EDGE = 5  # pixels of a picture's border

Mark = Literal["good", "other", "bad", "plain"]
_MARKS = {"good": GREEN, "other": ORANGE, "bad": VERMILION, "plain": GREY}
# Voices and faces are biometric data: a sheet is as sensitive as the clips (DESIGN section 10).
FOOTER = (
    "Faces are biometric data: keep this sheet as you keep the clips, and do not publish it without consent."
)


@dataclass(frozen=True)
class Box:
    """A rectangle in a picture.

    Attributes:
        x, y, width, height: pixels of the picture before it is scaled; x, y is the top left corner.
        label: a few words beside it.
        mark: its colour.
    """

    x: float
    y: float
    width: float
    height: float
    label: str = ""
    mark: Mark = "plain"


@dataclass(frozen=True)
class Shown:
    """One picture of a row.

    Attributes:
        image: uint8 ``[height, width, 3]``.
        caption: words below it.
        boxes: what is marked in it.
        border: the colour of its border; None has none.
    """

    image: npt.NDArray[np.uint8]
    caption: str = ""
    boxes: tuple[Box, ...] = ()
    border: Mark | None = None


@dataclass(frozen=True)
class Panel:
    """Pictures that belong together.

    Attributes:
        title: in bold above them.
        lines: words below the title; a long line is wrapped.
        shown: the pictures, side by side, wrapped at the sheet's width.
        missing: why there are no pictures, drawn in their place.
        wide: whether it never shares its shelf with another.
    """

    title: str
    lines: tuple[str, ...] = ()
    shown: tuple[Shown, ...] = ()
    missing: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Key:
    """What a colour means."""

    mark: Mark
    words: str


def draw_sheet(
    title: str, panels: Sequence[Panel], keys: Sequence[Key] = (), picture_height: int = 200
) -> Image.Image:
    """One sheet with a title, the colours' meaning, the panels and a footer.

    Two panels that follow one another stand side by side where the pictures of both fit into half of the width.

    Args:
        title: above all.
        panels: from the top.
        keys: what the colours mean.
        picture_height: pixels that every picture is scaled to.
    """
    from PIL import Image, ImageDraw  # loads Pillow's codecs

    shelves = _shelves(panels, picture_height)
    heights = [max(_panel_height(*placed, picture_height) for placed in shelf) for shelf in shelves]
    height = _TITLE + 2 * _LINE + sum(heights) + 2 * GAP + _LINE
    sheet = Image.new("RGB", (WIDTH, height), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, GAP), title, "black", _font(_LARGE, bold=True))
    _draw_keys(draw, keys, _TITLE + 6)
    top = _TITLE + 2 * _LINE
    for shelf, used in zip(shelves, heights, strict=True):
        draw.line((GAP, top, WIDTH - GAP, top), fill="#D0D0D0")
        left = 0
        for panel, width in shelf:
            _draw_panel(sheet, draw, panel, (left, top + 6, width), picture_height)
            left += width
        top += used
    draw.text((GAP, height - _LINE - 4), FOOTER, "#555555", _font(_SMALL))
    return sheet


def save_sheet(sheet: Image.Image, path: Path) -> Path:
    """Write the sheet as PNG; the same sheet gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, format="PNG", compress_level=6)
    return path


def crop(image: npt.NDArray[np.uint8], box: Box, margin: float = 0.35) -> npt.NDArray[np.uint8]:
    """The square around a box with a margin, as far as the picture goes.

    Args:
        image: ``[height, width, 3]``.
        box: in the picture's pixels.
        margin: of the box's longer side, on each side.
    """
    side = max(box.width, box.height) * (1 + 2 * margin)
    x, y = box.x + box.width / 2 - side / 2, box.y + box.height / 2 - side / 2
    top, left = max(0, round(y)), max(0, round(x))
    part = image[top : max(top + 1, round(y + side)), left : max(left + 1, round(x + side))]
    return part.copy() if part.size else image  # a view would keep the whole frame


def _shelves(panels: Sequence[Panel], picture_height: int) -> list[list[tuple[Panel, int]]]:
    """The panels with their widths, one or two to a shelf."""
    shelves: list[list[tuple[Panel, int]]] = []
    for panel in panels:
        narrow = not panel.wide and len(_rows(panel, WIDTH // 2, picture_height)) == 1
        width = WIDTH // 2 if narrow else WIDTH
        if shelves and width + sum(taken for _, taken in shelves[-1]) <= WIDTH:
            shelves[-1].append((panel, width))
        else:
            shelves.append([(panel, width)])
    return shelves


def _rows(panel: Panel, room: int, picture_height: int) -> list[list[tuple[Shown, int]]]:
    """The panel's pictures with their scaled widths, line by line."""
    rows: list[list[tuple[Shown, int]]] = [[]]
    used = GAP
    for shown in panel.shown:
        height, width = shown.image.shape[:2]
        scaled = min(max(1, round(width * picture_height / height)), WIDTH - 2 * GAP)
        if rows[-1] and used + scaled + GAP > room:
            rows.append([])
            used = GAP
        rows[-1].append((shown, scaled))
        used += scaled + GAP
    return rows


def _wrapped(panel: Panel, room: int) -> list[str]:
    letters = (room - 2 * GAP) // _LETTER
    return [part for line in panel.lines for part in textwrap.wrap(line, letters) or [""]]


def _caption_lines(panel: Panel) -> int:
    return max((shown.caption.count("\n") + 1 for shown in panel.shown if shown.caption), default=0)


def _panel_height(panel: Panel, room: int, picture_height: int) -> int:
    rows = len(_rows(panel, room, picture_height)) if panel.shown else 0
    pictures = rows * (picture_height + _caption_lines(panel) * (_LINE - 3) + GAP)
    missing = _LINE * (1 + len(_missing(panel, room))) if panel.missing else 0
    return 6 + _LINE + _LINE * len(_wrapped(panel, room)) + missing + pictures + GAP


def _missing(panel: Panel, room: int) -> list[str]:
    return textwrap.wrap(panel.missing, (room - 2 * GAP) // (_LETTER + 1))


def _draw_panel(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    panel: Panel,
    place: tuple[int, int, int],
    picture_height: int,
) -> None:
    left, top, room = place
    draw.text((left + GAP, top), panel.title, "black", _font(_NORMAL, bold=True))
    top += _LINE
    for line in _wrapped(panel, room):
        draw.text((left + GAP, top), line, "#333333", _font(_SMALL))
        top += _LINE
    for line in _missing(panel, room):
        draw.text((left + GAP, top + 6), line, VERMILION, _font(_NORMAL))
        top += _LINE
    for row in _rows(panel, room, picture_height) if panel.shown else []:
        at = left + GAP
        for shown, width in row:
            _draw_picture(sheet, draw, shown, (at, top, width, picture_height))
            at += width + GAP
        top += picture_height + _caption_lines(panel) * (_LINE - 3) + GAP


def _draw_picture(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, shown: Shown, place: tuple[int, int, int, int]
) -> None:
    from PIL import Image  # loads Pillow's codecs

    left, top, width, height = place
    picture = Image.fromarray(np.ascontiguousarray(shown.image))
    sheet.paste(picture.resize((width, height), Image.Resampling.LANCZOS), (left, top))
    corners = [_corners(box, shown, place) for box in shown.boxes]
    for box, (x, y, right, bottom) in zip(shown.boxes, corners, strict=True):
        if right > x and bottom > y:
            draw.rectangle((x, y, right, bottom), outline=_MARKS[box.mark], width=3)
    for box, (x, y, _, _) in zip(shown.boxes, corners, strict=True):  # over all boxes, the last one on top
        if box.label:
            # Above the box where there is room, else inside it: a label beside the picture is somebody else's.
            high = y - 17 if y - 17 >= top else y + 3
            x = min(x, left + width - draw.textlength(box.label, _font(_SMALL)) - 6)
            words = draw.textbbox((x + 3, high), box.label, font=_font(_SMALL))
            draw.rectangle((words[0] - 3, words[1] - 2, words[2] + 3, words[3] + 2), fill=_MARKS[box.mark])
            draw.text((x + 3, high), box.label, "black" if box.mark == "other" else "white", _font(_SMALL))
    if shown.border:
        draw.rectangle(
            (left, top, left + width - 1, top + height - 1), outline=_MARKS[shown.border], width=_EDGE
        )
    if shown.caption:
        draw.multiline_text((left, top + height + 2), shown.caption, "#333333", _font(_SMALL), spacing=2)


def _corners(box: Box, shown: Shown, place: tuple[int, int, int, int]) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the box on the sheet, as far as it lies in the picture."""
    left, top, width, height = place
    high, wide = shown.image.shape[:2]
    return (
        left + max(0.0, box.x) * width / wide,
        top + max(0.0, box.y) * height / high,
        left + min(box.x + box.width, wide - 1) * width / wide,
        top + min(box.y + box.height, high - 1) * height / high,
    )


def _draw_keys(draw: ImageDraw.ImageDraw, keys: Sequence[Key], top: int) -> None:
    left = float(GAP)
    for key in keys:
        draw.rectangle((left, top + 2, left + 14, top + 14), outline=_MARKS[key.mark], width=3)
        draw.text((left + 20, top), key.words, "#333333", _font(_SMALL))
        left += 20 + draw.textlength(key.words, _font(_SMALL)) + 24


def _font(size: int, bold: bool = False) -> Any:
    """DejaVu Sans as matplotlib ships it: every machine has the same, with most alphabets."""
    import matplotlib  # only its folder of fonts
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)
