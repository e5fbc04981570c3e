"""Scenes of several scanned digits on a textured background, with masks, boxes or labels; no download."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtkd_cli import counter_rng
from mtkd_cli.interfaces import DataCache, Samples, SourceData

DIGITS = tuple(map(str, range(10)))
MAX_DIGITS = 4
"""Maximum number of digits in a scene; the number to place is at least two."""

MIN_SIDE, MAX_SIDE = 0.3, 0.55
"""Range of the side of a digit, relative to the scene's side."""

INK = 0.4
"""Ink, 0 to 1, from which a pixel belongs to a digit."""

MAX_HIDDEN = 0.1
"""Maximum fraction of a digit's pixels that other digits may cover."""

MAX_TRIES = 20
"""Maximum number of positions to try for each digit."""

TEST_EVERY = 4
"""Every fourth scan is used in test scenes only, so no test scene shows a scan of the training set."""


@dataclass(frozen=True)
class Scene:
    """One scene.

    Attributes:
        pixels: ``[H, W]`` uint8.
        owner: ``[H, W]`` index of the digit that is visible at each pixel, -1 for the background.
        labels: label of each digit.
    """

    pixels: NDArray[np.uint8]
    owner: NDArray[np.int64]
    labels: tuple[int, ...]


class DigitScenes:
    """Two to four digits of different size and brightness, which may overlap; later digits are on top.

    Args:
        task: ``segmentation`` gives masks ``[N, H, W]`` with a background class; ``detection`` gives boxes
            ``[N, 4, 5]`` around the visible pixels; ``multilabel`` gives the presence of each digit
            ``[N, 10]``.
        scenes: number of training scenes.
        test_scenes: number of test scenes.
        size: side of the scenes, in pixels.
        scene_seed: random seed of the scenes.
    """

    def __init__(self, task: str, scenes: int, test_scenes: int, size: int, scene_seed: int) -> None:
        self.target = {"detection": digit_boxes, "multilabel": digit_presence}.get(task, class_mask)
        self.scenes, self.test, self.size, self.seed = scenes, test_scenes, size, scene_seed

    def load(self, cache: DataCache) -> SourceData:
        """Draw the training and test scenes."""
        classes = ("background", *DIGITS) if self.target is class_mask else DIGITS
        return SourceData(classes, self._split("train", self.scenes), test=self._split("test", self.test))

    def _split(self, name: str, count: int) -> Samples:
        scans, labels = _scans(name)
        ids = tuple(f"{name}-{number:05d}" for number in range(count))
        scenes = [draw_scene(scans, labels, self.size, "digit-scenes", self.seed, i) for i in ids]
        return Samples(
            ids,
            np.stack([scene.pixels for scene in scenes])[:, None],
            np.stack([self.target(scene) for scene in scenes]),
        )


def _scans(split: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the scans of a split ``[N, 8, 8]``, with ink from 0 to 1, and their labels ``[N]``."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    chosen = (np.arange(len(digits.target)) % TEST_EVERY == 0) == (split == "test")
    return digits.images[chosen] / 16, digits.target[chosen].astype(np.int64)


def draw_scene(
    scans: NDArray[np.float64], labels: NDArray[np.int64], size: int, *counters: str | int
) -> Scene:
    """Return a random scene that is determined by ``counters``.

    A digit that would cover more than a tenth of another one is moved, and left out after `MAX_TRIES` moves.

    Args:
        scans: ``[N, 8, 8]``, ink from 0 to 1.
        labels: ``[N]``.
        size: side of the scene, in pixels.
        counters: seed and id of the scene, see `counter_rng.generator`.
    """
    random = counter_rng.generator(*counters)
    canvas = _texture(random, size)
    owner = np.full((size, size), -1, dtype=np.int64)
    areas: list[int] = []
    placed: list[int] = []
    for _ in range(int(random.integers(2, MAX_DIGITS + 1))):
        scan = int(random.integers(len(scans)))
        side = round(size * random.uniform(MIN_SIDE, MAX_SIDE))
        ink = _resize(scans[scan], side)
        brightness = random.uniform(0.6, 1.0)
        for _attempt in range(MAX_TRIES):
            top, left = (int(random.integers(0, size - side + 1)) for _ in range(2))
            layer = np.zeros((size, size))
            layer[top : top + side, left : left + side] = ink
            covered = layer >= INK
            new_owner = np.where(covered, len(areas), owner)
            # visible fraction of each digit below
            visible = [np.count_nonzero(new_owner == digit) / area for digit, area in enumerate(areas)]
            if min(visible, default=1.0) >= 1 - MAX_HIDDEN:
                canvas = canvas * (1 - layer) + brightness * layer
                owner = new_owner
                areas.append(int(covered.sum()))
                placed.append(int(labels[scan]))
                break
    return Scene(np.rint(canvas * 255).astype(np.uint8), owner, tuple(placed))


def class_mask(scene: Scene) -> NDArray[np.int16]:
    """Return the class of each pixel ``[H, W]``: 0 for the background, else the digit plus one."""
    # owner -1, the background, selects the last entry
    classes = np.array([*(label + 1 for label in scene.labels), 0], dtype=np.int16)
    return classes[scene.owner]


def digit_boxes(scene: Scene) -> NDArray[np.float32]:
    """Return ``[4, 5]``: x1, y1, x2, y2 relative to the sides, and label; -1 in unused rows."""
    size = len(scene.owner)
    rows = np.zeros((MAX_DIGITS, 5), dtype=np.float32)
    rows[:, 4] = -1
    for number, label in enumerate(scene.labels):
        y, x = np.nonzero(scene.owner == number)
        rows[number, :4] = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1]) / size
        rows[number, 4] = label
    return rows


def digit_presence(scene: Scene) -> NDArray[np.float32]:
    """Return ``[10]``: 1 for each digit in the scene, else 0."""
    present = np.zeros(len(DIGITS), dtype=np.float32)
    present[list(scene.labels)] = 1
    return present


def _texture(random: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Return a background ``[H, W]`` of clouds, a brightness gradient and noise, from 0 to about 0.4."""
    clouds = _resize(random.random((5, 5)), size)
    gradient = np.linspace(-1, 1, size) * random.uniform(-0.1, 0.1)
    noise = random.normal(0, 0.04, (size, size))
    texture: NDArray[np.float64] = (0.05 + 0.25 * clouds + gradient[:, None] + noise).clip(0, 0.5)
    return texture


def _resize(values: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Resize values from 0 to 1 to a square, as bytes, so that every machine gets the same result."""
    image = Image.fromarray(np.rint(values * 255).astype(np.uint8))
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR)) / 255
