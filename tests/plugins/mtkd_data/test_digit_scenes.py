"""Scenes of digits: the same every time, masks and boxes of what is seen, train and test apart."""

from pathlib import Path

import numpy as np
import pytest

from mtkd_cli.data.dataset import load
from mtkd_cli.interfaces import SourceData
from mtkd_cli.recipe.schema import Data
from mtkd_cli.testing import cache_in
from mtkd_data.digit_scenes import INK, MOST, DigitScenes, boxes_of, draw, mask_of


def scenes(task: str, seed: int = 0, size: int = 32) -> SourceData:
    return DigitScenes(task, 12, 10, size, seed).load(cache_in(Path()))


def test_both_tasks_show_the_same_scenes() -> None:
    masks, boxes = scenes("segmentation"), scenes("detection")
    assert np.array_equal(masks.train.inputs, boxes.train.inputs)
    assert masks.classes == ("background", *boxes.classes)
    assert (masks.train.targets.shape, masks.train.targets.dtype) == ((12, 32, 32), np.int16)
    assert (boxes.train.targets.shape, boxes.train.targets.dtype) == ((12, MOST, 5), np.float32)


def test_scenes_repeat_to_the_byte_and_another_seed_gives_others() -> None:
    first, second, other = scenes("segmentation"), scenes("segmentation"), scenes("segmentation", seed=1)
    assert np.array_equal(first.train.inputs, second.train.inputs)
    assert np.array_equal(first.train.targets, second.train.targets)
    assert not np.array_equal(first.train.inputs, other.train.inputs)


def test_a_scene_does_not_depend_on_how_many_there_are() -> None:
    few, many = (DigitScenes("segmentation", n, 10, 32, 0).load(cache_in(Path())).train for n in (3, 6))
    assert np.array_equal(few.inputs, many.inputs[:3])


@pytest.mark.parametrize("number", range(8))
def test_a_box_is_around_the_ink_that_is_seen(number: int) -> None:
    scans = np.ones((1, 8, 8))
    scene = draw(scans, np.array([7]), 32, "a", number)
    boxes = boxes_of(scene)
    for row, box in enumerate(boxes):
        seen = np.argwhere(scene.owner == row)
        if not len(seen):
            assert box.tolist() == [0, 0, 0, 0, -1]
            continue
        top, left, bottom, right = *seen.min(axis=0), *(seen.max(axis=0) + 1)
        assert (box * 32)[:4].tolist() == [left, top, right, bottom]
        assert box[4] == 7
    assert set(np.unique(mask_of(scene))) == {0, 8}
    assert INK < 1


def test_a_digit_on_top_hides_little_of_those_below() -> None:
    for number in range(20):
        scene = draw(np.ones((1, 8, 8)), np.array([7]), 32, "b", number)
        assert len(scene.labels) >= 1
        assert all((scene.owner == n).sum() > 0 for n in range(len(scene.labels)))


def test_splits_have_names_of_their_own_and_load_as_any_data() -> None:
    data = load(scenes("segmentation"), Data(name="digit-scenes", labels=6, val=0.5))
    assert len(data.train.labelled) == 3
    assert len(data.val.labelled) == 3
    assert (data.train.samples.targets[data.train.labelled] >= 0).all()


def test_hidden_boxes_are_all_missing() -> None:
    data = load(scenes("detection"), Data(name="digit-scenes", labels=4, val=0.5))
    assert len(data.train.labelled) == 2
    assert np.isnan(data.train.samples.targets).all(axis=(1, 2)).sum() == len(data.train) - 2
