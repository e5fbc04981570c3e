"""Check that a task keeps its promises, on made-up outputs and labels."""

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
    """Check a task of five classes or values.

    Raises:
        BrokenRuleError: the first rule that is broken, and how.
        NotCheckedError: its labels are neither class numbers nor values.
    """
    defaults = {option.name: option.default for option in spec.options}
    who = f"the task {spec.name!r}"
    try:
        task = make_task(spec, {**defaults, **(options or {})})
    except PluginError as error:
        raise BrokenRuleError(
            f"{who} breaks the rule 'it is complete': {error.what}; {error.hint}"
        ) from error
    for rule in (*RULES, *((_combined,) if spec.averages else ())):
        rule(who, task)


def _shapes(who: str, task: Task) -> None:
    outputs, target = _outputs(task), targets_for(task, every=2)
    each = (SAMPLES, *task.elements)
    found = {
        "error": (task.error(outputs, target), (TEACHERS, *each)),
        "uncertainty": (task.uncertainty(outputs), (TEACHERS, *each)),
        "kd_loss": (task.kd_loss(outputs[0], _weighted(task, outputs), TEMPERATURE), each),
        "task_loss": (task.task_loss(outputs[0], target), each),
        "labelled": (task.labelled(target), each),
        "mix": (task.mix(_weighted(task, outputs)), tuple(outputs[0].shape)),
    }
    for name, (value, shape) in found.items():
        got = tuple(value.shape)
        require(got == shape, who, "one answer for each element", f"{name} gives {got}, not {shape}")
    unsure = found["uncertainty"][0]
    inside = bool(((unsure >= 0) & (unsure <= 1 + NEAR)).all())
    require(inside, who, "uncertainty is from 0 to 1", f"one is {unsure.max().item():.4g}")


def _without_labels(who: str, task: Task) -> None:
    outputs, target = _outputs(task), targets_for(task, every=2)
    silent = ~task.labelled(target)
    for name, loss in (
        ("error", task.error(outputs, target)),
        ("task_loss", task.task_loss(outputs[0], target)),
    ):
        there = loss[..., silent] if name == "task_loss" else loss[:, silent]
        require(bool((there == 0).all()), who, "where there is no label there is no loss", f"{name} has one")


def _finite(who: str, task: Task) -> None:
    target = targets_for(task, every=2)
    certain = tuple(torch.where(output > 0, EXTREME, -EXTREME) for output in _outputs(task))
    for name, outputs in (("plain", _outputs(task)), ("extreme", certain)):
        values = [
            task.error(outputs, target),
            task.uncertainty(outputs),
            task.task_loss(outputs[0], target),
            task.mix(_weighted(task, outputs)),
            _gradient(task, _weighted(task, outputs)),
        ]
        finite = all(bool(torch.isfinite(value).all()) for value in values)
        require(finite, who, "finite", f"with {name} outputs something is NaN or infinity")


def _learns(who: str, task: Task) -> None:
    student = outputs_for(task, "student").requires_grad_()
    losses = {
        "kd_loss": task.kd_loss(student, _weighted(task, _outputs(task)), TEMPERATURE),
        "task_loss": task.task_loss(student, targets_for(task)),
    }
    for name, loss in losses.items():
        how = f"{name} was made of plain numbers"
        require(loss.requires_grad, who, "losses have a gradient at the student's output", how)


def _one_strength(who: str, task: Task) -> None:
    output = outputs_for(task, 0)
    one, three = (_gradient(task, _weighted(task, (output,) * k)) for k in (1, TEACHERS))
    require(
        bool((one - three).norm() <= NEAR * one.norm()),
        who,
        "K identical teachers give the gradient of one at the same strength",
        f"three give {(three.norm() / one.norm()).item():.6g} times that of one",
    )


def _taught_by_itself(who: str, task: Task) -> None:
    other = _gradient(task, _weighted(task, (outputs_for(task, 0),)))
    itself = _gradient(task, _weighted(task, (outputs_for(task, "student"),)))
    require(
        bool(itself.norm() <= 1e-4 * other.norm()),
        who,
        "a student that answers as its teacher has nothing to learn",
        f"its gradient is {(itself.norm() / other.norm()).item():.3g} times that of another's",
    )


def _combined(who: str, task: Task) -> None:
    output = outputs_for(task, 0)
    weighted = _gradient(task, _weighted(task, (output,)))
    combined = _gradient(task, Merged((output,), combined=output))
    require(
        bool((weighted - combined).norm() <= NEAR * weighted.norm()),
        who,
        "one combined answer teaches as the same answer with weight 1",
        f"it teaches {(combined.norm() / weighted.norm()).item():.6g} times as strongly",
    )


def _mixing(who: str, task: Task) -> None:
    output = outputs_for(task, 0)
    plain, again = (task.averageable(o) for o in (output, task.mix(replace(_weighted(task, (output,) * 2)))))
    same = bool(torch.allclose(plain, again, atol=1e-4))
    require(same, who, "the mixture of two that agree is what both say", "it is something else")
    back = task.averageable(task.as_output(plain))
    same = bool(torch.allclose(plain, back, atol=1e-4))
    require(same, who, "as_output undoes averageable", "it does not")


def _metrics(who: str, task: Task) -> None:
    output, target = outputs_for(task, 0), targets_for(task)
    statistics = task.statistics(output, target)
    require(len(statistics) == SAMPLES, who, "statistics are of each sample", f"they are {len(statistics)}")
    metrics = task.metrics(statistics)
    first = next(iter(metrics), "")
    require(
        first == task.primary.name,
        who,
        "the primary metric comes first",
        f"it is {task.primary.name!r}, metrics() begins with {first!r}",
    )
    if task.primary.mean_of is not None:
        mean = statistics[:, task.primary.mean_of].double().nanmean().item()
        same = abs(mean - metrics[first]) <= 1e-4 * max(1, abs(mean))
        how = f"the mean of column {task.primary.mean_of} is {mean:.6g}, {first} is {metrics[first]:.6g}"
        require(same, who, "Metric.mean_of names a column whose mean is the metric", how)
    turned = task.metrics(statistics.flip(0))
    same = all(abs(turned[name] - value) <= 1e-6 * max(1, abs(value)) for name, value in metrics.items())
    require(same, who, "metrics do not depend on the order of the samples", "they do, or they are NaN")


RULES: tuple[Callable[[str, Task], None], ...] = (
    _shapes,
    _learns,
    _without_labels,
    _finite,
    _one_strength,
    _taught_by_itself,
    _mixing,
    _metrics,
)


def _outputs(task: Task) -> tuple[Tensor, ...]:
    return tuple(outputs_for(task, k) for k in range(TEACHERS))


def _weighted(task: Task, outputs: tuple[Tensor, ...]) -> Merged:
    weights = torch.full((len(outputs), SAMPLES, *task.elements), 1 / len(outputs))
    return Merged(outputs, weights)


def _gradient(task: Task, merged: Merged) -> Tensor:
    student = outputs_for(task, "student").requires_grad_()
    (found,) = torch.autograd.grad(task.kd_loss(student, merged, TEMPERATURE).sum(), student)
    return found
