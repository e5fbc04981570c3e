"""A task: refused while it is incomplete; what six methods make of it."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mtkd_cli.errors import PluginError
from mtkd_cli.interfaces import Alignment, Merged, Metric, Task
from mtkd_cli.interfaces.label_space import UNKNOWN


class Rates(Task):
    """The smallest task: outputs are logarithms of rates."""

    primary = Metric("mae", higher_is_better=False)
    outputs = 2

    def to_averageable(self, output: Tensor) -> Tensor:
        return output.exp()

    def from_averageable(self, averaged: Tensor) -> Tensor:
        return averaged.log()

    def kd_loss(self, student_output: Tensor, merged: Merged, temperature: float) -> Tensor:
        return (student_output - self.mix(merged)).abs().sum(dim=1)

    def task_loss(self, student_output: Tensor, target: Tensor) -> Tensor:
        return (student_output.exp() - target).abs().nansum(dim=1)

    def statistics(self, output: Tensor, target: Tensor) -> Tensor:
        return (output.exp() - target).abs()

    def metrics(self, statistics: Tensor) -> dict[str, float]:
        return {"mae": statistics.nanmean().item()}


def logs(*rows: list[float]) -> Tensor:
    return torch.tensor(rows).log()


def test_all_methods_that_are_missing_are_named() -> None:
    class Empty(Task):
        pass

    with pytest.raises(PluginError) as found:
        Empty()  # type: ignore[abstract]
    names = ("to_averageable", "from_averageable", "kd_loss", "task_loss", "statistics", "metrics")
    assert "the task Empty lacks the methods" in found.value.what
    assert all(f"{name}()" in found.value.what for name in names)
    assert found.value.where.startswith(f"{__file__}: ")
    assert found.value.hint


def test_attributes_may_be_set_by_the_class_or_by_its_constructor() -> None:
    class Bare(Task):
        to_averageable, from_averageable, kd_loss = (
            Rates.to_averageable,
            Rates.from_averageable,
            Rates.kd_loss,
        )
        task_loss, statistics, metrics = Rates.task_loss, Rates.statistics, Rates.metrics

        def __init__(self, outputs: int | None) -> None:
            self.primary = Metric("mae")
            if outputs is not None:
                self.outputs = outputs

    assert Bare(3).outputs == 3
    with pytest.raises(PluginError, match="the task Bare lacks the attributes outputs"):
        Bare(None)


def test_a_task_can_be_copied_pickled_and_be_a_module() -> None:
    class Learnt(nn.Module, Rates):
        pass

    for task in (copy.copy(Rates()), copy.deepcopy(Rates()), pickle.loads(pickle.dumps(Rates())), Learnt()):
        assert task.metrics(torch.tensor([[1.0, 3.0]])) == {"mae": 2.0}


def test_teachers_are_mixed_as_what_may_be_averaged() -> None:
    outputs = (logs([1.0, 2.0]), logs([3.0, 6.0]))
    merged = Merged(outputs, weights=torch.tensor([[0.75], [0.25]]))
    torch.testing.assert_close(
        Rates().mix(merged), logs([1.5, 3.0])
    )  # 0.75 * 1 + 0.25 * 3, 0.75 * 2 + 0.25 * 6
    combined = logs([7.0, 8.0])
    assert Rates().mix(Merged(outputs, combined=combined)) is combined


def test_maps_are_mixed_pixel_by_pixel() -> None:
    class Map(Rates):
        elements = (1, 2)

    outputs = (torch.zeros(1, 2, 1, 2), torch.full((1, 2, 1, 2), math.log(3)))
    weights = torch.tensor([[[[1.0, 0.5]]], [[[0.0, 0.5]]]])  # the first pixel hears the first teacher alone
    mixed = Map().mix(Merged(outputs, weights))
    torch.testing.assert_close(mixed.exp(), torch.tensor([[[[1.0, 2.0]], [[1.0, 2.0]]]]))
    assert Map().uncertainty(outputs).shape == (2, 1, 1, 2)
    assert Map().labeled(torch.tensor([[[0, -1]]])).tolist() == [[[True, False]]]


def test_the_default_mixture_refuses_teachers_that_know_some_classes_only() -> None:
    outputs = (logs([1.0, 2.0]), logs([3.0, 6.0]))
    known = torch.tensor([[True, False], [True, True]])
    with pytest.raises(PluginError, match="Rates cannot mix") as found:
        Rates().mix(Merged(outputs, torch.full((2, 1), 0.5), known=known))
    assert "any_label_space" in found.value.hint


def test_the_error_is_the_loss_to_the_labels_without_class_weights() -> None:
    class Weighted(Rates):
        factor = 5.0

        def task_loss(self, student_output: Tensor, target: Tensor) -> Tensor:
            return self.factor * super().task_loss(student_output, target)

        def without_class_weights(self) -> Task:
            plain = copy.copy(self)
            plain.factor = 1.0
            return plain

    outputs = (logs([1.0, 2.0], [1.0, 1.0]), logs([3.0, 6.0], [1.0, 1.0]))
    target = torch.tensor([[2.0, 2.0], [math.nan, math.nan]])
    torch.testing.assert_close(Weighted().error(outputs, target), torch.tensor([[1.0, 0.0], [5.0, 0.0]]))


def test_a_label_is_there_where_any_of_its_numbers_is() -> None:
    target = torch.tensor([[1.0, math.nan], [math.nan, math.nan], [0.0, 0.0]])
    assert Rates().labeled(target).tolist() == [True, False, True]
    assert Rates().labeled(torch.tensor([0, -1])).tolist() == [True, False]


def test_uncertainty_is_the_entropy_of_classes_and_0_of_values() -> None:
    class Classes(Rates):
        over_classes = True

        def to_averageable(self, output: Tensor) -> Tensor:
            return output.softmax(dim=1)

    sure, even = logs([1 - 2e-9, 1e-9, 1e-9]), torch.zeros(1, 3)
    partly = torch.tensor([[0.0, 0.0, UNKNOWN]])  # even over the two classes that it knows
    biased = logs([0.5, 0.25, 0.25])
    found = Classes().uncertainty((sure, even, partly, biased))[:, 0].tolist()
    assert found == pytest.approx([0, 1, 1, 1.5 * math.log(2) / math.log(3)], abs=1e-6)
    assert Rates().uncertainty((sure, even)).tolist() == [[0.0], [0.0]]


def test_one_name_an_output_unless_the_task_aligns_them_itself() -> None:
    class Boxes(Rates):
        def align(self, outputs: Tensor, alignment: Alignment) -> Any:
            return outputs

    assert Rates().class_count(3) == 3
    assert Boxes().class_count(3) is None
