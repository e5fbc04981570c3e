"""Rectangles of pixels for random erasing and cutmix."""

import numpy as np
import pytest

from mtkd_cli.data import rectangles


def draws(columns: int, n: int = 3000) -> np.ndarray:
    return np.random.default_rng(0).random((n, columns))


def areas(edges: np.ndarray) -> np.ndarray:
    return (edges[:, 2] - edges[:, 0]) * (edges[:, 3] - edges[:, 1])


def test_fill_marks_pixels_inside() -> None:
    (mask,) = rectangles.fill(np.array([[1, 0, 3, 2]]), 3, 4)
    assert mask.astype(int).tolist() == [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("largest", [0.3, 1.0])
@pytest.mark.parametrize(("height", "width"), [(40, 60), (1, 5)])
def test_erased_lies_inside_and_is_at_most_the_largest_share(largest: float, height: int, width: int) -> None:
    edges = rectangles.erased(draws(4), largest, height, width)
    assert (edges >= 0).all()
    assert (edges[:, 2] <= width).all()
    assert (edges[:, 3] <= height).all()
    assert (edges[:, 2:] >= edges[:, :2]).all()
    if height > 1:
        share = areas(edges) / (height * width)
        assert share.max() <= largest * 1.05
        assert abs(share.mean() - largest / 2) < 0.03 * (1 if largest < 1 else 3)


def test_cut_is_that_of_the_paper() -> None:
    """The rectangle of the authors' code, one at a time."""
    height, width = 31, 48
    share, centers = draws(1)[:, 0], draws(2)
    edges = rectangles.cut(centers, share, height, width)
    for row in range(100):
        cut_w, cut_h = int(width * np.sqrt(share[row])), int(height * np.sqrt(share[row]))
        cx, cy = int(centers[row, 0] * width), int(centers[row, 1] * height)
        expected = [
            np.clip(cx - cut_w // 2, 0, width),
            np.clip(cy - cut_h // 2, 0, height),
            np.clip(cx + cut_w // 2, 0, width),
            np.clip(cy + cut_h // 2, 0, height),
        ]
        assert edges[row].tolist() == expected
