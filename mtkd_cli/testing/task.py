"""Check that a task follows every rule, on synthetic outputs and labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mtkd_cli.errors import PluginError
from mtkd_cli.interfaces import Merged, Task
from mtkd_cli.specs import TaskSpec
from mtkd_cli.testing.batches import SAMPLES, TEMPERATURE, make_task, outputs_for, targets_for
from mtkd_cli.testing.broken import BrokenRuleError, require

EXTREME = 1e4
NEAR = 1e-5
TEACHERS = 3


def check_task(spec: TaskSpec, options: dict[str, Any] | None = None) -> None:
    """Check a task with five classes or values.

    Args:
        spec: spec of the task.
        options: options as in a recipe, with defaults for the others.

    Raises:
        BrokenRuleError: a rule is broken; names the first one.
        NotCheckedError: the labels are neither class numbers nor values.
    """
    defaults = {option.name: option.default for option in spec.options}
    who = f"the task {spec.name!r}"
    try:
        task = make_task(spec, {**defaults, **(options or {})})
    except PluginError as error:
        raise BrokenRuleError(
            f"{who} breaks the rule 'it is complete': {error.what}; {error.hint}"
        ) from error
    for rule in (*RULES, *((_combine,) if spec.averages else ())):
        rule(who, task)


def _shapes(who: str, task: Task) -> None:
    outputs, target = _outputs(task), targets_for(task, every=2)
    each = (SAMPLES, *task.elements)
    found = {
        "error": (task.error(outputs, target), (TEACHERS, *each)),
        "uncertainty": (task.uncertainty(outputs), (TEACHERS, *each)),
        "kd_loss": (task.kd_loss(outputs[0], _weigh(task, outputs), TEMPERATURE), each),
        "task_loss": (task.task_loss(outputs[0], target), each),
        "labeled": (task.labeled(target), each),
        "mix": (task.mix(_weigh(task, outputs)), tuple(outputs[0].shape)),
    }
    for name, (value, shape) in found.items():
        got = tuple(value.shape)
        require(got == shape, who, "one result for each element", f"{name} returns {got}, not {shape}")
    uncertainty = found["uncertainty"][0]
    in_range = bool(((uncertainty >= 0) & (uncertainty <= 1 + NEAR)).all())
    require(in_range, who, "uncertainty is from 0 to 1", f"one is {uncertainty.max().item():.4g}")


def _without_labels(who: str, task: Task) -> None:
    outputs, target = _outputs(task), targets_for(task, every=2)
    unlabeled = ~task.labeled(target)  # [B, *]
    for name, loss in (
        ("error", task.error(outputs, target)),
        ("task_loss", task.task_loss(outputs[0], target)),
    ):
        values = loss[..., unlabeled] if name == "task_loss" else loss[:, unlabeled]
        is_zero = bool((values == 0).all())
        require(is_zero, who, "the loss of a missing label is 0", f"that of {name} is not")


def _finite(who: str, task: Task) -> None:
    target = targets_for(task, every=2)
    certain = tuple(torch.where(output > 0, EXTREME, -EXTREME) for output in _outputs(task))
    for name, outputs in (("plain", _outputs(task)), ("extreme", certain)):
        values = [
            task.error(outputs, target),
            task.uncertainty(outputs),
            task.task_loss(outputs[0], target),
            task.mix(_weigh(task, outputs)),
            _gradient(task, _weigh(task, outputs)),
        ]
        finite = all(bool(torch.isfinite(value).all()) for value in values)
        require(finite, who, "finite", f"with {name} outputs a result is NaN or infinity")


def _learns(who: str, task: Task) -> None:
    student = outputs_for(task, "student").requires_grad_()
    losses = {
        "kd_loss": task.kd_loss(student, _weigh(task, _outputs(task)), TEMPERATURE),
        "task_loss": task.task_loss(student, targets_for(task)),
    }
    for name, loss in losses.items():
        how = f"{name} does not depend on it; do not detach the output"
        require(loss.requires_grad, who, "losses have a gradient at the student's output", how)


def _one_strength(who: str, task: Task) -> None:
    output = outputs_for(task, 0)
    one, three = (_gradient(task, _weigh(task, (output,) * k)) for k in (1, TEACHERS))
    require(
        bool((one - three).norm() <= NEAR * one.norm()),
        who,
        "K identical teachers give the gradient of one at the same strength",
        f"three give {(three.norm() / one.norm()).item():.6g} times the gradient of one",
    )


def _no_gradient_at_teacher(who: str, task: Task) -> None:
    other = _gradient(task, _weigh(task, (outputs_for(task, 0),)))
    equal = _gradient(task, _weigh(task, (outputs_for(task, "student"),)))
    require(
        bool(equal.norm() <= 1e-4 * other.norm()),
        who,
        "the gradient is 0 if the student's output equals the teacher's",
        f"it is {(equal.norm() / other.norm()).item():.3g} times that of a different output",
    )


def _combine(who: str, task: Task) -> None:
    output = outputs_for(task, 0)
    weighted = _gradient(task, _weigh(task, (output,)))
    combined = _gradient(task, Merged((output,), combined=output))
    require(
        bool((weighted - combined).norm() <= NEAR * weighted.norm()),
        who,
        "a combined output gives the gradient of that output with weight 1",
        f"it gives {(combined.norm() / weighted.norm()).item():.6g} times that gradient",
    )


def _mixing(who: str, task: Task) -> None:
    output = outputs_for(task, 0)
    plain, mixed = (task.to_averageable(o) for o in (output, task.mix(replace(_weigh(task, (output,) * 2)))))
    same = bool(torch.allclose(plain, mixed, atol=1e-4))
    require(same, who, "mixing two equal outputs returns that output", "the mixture differs")
    restored = task.to_averageable(task.from_averageable(plain))
    same = bool(torch.allclose(plain, restored, atol=1e-4))
    require(same, who, "as_output inverts averageable", "the result differs")


def _metrics(who: str, task: Task) -> None:
    output, target = outputs_for(task, 0), targets_for(task)
    statistics = task.statistics(output, target)
    require(
        len(statistics) == SAMPLES,
        who,
        "statistics has a row for each sample",
        f"it has {len(statistics)} rows for {SAMPLES} samples",
    )
    if task.columns is not None:
        named, found = len(task.columns), tuple(statistics.shape)
        require(found == (SAMPLES, named), who, f"statistics has the {named} named columns", f"shape {found}")
    metrics = task.metrics(statistics)
    first = next(iter(metrics), "")
    require(
        first == task.primary.name,
        who,
        "the primary metric comes first",
        f"it is {task.primary.name!r}, but metrics() starts with {first!r}",
    )
    if task.primary.mean_of is not None:
        mean = statistics[:, task.primary.mean_of].double().nanmean().item()
        same = abs(mean - metrics[first]) <= 1e-4 * max(1, abs(mean))
        how = f"the mean of column {task.primary.mean_of} is {mean:.6g}, {first} is {metrics[first]:.6g}"
        require(same, who, "Metric.mean_of names a column whose mean is the metric", how)
    reversed_ = task.metrics(statistics.flip(0))
    same = all(abs(reversed_[name] - value) <= 1e-6 * max(1, abs(value)) for name, value in metrics.items())
    require(same, who, "metrics do not depend on the order of the samples", "they do, or one is NaN")


RULES: tuple[Callable[[str, Task], None], ...] = (
    _shapes,
    _learns,
    _without_labels,
    _finite,
    _one_strength,
    _no_gradient_at_teacher,
    _mixing,
    _metrics,
)


def _outputs(task: Task) -> tuple[Tensor, ...]:
    return tuple(outputs_for(task, k) for k in range(TEACHERS))


def _weigh(task: Task, outputs: tuple[Tensor, ...]) -> Merged:
    weights = torch.full((len(outputs), SAMPLES, *task.elements), 1 / len(outputs))
    return Merged(outputs, weights)


def _gradient(task: Task, merged: Merged) -> Tensor:
    student = outputs_for(task, "student").requires_grad_()
    (found,) = torch.autograd.grad(task.kd_loss(student, merged, TEMPERATURE).sum(), student)
    return found
