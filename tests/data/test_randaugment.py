"""RandAugment: each view has its own operations, drawn from counters; labels follow the geometry."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from mtkd_cli import counter_rng
from mtkd_cli.data import randaugment, views
from mtkd_cli.recipe.augment import Augment, RandAugment

Only = Callable[[str, int], None]
SETTINGS = RandAugment(operations=2, magnitude=0.5)


def images(n: int, side: int = 12) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 3, side, side), dtype=np.uint8)


def ids(n: int) -> np.ndarray:
    return counter_rng.id_numbers(f"sample-{i}" for i in range(n))


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Only:
    """Fix the operation and its sign."""

    def fix(name: str, sign: int) -> None:
        drawn = np.array([[randaugment.OPERATIONS.index(name)]]), np.array([[sign]], dtype=np.float32)
        monkeypatch.setattr(
            randaugment, "_draw", lambda samples, *_: tuple(np.repeat(d, len(samples), axis=0) for d in drawn)
        )

    return fix


def test_all_operations_are_equally_likely() -> None:
    chosen, signs = randaugment._draw(ids(5000), 1, 0, SETTINGS)
    share = np.bincount(chosen.ravel(), minlength=14) / chosen.size
    assert len(share) == 14
    assert abs(share - 1 / 14).max() < 0.01
    assert abs(signs.mean()) < 0.05


MOVES = {
    "shear_x": lambda a: {"shear": [np.degrees(np.arctan(0.3 * a)), 0.0]},
    "shear_y": lambda a: {"shear": [0.0, np.degrees(np.arctan(0.3 * a))]},
    "translate_x": lambda a: {"translate": [12 * 150 / 331 * a, 0]},
    "translate_y": lambda a: {"translate": [0, 12 * 150 / 331 * a]},
    "rotate": lambda a: {"angle": 30 * a},
}


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("name", MOVES)
def test_moves_are_those_of_torchvision(only: Only, name: str, sign: int) -> None:
    """Up to the direction, which is random, and the border, which is repeated here."""
    only(name, sign)
    plain = images(2)
    augment = Augment(randaugment=RandAugment(operations=1, magnitude=0.4))
    made = views.view(plain, ids(2), 1, 0, augment)
    pixels = torch.from_numpy(plain).float() / 255

    def moved(direction: int) -> Tensor:
        change = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
        change |= MOVES[name](0.4 * direction)
        return F.affine(pixels, **change, interpolation=InterpolationMode.BILINEAR)

    def center(x: Tensor) -> Tensor:
        return x[:, :, 4:-4, 4:-4]

    distances = [(center(made) - center(moved(direction))).abs().max().item() for direction in (-1, 1)]
    if name.startswith("translate"):  # torchvision moves by whole pixels
        assert min(distances) < 0.5
    else:
        assert min(distances) < 1e-3
    assert not torch.equal(made, pixels)


@pytest.mark.parametrize("name", randaugment.COLORS)
def test_colors_change_images_but_not_labels(only: Only, name: str) -> None:
    only(name, 1)
    plain = images(2, side=32) // 2
    augment = Augment(randaugment=RandAugment(operations=1, magnitude=1.0))
    made = views.view(plain, ids(2), 1, 0, augment)
    assert not torch.allclose(made, torch.from_numpy(plain).float() / 255, atol=1e-3)
    places = views.affine(ids(2), 1, 0, augment)
    assert places is not None
    torch.testing.assert_close(places, torch.eye(2, 3).expand(2, 2, 3))


def test_labels_follow_the_geometry() -> None:
    """A mask moved by `affine` is the mask of the moved image."""
    plain = images(8)
    plain[:] = (plain[:, :1] > 127) * 255
    augment = Augment(flip=True, shift=0.1, randaugment=RandAugment(operations=3, magnitude=0.6))
    places = views.affine(ids(8), 1, 0, augment)
    assert places is not None
    only_geometry = torch.from_numpy(plain).float() / 255
    grid = torch.nn.functional.affine_grid(places, list(only_geometry.shape), align_corners=False)
    expected = torch.nn.functional.grid_sample(
        only_geometry, grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    recolored = randaugment.recolor(expected, ids(8), 1, 0, augment.randaugment)  # type: ignore[arg-type]
    torch.testing.assert_close(views.view(plain, ids(8), 1, 0, augment), recolored)


def test_moves_are_applied_in_order() -> None:
    chosen, signs = randaugment._draw(ids(200), 1, 0, SETTINGS)
    both = [randaugment.OPERATIONS[i] for i in (1, 5)]
    row = int(np.flatnonzero((chosen == [1, 5]).all(axis=1))[0])
    first, second = (
        np.vstack([randaugment._move(name, 0.5 * signs[[row], i], 2.0)[0], [0, 0, 1]])
        for i, name in enumerate(both)
    )
    made = randaugment.affine(ids(200), 1, 0, SETTINGS, 2.0)[row]
    np.testing.assert_allclose(made.numpy(), (first @ second)[:2], rtol=1e-5, atol=1e-7)
