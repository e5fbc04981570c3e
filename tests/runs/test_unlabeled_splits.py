"""Splits without labels: used where nothing needs their labels, refused where something does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtkd_cli.errors import DataError
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.load import load
from mtkd_cli.runs import pipeline
from mtkd_cli.teachers.prepare import prepare_teachers
from mtkd_cli.training.progress import Progress
from tests.fixtures.shards import samples, write_tar
from tests.fixtures.small_runs import Distill

RECIPE = """
task: classification
data: {name: webdataset, path: shards, size: 8, classes: [cat, dog]}
teachers: [{model: "predictions:a.csv", outputs: logits}, {model: "predictions:b.csv", outputs: logits}]
student: mlp:8
augment: none
train: {epochs: 2, lr: 1e-2}
"""


@pytest.fixture
def recipe() -> str:
    """Return a recipe with 40 unlabeled training samples, and labeled ones for validation and test."""
    counts = {"train": 40, "val": 20, "test": 20}
    rows = []
    for number, (split, count) in enumerate(counts.items()):
        entries = samples(count, first=100 * number)
        if split == "train":
            entries = {name: content for name, content in entries.items() if name.endswith(".png")}
        write_tar(Path("shards", f"{split}.tar"), entries)
        rows += [f"{split}/{100 * number + n:04}.png,{n % 2 * 2},{n % 3}" for n in range(count)]
    for name in ("a", "b"):
        Path(f"{name}.csv").write_text("\n".join(["id,cat,dog", *rows]))
    Path("r.yaml").write_text(RECIPE)
    return "r.yaml"


def only_train(recipe: str) -> None:
    """Remove all labeled samples."""
    for split in ("val", "test"):
        Path("shards", f"{split}.tar").unlink()
    for name in ("a", "b"):
        file = Path(f"{name}.csv")
        file.write_text(file.read_text().replace("train/", ""))


def test_student_learns_from_the_teachers_alone(recipe: str, distill: Distill) -> None:
    report = distill(recipe=recipe, baseline=True)
    assert report["data"]["train_labelled"] == 0
    assert report["scores"]["baselines"] == {}
    assert np.isfinite(report["scores"]["student"]["nll"])


def test_teachers_are_recorded_without_any_label(recipe: str, registry: Registry) -> None:
    only_train(recipe)
    context = pipeline.prepare(load(recipe, [], registry), "cpu", Progress(), only_teachers=True)
    for teacher in prepare_teachers(context, 1):
        assert {split: array.rows.shape[0] for (split, _), array in teacher.arrays.items()} == {"train": 40}
        assert teacher.validation is not None
        assert teacher.validation.labels == 0


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("loss.kd_ratio=0", "the train split has no labeled sample; needed by loss.kd_ratio: 0"),
        ("loss.class_weights=balanced", "needed by loss.class_weights: balanced"),
        ("teachers.0={model: mlp:8, fit: head}", "needed by teacher mlp-8, which is fitted"),
    ],
)
def test_training_labels_are_needed(recipe: str, distill: Distill, override: str, what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        distill(override, recipe=recipe)
    assert caught.value.hint
    assert not Path("runs").exists()


def test_labels_of_other_splits_are_needed(recipe: str, distill: Distill, registry: Registry) -> None:
    parts = load(recipe, ["calibrate=true"], registry)
    only_train(recipe)
    with pytest.raises(DataError, match="val split has no labeled sample; needed by calibrate"):
        pipeline.prepare(parts, "cpu", Progress(), only_teachers=True)
    with pytest.raises(DataError, match="val split has no labeled sample; needed by the choice"):
        distill(recipe=recipe)


def test_report_needs_test_labels(recipe: str, distill: Distill) -> None:
    entries = {name: text for name, text in samples(20, first=200).items() if name.endswith(".png")}
    write_tar(Path("shards/test.tar"), entries)
    with pytest.raises(DataError, match="test split has no labeled sample; needed by the report"):
        distill(recipe=recipe)
