"""Small real runs of a segmentation: scenes with and without masks, every phase, every strategy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mtkd_cli.report import results
from mtkd_cli.runs import pipeline
from mtkd_cli.runs.folder import Run
from mtkd_cli.teachers.prepare import prepare_teachers
from mtkd_tasks.panels import COLUMNS, GAP, PANEL
from tests.fixtures.small_runs import Contexts

SMALL = (
    "data.scenes=24",
    "data.test_scenes=10",
    "data.size=16",
    "data.labels=12",
    "data.val=0.5",
    "fit.epochs=1",
    "train.epochs=1",
    "train.lr=0.01",
    "teachers.0.model=unet:4-8",
    "teachers.1.model=unet:8",
    "teachers.2.model=unet:4-4",
    "student=unet:4",
)


def run(context: Contexts, *changes: str, name: str = "seg", baseline: bool = False) -> dict[str, Any]:
    return results.as_json(
        pipeline.distill(context(*SMALL, *changes, recipe="digit-scenes-seg"), Run(name), baseline)
    )


def test_scenes_without_masks_take_part_and_everyone_is_measured(context: Contexts) -> None:
    report = run(context, baseline=True)
    assert (report["data"]["train"], report["data"]["train_labelled"]) == (18, 6)
    assert report["metric"]["name"] == "miou"
    scores = report["scores"]
    for row in (scores["student"], *scores["baselines"].values(), scores["ensemble"]):
        assert set(row) == {"miou", "pixel_accuracy"}
    with Image.open(Path("runs/seg/predictions.png")) as picture:
        assert picture.width == COLUMNS * (PANEL + GAP) + GAP


@pytest.mark.parametrize(
    "strategy",
    [
        "mean-logit",
        "{name: weighted, by: class}",
        "confidence",
        "entropy",
        "agreement",
        "consensus",
        "majority",
        "median",
        "stacking",
        "trimmed-mean",
    ],
)
def test_every_strategy_weighs_pixels_or_samples(context: Contexts, strategy: str) -> None:
    assert run(context, f"strategy={strategy}")["scores"]["student"]["miou"] >= 0


@pytest.mark.parametrize(
    "change",
    [
        "task={name: segmentation, kd: cwd}",
        "augment={flip: true, rotate: 10}",
        "augment={mixup: 1, cutmix: 1, randaugment: {operations: 2}}",
    ],
)
def test_other_losses_and_views_run_to_the_end(context: Contexts, change: str) -> None:
    assert run(context, change)["scores"]["ensemble"]["miou"] > 0


def test_four_classes_of_each_pixel_are_recorded_in_fewer_bytes(context: Contexts) -> None:
    some, every = (
        context(*SMALL, "loss.temperature=1", change, recipe="digit-scenes-seg")
        for change in ("views=1", "store.top_k=null")
    )
    few, whole = (prepare_teachers(made, 1)[0].arrays["test", 0] for made in (some, every))
    assert few.layout.dtype.itemsize == 16 * 16 * (4 * 3 + 2)
    assert whole.layout.dtype.itemsize == 16 * 16 * (11 * 2 + 4)
    kept, best = (array[:].softmax(1).topk(4, 1).values for array in (few, whole))
    np.testing.assert_allclose(kept, best, atol=2e-3)  # values: which of two equal classes is kept is open
