"""A view is a function of (seed, sample id, view number), and of nothing else."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mtkd_cli import counter_rng
from mtkd_cli.data.dataset import Split
from mtkd_cli.data.views import PLAIN, view, views_of
from mtkd_cli.interfaces import InputSpec, LossOptions, Samples, TaskData
from mtkd_cli.recipe.augment import Augment, RandAugment
from mtkd_cli.store.data_cache import StoreCache
from mtkd_cli.training.loop import Step
from mtkd_cli.training.training_data import TrainingData
from mtkd_data.mask_folder import MaskFolder
from mtkd_tasks.segmentation import Segmentation

quick = settings(deadline=None, max_examples=30)
EVERYTHING = Augment(
    flip=True,
    shift=0.1,
    rotate=15,
    zoom=0.1,
    crop=0.7,
    brightness=0.3,
    contrast=0.4,
    saturation=0.5,
    hue=0.3,
    grayscale=0.2,
    randaugment=RandAugment(operations=5, magnitude=0.9),
    erase=0.4,
)
FLIP, SIDE, ZOOM, ANGLE, CROP_X, SHIFT_X, CROP_Y, SHIFT_Y, CONTRAST, BRIGHTNESS = range(10)

Draw = Callable[..., None]


def images(n: int, channels: int = 1, side: int = 8) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (n, channels, side, side), dtype=np.uint8)


def ids(n: int) -> NDArray[np.uint64]:
    return counter_rng.id_numbers(f"sample-{i}" for i in range(n))


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch) -> Draw:
    """Fix what is drawn: each name to a number from -1 (least) to 1 (most); all else to the middle."""

    def fix(**chosen: float) -> None:
        row = np.full(10, 0.5, dtype=np.float32)
        for name, value in chosen.items():
            row[globals()[name]] = (value + 1) / 2
        monkeypatch.setattr(counter_rng, "uniform", lambda samples, *_: np.tile(row, (len(samples), 1)))

    return fix


@pytest.fixture
def ramp() -> NDArray[np.uint8]:
    """One image whose pixels are ten times their column's number."""
    return np.tile(np.arange(8, dtype=np.uint8) * 10, (8, 1))[None, None]


def columns(made: Tensor) -> Tensor:
    """Return for each column of a view the column of the ramp it shows; all rows must be alike."""
    shown = made[0, 0] * 25.5
    torch.testing.assert_close(shown, shown[:1].expand(8, 8), atol=1e-4, rtol=0)
    return shown[0]


def test_view_0_is_the_plain_image() -> None:
    plain = images(3)
    made = view(plain, ids(3), PLAIN, 7, EVERYTHING)
    assert made.dtype == torch.float32
    assert torch.equal(made, torch.from_numpy(plain).float() / 255)


def test_views_without_augmentation_are_plain() -> None:
    plain = images(3)
    assert torch.equal(view(plain, ids(3), 5, 0, Augment()), torch.from_numpy(plain).float() / 255)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize(("n", "channels", "side"), [(20, 1, 8), (20, 3, 33), (5, 3, 224)])
def test_view_does_not_depend_on_batch(n: int, channels: int, side: int, threads: int) -> None:
    plain, numbers = images(n, channels, side), ids(n)
    whole = view(plain, numbers, 3, 0, EVERYTHING)
    for size in (1, 2, 3, 7):
        starts = range(0, n, size)
        parts = [view(plain[s : s + size], numbers[s : s + size], 3, 0, EVERYTHING) for s in starts]
        assert torch.equal(torch.cat(parts), whole)
    backwards = view(plain[::-1], numbers[::-1], 3, 0, EVERYTHING)
    assert torch.equal(backwards.flip(0), whole)


def test_view_depends_on_number_seed_and_sample() -> None:
    plain = np.repeat(images(1), 2, axis=0)
    first = view(plain, ids(2), 1, 0, EVERYTHING)
    assert not torch.equal(first[0], first[1])
    for number, seed in ((2, 0), (1, 1)):
        other = view(plain, ids(2), number, seed, EVERYTHING)
        assert all(not torch.equal(first[i], other[i]) for i in range(2))


def test_accepts_read_only_images_and_keeps_them() -> None:
    plain = images(2)
    kept = plain.copy()
    plain.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in (0, 1):
            view(plain, ids(2), number, 0, EVERYTHING)
    assert np.array_equal(plain, kept)


def test_flip_is_exact_and_has_probability_half() -> None:
    plain = images(400)
    pixels = torch.from_numpy(plain).float() / 255
    made = view(plain, ids(400), 1, 0, Augment(flip=True))
    mirrored = [torch.equal(made[i], pixels[i].flip(-1)) for i in range(400)]
    straight = [torch.equal(made[i], pixels[i]) for i in range(400)]
    assert all(m != s for m, s in zip(mirrored, straight, strict=True))
    assert 150 < sum(mirrored) < 250


@pytest.mark.parametrize("quarters", [1, -1, 2])
def test_rotation_by_quarters(draw: Draw, quarters: int) -> None:
    draw(ANGLE=quarters / 2)
    plain = images(1)
    made = view(plain, ids(1), 1, 0, Augment(rotate=180))
    expected = torch.from_numpy(np.rot90(plain, quarters, axes=(2, 3)).copy()).float() / 255
    torch.testing.assert_close(made, expected, atol=1e-4, rtol=0)


def test_flip_is_applied_after_rotation(draw: Draw) -> None:
    draw(FLIP=-1.0, ANGLE=0.5)
    plain = images(1)
    made = view(plain, ids(1), 1, 0, Augment(flip=True, rotate=180))
    expected = torch.from_numpy(np.rot90(plain, 1, axes=(2, 3)).copy()).flip(-1).float() / 255
    torch.testing.assert_close(made, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("name", "dim"), [("SHIFT_X", 3), ("SHIFT_Y", 2)])
def test_shift_repeats_border(draw: Draw, name: str, dim: int) -> None:
    draw(**{name: 1.0})
    plain = images(1)
    places = torch.tensor([2, 3, 4, 5, 6, 7, 7, 7])
    expected = (torch.from_numpy(plain).float() / 255).index_select(dim, places)
    made = view(plain, ids(1), 1, 0, Augment(shift=0.25))
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("drawn", "times"), [(1.0, 1.6), (-1.0, 0.4)])
def test_zoom_scales_distances_from_center(
    draw: Draw, ramp: NDArray[np.uint8], drawn: float, times: float
) -> None:
    draw(ZOOM=drawn)
    shown = columns(view(ramp, ids(1), 1, 0, Augment(zoom=0.6)))
    expected = (3.5 + (torch.arange(8) - 3.5) / times).clamp(0, 7)
    torch.testing.assert_close(shown, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("along", ["X", "Y"])
@pytest.mark.parametrize(("corner", "first"), [(-1.0, 0.0), (1.0, 4.0), (0.0, 2.0)])
def test_crop_lies_within_image(
    draw: Draw, ramp: NDArray[np.uint8], along: str, corner: float, first: float
) -> None:
    draw(SIDE=-1.0, **{f"CROP_{along}": corner})
    upright = ramp if along == "X" else ramp.swapaxes(2, 3)
    made = view(upright, ids(1), 1, 0, Augment(crop=0.5))
    shown = columns(made if along == "X" else made.mT)
    expected = (first + (torch.arange(8) + 0.5) / 2 - 0.5).clamp(0, 7)
    torch.testing.assert_close(shown, expected, atol=1e-4, rtol=0)


def test_flip_is_applied_after_shift(draw: Draw, ramp: NDArray[np.uint8]) -> None:
    draw(FLIP=-1.0, SHIFT_X=1.0)
    shown = columns(view(ramp, ids(1), 1, 0, Augment(flip=True, shift=0.25)))
    torch.testing.assert_close(shown, torch.tensor([7.0, 7, 7, 6, 5, 4, 3, 2]), atol=1e-4, rtol=0)


def test_brightness_scales_every_pixel(draw: Draw, ramp: NDArray[np.uint8]) -> None:
    draw(BRIGHTNESS=-1.0)
    made = view(ramp, ids(1), 1, 0, Augment(brightness=0.25))
    torch.testing.assert_close(made, torch.from_numpy(ramp).float() / 255 * 0.75)


def test_contrast_scales_differences_from_mean(draw: Draw, ramp: NDArray[np.uint8]) -> None:
    draw(CONTRAST=-1.0)
    made = view(ramp, ids(1), 1, 0, Augment(contrast=0.5))
    torch.testing.assert_close(made, (torch.from_numpy(ramp).float() * 0.5 + 35 * 0.5) / 255)


@quick
@given(
    st.floats(0, 1), st.floats(0, 1), st.floats(0.1, 1), st.integers(1, 50), st.sampled_from([0, 255, None])
)
def test_pixels_stay_between_0_and_1(
    brightness: float, contrast: float, crop: float, number: int, constant: int | None
) -> None:
    plain = images(4, channels=3)
    if constant is not None:
        plain[:] = constant
    changes = EVERYTHING.model_copy(
        update={"brightness": brightness, "contrast": contrast, "crop": crop, "rotate": 90}
    )
    made = view(plain, ids(4), number, 0, changes)
    assert made.shape == plain.shape
    assert made.min() >= 0
    assert made.max() <= 1


def test_rotation_keeps_shapes_in_images_that_are_not_square(draw: Draw) -> None:
    """A disc in a wide image is still a disc, of the same area, after a rotation."""
    rows, columns_ = np.mgrid[:40, :80]
    disc = (((rows - 19.5) ** 2 + (columns_ - 39.5) ** 2) < 15**2).astype(np.uint8)[None, None] * 255
    draw(ANGLE=1.0)
    made = view(disc, ids(1), 1, 0, Augment(rotate=60))[0, 0]
    assert (made - torch.from_numpy(disc[0, 0] / 255)).abs().mean() < 0.02


def split_of(tmp_path: Path, fit: str, task: str) -> Split:
    """One wide and one tall image; red where the class is 1, green where it is 2."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir(exist_ok=True)
    (tmp_path / "classes.txt").write_text("nothing\nred\ngreen\n")
    for number, (height, width) in enumerate([(60, 96), (90, 50)]):
        mask = np.zeros((height, width), np.uint8)
        mask[height // 8 : height // 2, width // 4 : width // 2] = 1
        mask[height // 2 : 7 * height // 8, width // 2 : 7 * width // 8] = 2
        pixels = np.stack([(mask == 1) * 255, (mask == 2) * 255, mask * 0], axis=2).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"images/{number}.png")
        Image.fromarray(mask).save(tmp_path / f"masks/{number}.png")
    source = MaskFolder(
        str(tmp_path), None, None, None, None, "error", size=[48, 64], channels=3, fit=fit
    ).load(StoreCache())
    return Split(task, source.train, "")


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
@pytest.mark.parametrize(
    "augment", [Augment(resized_crop=0.3), Augment(resized_crop=0.3, flip=True, rotate=20, zoom=0.2)]
)
def test_masks_follow_random_crops_of_the_original_image(tmp_path: Path, fit: str, augment: Augment) -> None:
    """In every view, the pixels of a class have its color, up to the pixels at borders."""
    split = split_of(tmp_path, fit, "train")
    data = TaskData(("nothing", "red", "green"), split.samples.targets, InputSpec((48, 64), channels=3))
    task = Segmentation(data, LossOptions())
    rows = np.arange(2)
    for number in range(1, 12):
        step = Step(0, number - 1, 0.0, rows)
        training = TrainingData(task, split, rows, None, 3, augment, torch.device("cpu"))
        made, labels = training.views(step), training.labels(step).target
        assert made.shape == (2, 3, 48, 64)
        assert labels.shape == (2, 48, 64)
        shown = torch.where(made[:, 0] > 0.5, 1, torch.where(made[:, 1] > 0.5, 2, 0))
        wrong = ((labels >= 0) & (shown != labels)).float().mean()
        assert wrong < 0.06, (number, wrong)


def test_random_crops_are_functions_of_seed_sample_and_number(tmp_path: Path) -> None:
    split = split_of(tmp_path, "pad", "train")
    augment = Augment(resized_crop=0.2)
    whole = views_of(split, np.arange(2), 3, 7, augment)
    assert torch.equal(whole[1:], views_of(split, np.array([1]), 3, 7, augment))
    assert not torch.equal(whole, views_of(split, np.arange(2), 4, 7, augment))
    assert not torch.equal(whole, views_of(split, np.arange(2), 3, 8, augment))
    assert torch.equal(
        views_of(split, slice(None), PLAIN, 7, augment), views_of(split, slice(None), PLAIN, 7, Augment())
    )


def test_random_crops_of_images_without_files() -> None:
    pixels = np.tile(np.arange(32, dtype=np.uint8) * 8, (2, 1, 32, 1))
    split = Split("train", Samples(("a", "b"), pixels, np.zeros(2, np.int64)), "")
    made = views_of(split, np.arange(2), 1, 0, Augment(resized_crop=0.2))
    assert made.shape == (2, 1, 32, 32)
    shown = made.amax(dim=(1, 2, 3)) - made.amin(dim=(1, 2, 3))
    assert (shown <= 248 / 255).all() and (shown < 0.9).any(), "a part of a ramp has a smaller range"


def test_saturation_hue_and_grayscale_need_colors() -> None:
    plain = images(4, channels=1)
    made = view(plain, ids(4), 1, 0, Augment(saturation=1, hue=0.5, grayscale=1))
    torch.testing.assert_close(made, torch.from_numpy(plain).float() / 255)


def test_grayscale_is_a_probability() -> None:
    made = view(images(400, channels=3), ids(400), 1, 0, Augment(grayscale=0.25))
    is_gray = (made == made[:, :1]).flatten(1).all(dim=1)
    assert 0.2 < is_gray.float().mean() < 0.3


def test_erases_one_rectangle_with_the_mean() -> None:
    plain = images(200, side=20)
    pixels = torch.from_numpy(plain).float() / 255
    made = view(plain, ids(200), 1, 0, Augment(erase=0.5))
    changed = made != pixels
    assert 0.2 < changed.float().mean() < 0.3
    means = pixels.mean(dim=(1, 2, 3), keepdim=True).expand_as(made)
    torch.testing.assert_close(made[changed], means[changed])
