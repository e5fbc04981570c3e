"""Data source `digit-scenes`: deterministic scenes with masks and boxes."""

from pathlib import Path

import numpy as np
import pytest

from mtkd_cli.data.dataset import load
from mtkd_cli.interfaces import SourceData
from mtkd_cli.recipe.schema import Data
from mtkd_cli.testing import cache_in
from mtkd_data.digit_scenes import INK, MAX_DIGITS, DigitScenes, class_mask, digit_boxes, draw_scene


def scenes(task: str, seed: int = 0, size: int = 32) -> SourceData:
    return DigitScenes(task, 12, 10, size, seed).load(cache_in(Path()))


def test_tasks_share_scenes() -> None:
    masks, boxes = scenes("segmentation"), scenes("detection")
    assert np.array_equal(masks.train.inputs, boxes.train.inputs)
    assert masks.classes == ("background", *boxes.classes)
    assert (masks.train.targets.shape, masks.train.targets.dtype) == ((12, 32, 32), np.int16)
    assert (boxes.train.targets.shape, boxes.train.targets.dtype) == ((12, MAX_DIGITS, 5), np.float32)


def test_scenes_depend_only_on_seed() -> None:
    first, second, other = scenes("segmentation"), scenes("segmentation"), scenes("segmentation", seed=1)
    assert np.array_equal(first.train.inputs, second.train.inputs)
    assert np.array_equal(first.train.targets, second.train.targets)
    assert not np.array_equal(first.train.inputs, other.train.inputs)


def test_scene_is_independent_of_scene_count() -> None:
    few, many = (DigitScenes("segmentation", n, 10, 32, 0).load(cache_in(Path())).train for n in (3, 6))
    assert np.array_equal(few.inputs, many.inputs[:3])


@pytest.mark.parametrize("number", range(8))
def test_boxes_enclose_visible_pixels(number: int) -> None:
    scans = np.ones((1, 8, 8))
    scene = draw_scene(scans, np.array([7]), 32, "a", number)
    boxes = digit_boxes(scene)
    for row, box in enumerate(boxes):
        visible = np.argwhere(scene.owner == row)
        if not len(visible):
            assert box.tolist() == [0, 0, 0, 0, -1]
            continue
        top, left, bottom, right = *visible.min(axis=0), *(visible.max(axis=0) + 1)
        assert (box * 32)[:4].tolist() == [left, top, right, bottom]
        assert box[4] == 7
    assert set(np.unique(class_mask(scene))) == {0, 8}
    assert INK < 1


def test_digits_stay_visible() -> None:
    for number in range(20):
        scene = draw_scene(np.ones((1, 8, 8)), np.array([7]), 32, "b", number)
        assert len(scene.labels) >= 1
        assert all((scene.owner == n).sum() > 0 for n in range(len(scene.labels)))


def test_loads_with_hidden_labels() -> None:
    data = load(scenes("segmentation"), Data(name="digit-scenes", labels=6, val=0.5))
    assert len(data.train.labeled) == 3
    assert len(data.val.labeled) == 3
    assert (data.train.samples.targets[data.train.labeled] >= 0).all()


def test_hides_boxes_of_unlabeled_scenes() -> None:
    data = load(scenes("detection"), Data(name="digit-scenes", labels=4, val=0.5))
    assert len(data.train.labeled) == 2
    assert np.isnan(data.train.samples.targets).all(axis=(1, 2)).sum() == len(data.train) - 2
