"""Where an image lies on the grid, and the way back."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mtkd_cli.interfaces.placement import place, sides
from mtkd_cli.reading.images import PADDING, decode

FITS = ("crop", "stretch", "pad")


def test_letterbox_of_a_wide_image() -> None:
    placement = place((60, 80), (64, 64), "pad")
    assert placement.resized == (48, 64)
    assert placement.offset == (8, 0)
    assert placement.shown == (0, 0, 80, 60)
    corners = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.5, 0.5, 1.0, 1.0]])
    on_grid = placement.boxes_to_grid(corners)
    assert on_grid.tolist() == [[0, 8 / 64, 1, 56 / 64], [0.5, 0.5, 1, 56 / 64]]
    assert torch.equal(placement.boxes_to_frame(on_grid), corners)


def test_center_crop_of_a_wide_image() -> None:
    placement = place((100, 200), (50, 50), "crop")
    assert placement.shown == (50, 0, 150, 100)
    whole = torch.tensor([0.0, 0.0, 1.0, 1.0])
    assert placement.boxes_to_frame(whole).tolist() == [0.25, 0, 0.75, 1]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    frame=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    grid=st.tuples(st.integers(8, 64), st.integers(8, 64)),
    fit=st.sampled_from(FITS),
)
def test_boxes_return_to_where_they_were(frame: tuple[int, int], grid: tuple[int, int], fit: str) -> None:
    placement = place(frame, grid, fit)
    boxes = torch.rand(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    back = placement.boxes_to_frame(placement.boxes_to_grid(boxes))
    torch.testing.assert_close(back, boxes)
    assert placement.fills_grid or fit != "stretch"
    left, top, right, bottom = placement.shown
    assert 0 <= left < right <= frame[1] and 0 <= top < bottom <= frame[0]


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("frame", [(90, 160), (160, 90), (64, 64), (33, 77)])
def test_boxes_enclose_the_pixels_that_the_decoder_puts_there(
    fit: str, frame: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A white rectangle in a black image: its box on the grid is where the decoded image is white."""
    image = np.zeros((*frame, 3), np.uint8)
    top, bottom, left, right = frame[0] // 3, 2 * frame[0] // 3, frame[1] // 3, 2 * frame[1] // 3
    image[top:bottom, left:right] = 255
    file = tmp_path_factory.mktemp("image") / "a.png"
    Image.fromarray(image).save(file)
    grid = (48, 64)
    white = decode(file, grid, 1, fit)[0] > 200
    box = torch.tensor([left / frame[1], top / frame[0], right / frame[1], bottom / frame[0]])
    x1, y1, x2, y2 = (place(frame, grid, fit).boxes_to_grid(box) * torch.tensor([64, 48, 64, 48])).tolist()
    rows, columns = np.flatnonzero(white.any(axis=1)), np.flatnonzero(white.any(axis=0))
    assert rows[0] == pytest.approx(y1, abs=1.01) and rows[-1] + 1 == pytest.approx(y2, abs=1.01)
    assert columns[0] == pytest.approx(x1, abs=1.01) and columns[-1] + 1 == pytest.approx(x2, abs=1.01)


def test_padded_maps_equal_plain_resizing() -> None:
    """Cut the padding off, then resize bilinearly, as written by hand."""
    maps = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    on_frame = place((90, 160), (64, 64), "pad").maps_to_frame(maps)
    by_hand = F.interpolate(maps[:, :, 14:50], size=(90, 160), mode="bilinear", align_corners=False)
    assert torch.equal(on_frame, by_hand)


def test_stretched_maps_equal_plain_resizing() -> None:
    maps = torch.randn(1, 2, 32, 48)
    by_hand = F.interpolate(maps, size=(90, 160), mode="bilinear", align_corners=False)
    assert torch.equal(place((90, 160), (32, 48), "stretch").maps_to_frame(maps), by_hand)


def test_cropped_maps_cover_the_frame() -> None:
    """A ramp over the grid continues at its place; outside the grid it keeps the value of the border."""
    maps = torch.linspace(0.5, 31.5, 32).expand(1, 1, 32, 32)
    on_frame = place((32, 64), (32, 32), "crop").maps_to_frame(maps)
    assert on_frame.shape == (1, 1, 32, 64)
    torch.testing.assert_close(on_frame[0, 0, 5, 16:48], maps[0, 0, 0])
    assert (on_frame[..., :16] == 0.5).all() and (on_frame[..., 48:] == 31.5).all()


def test_padding_is_gray(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("image") / "a.png"
    Image.new("RGB", (40, 20), "white").save(file)
    pixels = decode(file, 40, 3, "pad")
    assert (pixels[:, :10] == PADDING).all() and (pixels[:, 30:] == PADDING).all()
    assert (pixels[:, 10:30] == 255).all()


def test_a_size_is_one_number_or_two() -> None:
    assert sides(7) == (7, 7)
    assert sides([3, 4]) == (3, 4)
