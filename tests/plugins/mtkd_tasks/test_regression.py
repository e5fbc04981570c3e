"""Task `regression`: units, losses and metrics, against closed forms."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mtkd_aggregators import mtkd_register_aggregators
from mtkd_cli import counter_rng
from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import AggregationBatch, Alignment, InputSpec, LossOptions, Merged, TaskData
from mtkd_cli.models.preprocess import Prepared
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.resolve import Part
from mtkd_cli.testing.task import check_task
from mtkd_cli.training.strategy import Strategy
from mtkd_tasks.regression import Regression

NAN = math.nan
SPECS = [
    spec.name
    for spec in mtkd_register_aggregators()
    if (not spec.tasks or "regression" in spec.tasks) and not any(o.required for o in spec.options)
]
LABELS = [[0.0], [2.0], [4.0], [NAN]]  # mean 2, deviation sqrt(8/3)
DEVIATION = math.sqrt(8 / 3)


assert_close = functools.partial(torch.testing.assert_close, check_dtype=False)


def task(labels: list[list[float]] = LABELS, **options: Any) -> Regression:
    names = tuple("abc"[: len(labels[0])])
    return Regression(
        TaskData(names, np.array(labels, dtype=np.float32), InputSpec()), LossOptions(), **options
    )


def column(*values: float) -> Tensor:
    return torch.tensor(values)[:, None]


def batch(
    made: Regression, outputs: list[Tensor], target: Tensor | None = None, **more: Any
) -> AggregationBatch:
    return AggregationBatch(
        outputs=tuple(outputs),
        teacher_names=tuple("pqrs"[: len(outputs)]),
        sample_ids=tuple(map(str, range(len(outputs[0])))),
        temperature=1.0,
        progress=0.5,
        task=made,
        target=target,
        labeled=None if target is None else made.labeled(target),
        draw=lambda name, shape: counter_rng.torch_uniform(shape, "test", name),
        **more,
    )


def strategy(name: str, registry: Registry, **options: Any) -> Strategy:
    entry = registry.find("strategies", name)
    defaults = {option.name: option.default for option in entry.spec.options}
    return Strategy(Part(entry.spec, entry.plugin, {**defaults, **options}, entry.spec.load))


def test_scale_maps_0_to_mean_and_1_to_one_deviation() -> None:
    made = task([[10.0, -3.0], [30.0, -3.0], [NAN, NAN]])
    answered = Prepared(nn.Identity(), InputSpec(raw=True), made.scale)(
        torch.tensor([[0.0, 0.0], [1.0, 2.0]])
    )
    assert_close(answered, torch.tensor([[20.0, -3.0], [30.0, -1.0]]))


def test_nll_scale_maps_0_to_label_moments() -> None:
    made = task(objective="nll")
    answered = Prepared(nn.Identity(), InputSpec(raw=True), made.scale)(torch.zeros(1, 2))
    assert_close(answered, torch.tensor([[2.0, math.log(8 / 3)]]))


@pytest.mark.parametrize("objective", ["squared", "huber", "nll"])
def test_satisfies_task_contract(objective: str, registry: Registry) -> None:
    check_task(registry.find("tasks", "regression").spec, {"objective": objective})


def test_losses_in_standard_units() -> None:
    student, target = column(2.0 + DEVIATION, 2.0 + 3 * DEVIATION, 7.0), column(2.0, 2.0, NAN)
    assert_close(task().task_loss(student, target), torch.tensor([1.0, 9.0, 0.0]))
    huber = task(objective="huber", delta=2.0).task_loss(student, target)
    assert_close(huber, torch.tensor([0.5, 2 * (3 - 1.0), 0.0]))


def test_missing_label_has_no_gradient() -> None:
    made = task([[0.0, 0.0], [2.0, 20.0], [4.0, 40.0]])
    target = torch.tensor([[2.0, NAN], [NAN, NAN]])
    for objective in ("squared", "huber", "nll"):
        made = task([[0.0, 0.0], [2.0, 20.0], [4.0, 40.0]], objective=objective)
        student = torch.full((2, made.outputs), 3.0, requires_grad=True)
        made.task_loss(student, target).sum().backward()  # type: ignore[no-untyped-call]
        gradient = student.grad
        assert gradient is not None
        assert torch.isfinite(gradient).all()
        assert gradient[0, 0] != 0
        assert (gradient[1] == 0).all()
    assert made.labeled(target).tolist() == [True, False]


def test_nll_matches_torch() -> None:
    made = task(objective="nll")
    mean, variance, target = column(1.0, 3.0), column(0.5, 4.0), column(2.0, 2.5)
    student = torch.cat([mean, variance.log()], dim=1)
    expected = nn.functional.gaussian_nll_loss(mean, target, variance, reduction="none")[:, 0]
    found = made.task_loss(student, target)  # in standard units: lower by the log of the deviation
    assert_close(found, expected - math.log(DEVIATION))


@pytest.mark.parametrize("objective", ["squared", "nll"])
@pytest.mark.parametrize("weights", [[1 / 3] * 3, [0.6, 0.3, 0.1], [0.7, 0.2, 0.1]])
def test_values_far_from_zero_are_mixed_without_a_shift(objective: str, weights: list[float]) -> None:
    values = np.array([[1.7e9 + 0.1], [1.7e9 + 0.3], [1.7e9 - 0.2]])
    made = task([[1.7e9], [1.7e9 + 1]], objective=objective)
    outputs = tuple(
        torch.tensor([[value, 0.0][: made.outputs]], dtype=torch.float64) for value in values[:, 0]
    )
    mixed = made.mix(Merged(outputs, torch.tensor(weights)[:, None]))
    assert mixed[0, 0].item() - 1.7e9 == pytest.approx(np.dot(weights, values[:, 0] - 1.7e9), abs=1e-5)
    ignored = Merged(outputs, torch.tensor([weights, [0.0] * 3]).T)  # no teacher on the second sample
    both = made.mix(Merged(tuple(output.expand(2, -1) for output in outputs), ignored.weights))
    assert torch.equal(both[0], mixed[0])
    assert torch.isfinite(both).all()


def test_mixture_moments() -> None:
    made = task(objective="nll")
    means, variances, w = [1.0, 3.0, 8.0], [0.5, 1.0, 2.0], [0.2, 0.5, 0.3]
    outputs = tuple(torch.tensor([[m, math.log(v)]]) for m, v in zip(means, variances, strict=True))
    mixed = made.mix(Merged(outputs, torch.tensor(w)[:, None]))
    mean = sum(a * m for a, m in zip(w, means, strict=True))
    variance = sum(a * (v + m * m) for a, m, v in zip(w, means, variances, strict=True)) - mean**2
    assert mixed.tolist()[0] == pytest.approx([mean, math.log(variance)])
    flat = [Merged(outputs, torch.tensor(w)[:, None])]
    student = torch.tensor([[mean, math.log(variance)]], requires_grad=True)
    made.kd_loss(student, flat[0], 1.0).sum().backward()  # type: ignore[no-untyped-call]
    (
        assert_close(student.grad, torch.zeros(1, 2), atol=1e-6, rtol=0),
        "the moments are the optimum",
    )


@pytest.mark.parametrize("objective", ["squared", "huber"])
def test_kd_gradient_is_weighted_sum_over_teachers(objective: str) -> None:
    made = task(objective=objective, delta=0.3)
    teachers, w = (column(0.0, 5.0), column(3.0, -4.0)), torch.tensor([[0.25, 0.5], [0.75, 0.5]])
    student = column(2.0, 0.1).requires_grad_()

    def gradient(loss: Tensor) -> Tensor:
        return torch.autograd.grad(loss.sum(), student)[0]

    each = [gradient(made.kd_loss(student, Merged((t,), torch.ones(1, 2)), 1.0)) for t in teachers]
    found = gradient(made.kd_loss(student, Merged(teachers, w), 1.0))
    assert_close(found, sum(w[k][:, None] * each[k] for k in range(2)))


def test_accepts_mean_variance_pair_or_mean() -> None:
    made = task(objective="nll")
    assert_close(
        made.to_task_shape((torch.tensor([1.0]), torch.tensor([4.0]))), torch.tensor([[1.0, math.log(4.0)]])
    )
    assert made.to_task_shape(column(1.0))[0].tolist() == pytest.approx([1.0, math.log(1e-300)])
    assert task().to_task_shape((column(1.0), column(4.0))).tolist() == [[1.0]]
    for invalid, message in ((torch.zeros(2, 3), "2, 3"), (torch.zeros(2, 3, 4), "2, 3, 4"), ("x", "a str")):
        with pytest.raises(ValueError, match=message):
            made.to_task_shape(invalid)


def test_aligns_values_to_targets() -> None:
    pair, swapped = [[1.0, 10.0], [2.0, 20.0]], Alignment(((1,), (0,)))
    assert task(pair).align(torch.tensor([[20.0, 2.0]]), swapped).tolist() == [[2.0, 20.0]]
    both = task(pair, objective="nll").align(torch.tensor([[20.0, 2.0, -1.0, -2.0]]), swapped)
    assert both.tolist() == [[2.0, 20.0, -2.0, -1.0]]
    assert task(pair, objective="nll").class_count(4) == 2
    with pytest.raises(DataError, match="several values"):
        task().align(torch.ones(1, 2), Alignment(((0, 1),)))


def test_weighted_uses_inverse_variance(registry: Registry) -> None:
    made, target = task(), column(0.0, 2.0, 4.0, NAN)
    outputs = [column(1.0, 3.0, 3.0, 99.0), column(2.0, 4.0, 6.0, 99.0), column(0.5, 2.5, 3.5, 99.0)]
    weighted = strategy("weighted", registry)
    weighted.fit(batch(made, outputs, target))
    inverse = torch.tensor([1 / 1.0, 1 / 4.0, 1 / 0.25])
    assert_close(weighted.merge(batch(made, outputs)).weights[:, 0], inverse / inverse.sum())  # type: ignore[index]


def test_median_and_trimmed_mean_of_values(registry: Registry) -> None:
    outputs = [column(1.0), column(2.0), column(3.0), column(100.0)]
    assert strategy("median", registry).merge(batch(task(), outputs)).combined.tolist() == [[2.5]]  # type: ignore[union-attr]
    assert strategy("trimmed-mean", registry).merge(batch(task(), outputs)).combined.tolist() == [[2.5]]  # type: ignore[union-attr]


def test_gate_ignores_teacher_far_from_label(registry: Registry) -> None:
    made = task(gate=1.0)
    far = 2.0 + 1.01 * DEVIATION
    outputs, target = [column(2.0, 2.0, 2.0), column(far, 2.0, far)], column(2.0, 2.0, NAN)
    given = batch(made, outputs, target)
    weights = strategy("mean", registry).merge(given).weights
    assert weights.tolist() == [[1.0, 0.5, 0.5], [0.0, 0.5, 0.5]]  # type: ignore[union-attr]
    alone = strategy("mean", registry).merge(batch(made, outputs[1:], target)).weights
    assert alone.tolist() == [[0.0, 1.0, 1.0]], "all teachers ignored: only the label counts"  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="combines all outputs"):
        strategy("median", registry).merge(given)


@pytest.mark.parametrize("objective", ["squared", "huber", "nll"])
@pytest.mark.parametrize("name", SPECS)
def test_identical_teachers_give_the_gradient_of_one(name: str, objective: str, registry: Registry) -> None:
    made = task([[0.0, 1.0], [2.0, 7.0], [4.0, 9.0]], objective=objective)
    target = torch.tensor([[0.0, 1.0], [2.0, NAN], [NAN, NAN]])
    draw = torch.Generator().manual_seed(0)
    teacher = torch.randn(3, made.outputs, generator=draw) * 3
    student = torch.randn(3, made.outputs, generator=draw).requires_grad_()

    def gradient(outputs: list[Tensor]) -> Tensor:
        chosen = strategy(name, registry)
        chosen.fit(batch(made, outputs, torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])))
        merged = chosen.merge(batch(made, outputs, target, student_output=student.detach()))
        if merged.weights is not None:
            assert_close(merged.weights.sum(dim=0), torch.ones(3))
        return torch.autograd.grad(made.kd_loss(student, merged, 1.0).sum(), student)[0]

    one = torch.autograd.grad(
        made.kd_loss(student, Merged((teacher,), torch.ones(1, 3)), 1.0).sum(), student
    )[0]
    assert_close(gradient([teacher] * 3), one, rtol=1e-4, atol=1e-5)
    assert_close(gradient([teacher]), one, rtol=1e-4, atol=1e-5)
    assert torch.isfinite(gradient([teacher, teacher * 1e4, -teacher])).all()


def test_metrics_in_user_units() -> None:
    made = task()
    statistics = made.statistics(column(1.0, 2.0, 7.0, 0.0), column(0.0, 2.0, 4.0, NAN))
    found = made.metrics(statistics)
    assert found == pytest.approx({"rmse": math.sqrt(10 / 3), "mae": 4 / 3, "r2": 1 - (10 / 3) / (8 / 3)})
    assert next(iter(found)) == made.primary.name
    assert made.details(statistics).points == {"a": ((0.0, 1.0), (2.0, 2.0), (4.0, 7.0))}


def test_targets_have_equal_weight_in_any_unit() -> None:
    made = task([[0.0, 0.0], [2.0, 2000.0], [4.0, 4000.0]])
    one = made.metrics(made.statistics(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.0]])))
    other = made.metrics(made.statistics(torch.tensor([[0.0, 1000.0]]), torch.tensor([[0.0, 0.0]])))
    assert one["nrmse"] == pytest.approx(other["nrmse"]) == pytest.approx(1 / DEVIATION / math.sqrt(2))
    assert (one["rmse a"], other["rmse b"]) == (pytest.approx(1.0), pytest.approx(1000.0))


@pytest.mark.parametrize(
    ("offset", "scale"), [(0, 1), (1.7e9, 1), (1.7e12, 1), (0, 1e-18), (0, 1e-200), (5, 1e20)]
)
def test_metrics_are_invariant_to_offset_and_unit(offset: float, scale: float) -> None:
    """Against R2 and RMSE by hand; float64 represents all shifted values exactly."""
    label = np.array([0.0, 1.0, 2.0, 5.0])
    answer = label + np.array([0.25, -0.5, 0.0, 1.0])
    moved, predicted = ((values * scale + offset)[:, None] for values in (label, answer))
    made = Regression(TaskData(("a",), moved, InputSpec()), LossOptions())
    found = made.metrics(
        made.statistics(made.to_task_shape(torch.from_numpy(predicted)), torch.from_numpy(moved))
    )
    squares = np.square(answer - label)
    r2 = 1 - squares.sum() / np.square(label - label.mean()).sum()
    assert found["r2"] == pytest.approx(r2, rel=1e-3)
    assert found["rmse"] == pytest.approx(math.sqrt(squares.mean()) * scale, rel=1e-3)
    standard = Prepared(nn.Identity(), InputSpec(raw=True), made.scale, made.to_task_shape)
    back = standard(torch.from_numpy((label - label.mean()) / label.std())[:, None].float())
    np.testing.assert_allclose((back.numpy() - offset) / scale, label[:, None], atol=1e-3)
    loss = made.task_loss(torch.from_numpy(predicted), torch.from_numpy(moved))
    np.testing.assert_allclose(loss.numpy(), squares / label.var(), atol=1e-3)


@pytest.mark.parametrize("constant", [3.0, 0.1, 0.0, 1.7e9])
def test_r2_of_constant_target_is_nan(constant: float) -> None:
    label = np.full((7, 1), constant)
    made = Regression(TaskData(("a",), label, InputSpec()), LossOptions())
    assert made.scale == ((constant,), (1.0,))
    found = made.metrics(made.statistics(torch.from_numpy(label + 0.5), torch.from_numpy(label)))
    assert math.isnan(found["r2"])
    assert found["rmse"] == pytest.approx(0.5)


def test_rejects_class_options() -> None:
    data = TaskData(("a",), np.array(LABELS, dtype=np.float32), InputSpec())
    for key, value in (("temperature", 2.0), ("label_smoothing", 0.1), ("class_weights", "balanced")):
        with pytest.raises(UsageError, match=key):
            Regression(data, LossOptions(**{key: value}))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no training label of 'b'"):
        task([[1.0, NAN], [2.0, NAN]])
    with pytest.raises(DataError, match="one number for each"):
        Regression(TaskData(("a",), np.array([0, 1]), InputSpec()), LossOptions())


def test_picture_has_panels_per_model() -> None:
    made, target = task(), column(0.0, 2.0, NAN)
    inputs = np.zeros((3, 2), np.float32)
    one = made.picture(inputs, {"student": column(1.0, 2.0, 3.0)}, target)
    two = made.picture(inputs, {"student": column(1.0, 2.0, 3.0), "best": column(5.0, 5.0, 5.0)}, target)
    assert one is not None
    assert two is not None
    assert two.width > one.width
    assert len(one.getcolors(10000) or []) >= 4, "background, ink, line and dots"
    assert made.picture(inputs, {"student": column(1.0)}, column(NAN)) is None
