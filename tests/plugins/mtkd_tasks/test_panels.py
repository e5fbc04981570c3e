"""Pictures of maps and boxes: large panels in blocks, whole names, and a legend."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFont

from mtkd_tasks.panels import COLUMNS, FONT, GAP, MAX_LINES, PANEL, enlarged, panels, wrap

COLORS = {f"class {number}": (number, 100, 200) for number in range(30)}


def test_a_block_has_all_panels_at_most_four_side_by_side() -> None:
    tiles = [Image.new("RGB", (PANEL, 120), (number, 0, 0)) for number in range(1, 12)]
    names = [f"teacher {number}" for number in range(11)]
    picture = np.asarray(panels(names, [tiles, tiles], {}))
    assert picture.shape[1] == COLUMNS * (PANEL + GAP) + GAP
    for number in range(1, 12):
        assert (picture == (number, 0, 0)).all(axis=2).sum() == 2 * PANEL * 120
    assert panels(["a"], [[tiles[0]]], {}).width == PANEL + 2 * GAP


def test_the_legend_has_every_class_in_as_many_lines_as_it_needs() -> None:
    tile = Image.new("RGB", (PANEL, PANEL))
    pixels = np.asarray(panels(["a", "b"], [[tile, tile]], COLORS))
    found = {tuple(color) for color in pixels.reshape(-1, 3).tolist()}
    assert set(COLORS.values()) <= found


def test_names_are_whole_if_two_lines_suffice() -> None:
    font = ImageFont.load_default(FONT)
    name = "teacher a-name-of-a-teacher that-needs-two-lines"
    lines = wrap(name, PANEL, font)
    assert len(lines) == 2
    assert " ".join(lines) == name
    cut = wrap("w" * 400, PANEL, font)
    assert len(cut) == MAX_LINES
    assert cut[-1].endswith("...")
    assert all(font.getlength(line) <= PANEL for line in (*lines, *cut))
    assert wrap("", PANEL, font) == [""]


def test_enlarged_pixels_stay_sharp_and_images_keep_their_shape() -> None:
    small = Image.fromarray(np.array([[0, 255], [255, 0]], dtype=np.uint8))
    assert set(np.unique(np.asarray(enlarged(small)))) == {0, 255}
    assert enlarged(Image.new("L", (640, 320))).size == (PANEL, round(PANEL / 2))
    assert enlarged(Image.new("L", (4000, 1))).size == (PANEL, 1)
