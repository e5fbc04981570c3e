"""Scenes of scanned digits: several on one textured canvas, with masks or boxes. Nothing is downloaded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtkd_cli import counter_rng
from mtkd_cli.interfaces import DataCache, Samples, SourceData

DIGITS = tuple(map(str, range(10)))
MOST = 4
"""Digits in a scene at most; at least two are tried."""

SMALLEST, LARGEST = 0.3, 0.55
"""Sides of a digit, as shares of the scene's."""

INK = 0.4
"""Share of full ink from which a pixel belongs to a digit."""

MOST_HIDDEN = 0.1
"""Share of a digit's ink that others may cover."""

TRIES = 20
EVERY = 4
"""Every fourth scan is in test scenes only, so no test scene has a digit that was trained on."""


@dataclass(frozen=True)
class Scene:
    """One scene: ``[H, W]`` uint8 pixels, ``[H, W]`` number of the digit on top (-1: none), their labels."""

    pixels: NDArray[np.uint8]
    owner: NDArray[np.int64]
    labels: tuple[int, ...]


class DigitScenes:
    """Two to four digits of different sizes and brightness, which may overlap; the later lies on top.

    Args:
        task: ``segmentation`` gives masks ``[N, H, W]``, the background a class of its own;
            ``detection`` boxes ``[N, 4, 5]`` around the ink that is seen; ``multilabel`` which digits
            are there, ``[N, 10]``.
        scenes: number of training scenes.
        test_scenes: number of test scenes.
        size: side, in pixels.
        scene_seed: seed of the scenes.
    """

    def __init__(self, task: str, scenes: int, test_scenes: int, size: int, scene_seed: int) -> None:
        self.target = {"detection": boxes_of, "multilabel": presence_of}.get(task, mask_of)
        self.scenes, self.test, self.size, self.seed = scenes, test_scenes, size, scene_seed

    def load(self, cache: DataCache) -> SourceData:
        """Return training and test scenes, drawn anew."""
        classes = ("background", *DIGITS) if self.target is mask_of else DIGITS
        return SourceData(classes, self._split("train", self.scenes), test=self._split("test", self.test))

    def _split(self, name: str, count: int) -> Samples:
        scans, labels = _scans(name)
        ids = tuple(f"{name}-{number:05d}" for number in range(count))
        scenes = [draw(scans, labels, self.size, "digit-scenes", self.seed, i) for i in ids]
        return Samples(
            ids,
            np.stack([scene.pixels for scene in scenes])[:, None],
            np.stack([self.target(scene) for scene in scenes]),
        )


def _scans(split: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the scans of a split ``[N, 8, 8]``, ink from 0 to 1, and their labels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    chosen = (np.arange(len(digits.target)) % EVERY == 0) == (split == "test")
    return digits.images[chosen] / 16, digits.target[chosen].astype(np.int64)


def draw(scans: NDArray[np.float64], labels: NDArray[np.int64], size: int, *parts: str | int) -> Scene:
    """Return the scene that ``parts`` stand for.

    A digit that would cover more than a tenth of another's ink is moved, and left out after some tries.
    """
    random = counter_rng.generator(*parts)
    canvas = _texture(random, size)
    owner = np.full((size, size), -1, dtype=np.int64)
    inks: list[int] = []
    found: list[int] = []
    for _ in range(int(random.integers(2, MOST + 1))):
        scan = int(random.integers(len(scans)))
        side = round(size * random.uniform(SMALLEST, LARGEST))
        ink = _resized(scans[scan], side)
        brightness = random.uniform(0.6, 1.0)
        for _attempt in range(TRIES):
            top, left = (int(random.integers(0, size - side + 1)) for _ in range(2))
            place = np.zeros((size, size))
            place[top : top + side, left : left + side] = ink
            covers = place >= INK
            after = np.where(covers, len(inks), owner)
            seen = [np.count_nonzero(after == number) / all_ink for number, all_ink in enumerate(inks)]
            if min(seen, default=1.0) >= 1 - MOST_HIDDEN:
                canvas = canvas * (1 - place) + brightness * place
                owner = after
                inks.append(int(covers.sum()))
                found.append(int(labels[scan]))
                break
    return Scene(np.rint(canvas * 255).astype(np.uint8), owner, tuple(found))


def mask_of(scene: Scene) -> NDArray[np.int16]:
    """Return the class of each pixel ``[H, W]``: 0 background, else the digit plus one."""
    classes = np.array([*(label + 1 for label in scene.labels), 0], dtype=np.int16)
    return classes[scene.owner]


def boxes_of(scene: Scene) -> NDArray[np.float32]:
    """Return ``[4, 5]``: x1, y1, x2, y2 as shares of the sides, and label; rows of no digit end in -1."""
    size = len(scene.owner)
    rows = np.zeros((MOST, 5), dtype=np.float32)
    rows[:, 4] = -1
    for number, label in enumerate(scene.labels):
        y, x = np.nonzero(scene.owner == number)
        rows[number, :4] = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1]) / size
        rows[number, 4] = label
    return rows


def presence_of(scene: Scene) -> NDArray[np.float32]:
    """Return ``[10]``: 1 for each digit that is in the scene, else 0."""
    present = np.zeros(len(DIGITS), dtype=np.float32)
    present[list(scene.labels)] = 1
    return present


def _texture(random: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Return a background ``[H, W]``: clouds, a slope of light and grain, 0 to about 0.4."""
    clouds = _resized(random.random((5, 5)), size)
    slope = np.linspace(-1, 1, size) * random.uniform(-0.1, 0.1)
    grain = random.normal(0, 0.04, (size, size))
    texture: NDArray[np.float64] = (0.05 + 0.25 * clouds + slope[:, None] + grain).clip(0, 0.5)
    return texture


def _resized(values: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return values from 0 to 1 resized to a square, through bytes: the same on every machine."""
    image = Image.fromarray(np.rint(values * 255).astype(np.uint8))
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR)) / 255
