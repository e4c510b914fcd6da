"""Sheets, looked at pixel by pixel."""

import io
from pathlib import Path

import numpy as np
import pytest

from extractors.quality.sheet_drawing import (
    WIDTH,
    Box,
    Key,
    Panel,
    Shown,
    crop,
    draw_sheet,
    save_sheet,
)
from feature_repo.plot_style import GREEN, ORANGE, VERMILION

BLUE_PICTURE = np.full((100, 160, 3), (0, 0, 255), np.uint8)


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))


def places(sheet, colour) -> np.ndarray:
    """Rows and columns of the pixels of exactly this colour."""
    return np.argwhere((np.asarray(sheet) == colour).all(axis=2))


def panel(*boxes: Box, border=None, **options) -> Panel:
    return Panel(
        "meld/train/dia0_utt0", ("no face",), (Shown(BLUE_PICTURE, "0.5 s", boxes, border),), **options
    )


def test_a_box_lies_where_it_was_found_scaled_with_the_picture() -> None:
    sheet = draw_sheet("t", [panel(Box(40, 20, 60, 50, mark="good"))], picture_height=200)
    picture = places(sheet, (0, 0, 255))
    (top, left), (bottom, right) = picture.min(axis=0), picture.max(axis=0)
    assert (bottom - top + 1, right - left + 1) == (200, 320)  # twice as large
    marked = places(sheet, rgb(GREEN))
    assert marked.min(axis=0) == pytest.approx((top + 40, left + 80), abs=2)
    assert marked.max(axis=0) == pytest.approx((top + 140, left + 200), abs=2)


def test_each_mark_has_its_colour_and_no_box_leaves_the_picture() -> None:
    outside = Box(-50, -50, 400, 300, "0.12", mark="other")
    sheet = draw_sheet("t", [panel(outside)], picture_height=100)
    picture = places(sheet, (0, 0, 255))
    marked = places(sheet, rgb(ORANGE))
    assert (marked.min(axis=0) >= picture.min(axis=0) - 3).all()
    assert (marked.max(axis=0) <= picture.max(axis=0) + 3).all()
    assert not len(places(sheet, rgb(GREEN)))
    assert not len(places(sheet, rgb(VERMILION)))


def test_a_frame_without_a_face_has_a_red_border() -> None:
    sheet = draw_sheet("t", [panel(border="bad")], picture_height=100)
    red = places(sheet, rgb(VERMILION))
    assert len(red) == 2 * 5 * (160 + 100 - 10)  # five pixels wide, all around 160 by 100
    assert not len(places(draw_sheet("t", [panel()], picture_height=100), rgb(VERMILION)))


def test_missing_media_are_told_in_red() -> None:
    gone = Panel("meld/train/dia0_utt0", missing="No pictures: clip.mp4: no such file")
    assert len(places(draw_sheet("t", [gone]), rgb(VERMILION))) > 50


def test_narrow_panels_share_a_shelf_wide_ones_do_not() -> None:
    height = {
        wide: [draw_sheet("t", [panel(wide=wide)] * count).height for count in (1, 2, 3)]
        for wide in (True, False)
    }
    one = height[True][1] - height[True][0]
    assert height[True][2] == height[True][0] + 2 * one
    assert height[False] == [height[True][0], height[True][0], height[True][1]]
    five = Panel(
        "wide", (), (Shown(BLUE_PICTURE),) * 5
    )  # 5 x 320 pixels: two lines of pictures, no neighbour
    assert draw_sheet("t", [five, five]).width == WIDTH
    assert draw_sheet("t", [five, five]).height > draw_sheet("t", [five]).height


def test_keys_are_drawn_in_their_colours() -> None:
    sheet = draw_sheet("t", [], [Key("good", "the speaker"), Key("other", "another")])
    assert len(places(sheet, rgb(GREEN)))
    assert len(places(sheet, rgb(ORANGE)))


def test_the_same_sheet_is_the_same_bytes(tmp_path: Path) -> None:
    first, second = (
        save_sheet(draw_sheet("t", [panel(Box(1, 2, 30, 40, "0.50", "good"))]), tmp_path / name / "sheet.png")
        for name in ("a", "b")
    )
    assert first.read_bytes() == second.read_bytes()
    from PIL import Image

    assert Image.open(io.BytesIO(first.read_bytes())).size[0] == WIDTH


def test_a_crop_is_the_square_around_the_box_as_far_as_the_picture_goes() -> None:
    image = np.arange(100 * 200 * 3, dtype=np.uint32).reshape(100, 200, 3).astype(np.uint8)
    # 20 x 30 around (60, 45): the side is 30 x (1 + 2 x 0.5) = 60.
    part = crop(image, Box(50, 30, 20, 30), margin=0.5)
    assert part.shape == (60, 60, 3)
    np.testing.assert_array_equal(part, image[15:75, 30:90])
    corner = crop(image, Box(190, 90, 20, 20), margin=0.0)
    np.testing.assert_array_equal(corner, image[90:, 190:])
    assert crop(image, Box(400, 400, 10, 10)).size  # a box beside the picture still gives one
