"""`fit.classes`: a fitted teacher that learns some classes, and is not used for the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.recipe.schema import Fit
from mtkd_cli.teachers.fit_classes import fit_split_of, learned_classes
from mtkd_cli.teachers.identity import teacher_identity
from mtkd_cli.teachers.prepare import prepare_teachers
from tests.fixtures.small_runs import Contexts, Distill

SCENES = ("data.scenes=60", "data.test_scenes=20", "data.labels=30", "data.val=0.4", "views=1")
TEACHERS = (
    "teachers=[{model: 'convnet:8', name: low, fit: {classes: [0, 1, 2, 3]}}, "
    "{model: 'convnet:8', name: rest, fit: {classes: ['4', '5', '6', '7', '8']}}]"
)


def test_classes_are_names_or_numbers() -> None:
    names = ("cat", "dog", "7")
    assert learned_classes(Fit(classes=("dog", 2)), names, "t").tolist() == [False, True, True]
    assert learned_classes(Fit(), names, "t").all()
    for wrong in ("dgo", 3, -1):
        with pytest.raises(DataError, match="has no class"):
            learned_classes(Fit(classes=(wrong,)), names, "t")


def test_samples_of_other_classes_are_not_trained_on(context: Contexts) -> None:
    run = context()
    chosen = fit_split_of(Fit(labels="all", classes=("3", "5"), batch_size=8), run)
    assert set(chosen.train.samples.targets[chosen.rows]) == {3, 5}
    assert set(chosen.val.samples.targets[chosen.val.labeled]) <= {3, 5}
    everyone = fit_split_of(Fit(labels="all", batch_size=8), run)
    rest = set(everyone.rows) - set(chosen.rows)
    assert not {3, 5} & set(everyone.train.samples.targets[sorted(rest)])


def test_boxes_of_other_classes_are_background(context: Contexts) -> None:
    run = context(*SCENES, recipe="digit-scenes-merge")
    chosen = fit_split_of(Fit(labels="all", classes=("3", "5"), batch_size=8), run)
    everyone = fit_split_of(Fit(labels="all", batch_size=8), run)
    np.testing.assert_array_equal(chosen.rows, everyone.rows)
    own, every = chosen.train.samples.targets[..., 4], everyone.train.samples.targets[..., 4]
    assert set(own[own >= 0]) == {3, 5}
    np.testing.assert_array_equal(own[np.isin(every, [3, 5])], every[np.isin(every, [3, 5])])


def test_a_task_without_classes_refuses_them(context: Contexts) -> None:
    with pytest.raises(UsageError, match="has no classes"):
        fit_split_of(Fit(classes=(0,), batch_size=8), context(recipe="diabetes"))


def test_a_teacher_without_classes_keeps_its_key(context: Contexts) -> None:
    """Stores of earlier versions have fitted teachers under keys without ``classes``."""
    run = context("teachers=[{model: 'mlp:8', fit: {train: all, batch_size: 8}}]")
    (entry,) = run.recipe.teachers
    key = teacher_identity(run.parts.teachers[0], entry, run.data.classes)
    assert "classes" not in key["fit"]
    assert entry.fit is not None
    other = replace_fit(entry, classes=("1",))
    assert teacher_identity(run.parts.teachers[0], other, run.data.classes) != key


def replace_fit(entry: Any, **changes: Any) -> Any:
    return entry.model_copy(update={"fit": entry.fit.model_copy(update=changes)})


def merged(distill: Distill, *more: str) -> Mapping[str, Any]:
    fit = "fit={labels: all, epochs: 8, lr: 0.01, batch_size: 32}"
    return distill(
        TEACHERS, fit, "data.labels=100", "data.val=0.5", "train.epochs=1", *more, recipe="digits-merge"
    )


def test_teachers_know_only_what_they_learned(context: Contexts) -> None:
    run = context(TEACHERS, "fit={labels: all, epochs: 1, batch_size: 32}", recipe="digits-merge")
    low, rest = prepare_teachers(run, 1)
    assert low.alignment.known == (True,) * 4 + (False,) * 6
    assert rest.own_classes == [[]] * 4 + [["4"], ["5"], ["6"], ["7"], ["8"]] + [[]]
    probabilities = low.recorded_outputs("val", 0).softmax(dim=1)
    assert (probabilities[:, 4:] == 0).all()


def test_a_report_says_who_taught_each_class(distill: Distill) -> None:
    coverage = merged(distill)["coverage"]
    taught = {each["name"]: each for each in coverage["classes"]}
    assert coverage["metric"] == "recall"
    assert coverage["teachers"] == ["low", "rest"]
    assert list(taught["0"]["teachers"]) == ["low"]
    assert list(taught["8"]["teachers"]) == ["rest"]
    assert taught["9"]["teachers"] == {}
    assert taught["0"]["labels"] > 0
    assert distill("train.epochs=1")["coverage"] is None


def test_no_teacher_teaches_the_absence_of_a_class_it_does_not_know(context: Contexts) -> None:
    """The loss of a detector's student does not depend on its scores of unknown classes."""
    from mtkd_cli.interfaces import Merged, ModelRequest
    from mtkd_teachers.tiny_fcos import TinyFcosProvider

    task = context(*SCENES, recipe="digit-scenes-merge").task
    torch.manual_seed(0)
    student: Any = TinyFcosProvider().build(ModelRequest("8", 1, 32, 10, pretrained=False)).module.train()
    bias = student.head.classification_head.cls_logits.bias
    images = torch.rand(2, 1, 32, 32)
    boxes = torch.tensor([[[0.1, 0.1, 0.6, 0.6, 0.9, 3]], [[0, 0, 0, 0, 0, -1]]]).float()
    known = torch.zeros(1, 10, dtype=torch.bool)
    known[0, :4] = True

    def gradient(mask: torch.Tensor | None) -> torch.Tensor:
        bias.grad = None
        teachers = Merged((boxes,), torch.ones(1, 2), known=mask)
        task.kd_loss(student(images), teachers, 1.0).sum().backward()
        assert bias.grad is not None
        return bias.grad.clone()

    partial, whole = gradient(known), gradient(None)
    assert (partial[4:] == 0).all()
    assert (partial[:4] != 0).all()
    assert (whole != 0).all(), "a teacher that knows every class teaches their absence"
