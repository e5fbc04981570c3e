"""Check that a strategy follows every rule on every task that it supports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mtkd_cli.errors import type_and_first_line
from mtkd_cli.interfaces import Task
from mtkd_cli.interfaces.label_space import UNKNOWN
from mtkd_cli.interfaces.missing_labels import missing_labels_as
from mtkd_cli.plugin.registry import load_registry
from mtkd_cli.specs import AggregatorSpec
from mtkd_cli.testing import random_state
from mtkd_cli.testing.batches import SAMPLES, task_of
from mtkd_cli.testing.bench import SAME_WEIGHT, Bench
from mtkd_cli.testing.broken import NotCheckedError
from mtkd_cli.training.strategy import OPTIONAL_INPUTS

EXTREME = 1e4
NEARLY = 95.0
"""Logit margin at which the entropy is a subnormal number."""

SAME_GRADIENT = 1e-6
"""Tolerance of a gradient, relative to its norm."""


def check_strategy(
    aggregator_factory: Callable[[], Any],
    spec: AggregatorSpec,
    task: Task | None = None,
    declared_weights: tuple[float, float, float] | None = None,
) -> tuple[str, ...]:
    """Check that a strategy follows every rule.

    Args:
        aggregator_factory: returns a new strategy with its options: ``lambda: Mine(power=2.0)``.
        spec: spec of the strategy.
        task: a task of five classes or values; default: each task that the spec names, or every
            built-in task whose labels are class numbers or values.
        declared_weights: the three teachers' ``weight`` keys, for strategies that use them.

    Returns:
        The names of the tasks that it was checked on.

    Raises:
        BrokenRuleError: a rule is broken; names the first one.
        NotCheckedError: no task of the strategy could be created.
    """
    if task is not None:
        _check(Bench(aggregator_factory, spec, task, declared_weights))
        return ("the given one",)
    own = [entry.spec.name for entry in load_registry().listing("tasks") if entry.plugin.builtin]
    done, missing = [], []
    for name in spec.tasks or own:
        try:
            made = task_of(name)
        except NotCheckedError as error:
            missing.append(str(error))
            continue
        _check(Bench(aggregator_factory, spec, made, declared_weights))
        done.append(name)
    if not done:
        raise NotCheckedError("; ".join(missing))
    return tuple(done)


def _check(bench: Bench) -> None:
    for rule in RULES:
        rule(bench)


def _check_methods(bench: Bench) -> None:
    strategy = bench.create()
    if hasattr(strategy, "combine") == hasattr(strategy, "weights"):
        raise bench.broken("either weights or combine", "it has both, or neither")


def _declared_needs(bench: Bench) -> None:
    rule = "needs match what is used"
    if hasattr(bench.create(), "fit") != ("validation" in bench.spec.needs):
        raise bench.broken(rule, "it must have fit() if it needs 'validation', and only then")
    try:
        bench.answer(bench.batch())
    except Exception as error:
        for need in OPTIONAL_INPUTS:
            rest = tuple(g for g in OPTIONAL_INPUTS if g not in (need, *bench.spec.needs))
            if need not in bench.spec.needs and _works(bench, rest):
                raise bench.broken(rule, f"it uses {need!r} but does not declare it") from error
        raise bench.broken("no exceptions", type_and_first_line(error)) from error


def _works(bench: Bench, withheld: tuple[str, ...]) -> bool:
    try:
        bench.answer(bench.batch(), withheld)
    except Exception:
        return False
    return True


def _weighting(bench: Bench) -> None:
    batch = bench.batch()
    assert batch.target is not None  # noqa: S101  # what `batch_for` promises
    unlabeled = missing_labels_as(batch.target)
    bench.checked(batch, "plain outputs")
    bench.checked(bench.batch(outputs=tuple(output.half() for output in batch.outputs)), "fp16 outputs")
    bench.checked(
        bench.batch(target=unlabeled, labeled=bench.task.labeled(unlabeled)), "unlabeled samples only"
    )


def _partial(bench: Bench) -> None:
    """Check teachers that have only some of the classes. Runs refuse these for combining strategies."""
    task = bench.task
    if bench.combines or not (task.over_classes and task.any_label_space):
        return
    known = torch.ones(3, task.outputs, dtype=torch.bool)
    known[0, 0] = known[1, 1:3] = False
    batch = bench.batch()
    # [K, C] -> K of [1, C, 1, ...], which broadcasts to outputs [B, C, *]
    masks = (row.view(1, -1, *(1,) * len(task.elements)) for row in known)
    outputs = tuple(o.masked_fill(~mask, UNKNOWN) for o, mask in zip(batch.outputs, masks, strict=True))
    bench.checked(replace(batch, outputs=outputs, known=known), "teachers of other classes", silence=True)


def _extreme(bench: Bench) -> None:
    plain = bench.batch().outputs
    certain = tuple(torch.where(output > 0, EXTREME, -EXTREME) for output in plain)
    nearly = tuple(torch.where(output == output.amax(1, keepdim=True), NEARLY, 0.0) for output in plain)
    same = tuple(certain[0] for _ in plain)
    half = tuple(output.half() for output in certain)
    for outputs in (certain, nearly, same, half, (certain[0], *plain[1:])):
        batch = bench.batch(outputs=outputs)
        if not torch.isfinite(bench.gradient(batch, "extreme outputs")).all():
            raise bench.broken("finite", "with extreme outputs the gradient is NaN or infinity")


def _one_teacher(bench: Bench) -> None:
    gradient = bench.gradient(bench.batch(teachers=1), "one teacher")
    if not _same(gradient, bench.gradient_to_one):
        raise bench.broken("K = 1 works", "the gradient differs from that of the teacher with weight 1")


def _identical_teachers(bench: Bench) -> None:
    batch = bench.batch(outputs=bench.batch(teachers=1).outputs * 3)
    gradient, of_one = bench.gradient(batch, "identical teachers"), bench.gradient_to_one
    if not _same(gradient, of_one):
        strength = (gradient.norm() / of_one.norm()).item()
        raise bench.broken(
            "K identical teachers give the gradient of one at the same strength",
            f"three give {strength:.6g} times the gradient of one",
        )


def _permute_teachers(bench: Bench) -> None:
    batch = bench.batch()
    answer = bench.checked(batch, "plain outputs")
    for order in ([2, 0, 1], [1, 0, 2]):
        permuted = replace(
            batch,
            outputs=tuple(batch.outputs[k] for k in order),
            teacher_names=tuple(batch.teacher_names[k] for k in order),
            declared_weights=None if batch.declared_weights is None else batch.declared_weights[order],
        )
        expected = answer if bench.combines else answer[order]
        if not torch.allclose(bench.checked(permuted, "permuted teachers"), expected, atol=SAME_WEIGHT):
            raise bench.broken(
                "permuting teachers with their names permutes the weights", f"it does not for {order}"
            )


def _repeatable(bench: Bench) -> None:
    batch = bench.batch()
    before = tuple(output.clone() for output in batch.outputs)
    with random_state.check_untouched(f"the strategy {bench.spec.name!r}"):
        first, second = bench.answer(batch), bench.answer(batch)
    if not torch.equal(first, second):
        raise bench.broken("the same batch gives the same result", "draw with batch.random(name, shape)")
    strategy = bench.fitted(batch)
    first = bench.ask(strategy, batch)
    bench.ask(strategy, replace(batch, outputs=tuple(2 * o for o in batch.outputs), progress=0.5))
    if not torch.equal(first, bench.ask(strategy, batch)):
        raise bench.broken(
            "no state is kept between batches",
            "a resumed run would differ; use batch.progress for what changes in training",
        )
    if not all(torch.equal(old, new) for old, new in zip(before, batch.outputs, strict=True)):
        raise bench.broken("teacher outputs are not changed", "it changes them in place")


def _per_sample(bench: Bench) -> None:
    if not bench.spec.per_sample:
        return
    batch, half = bench.batch(), SAMPLES // 2
    strategy, dim = bench.fitted(batch), 0 if bench.combines else 1
    # the same first half; other samples, progress and random numbers
    changed = replace(
        batch,
        outputs=tuple(torch.cat([output[:half], output[:half]]) for output in batch.outputs),
        progress=batch.progress / 2,
        draw=lambda _, shape: torch.full(shape, 0.25),
    )
    first, second = (bench.ask(strategy, each).narrow(dim, 0, half) for each in (batch, changed))
    if not torch.allclose(first, second, atol=SAME_WEIGHT):
        raise bench.broken(
            "per_sample depends on the sample only",
            "it depends on other samples of the batch, the progress or random numbers; remove per_sample",
        )


RULES: tuple[Callable[[Bench], None], ...] = (
    _check_methods,
    _declared_needs,
    _weighting,
    _repeatable,
    _one_teacher,
    _identical_teachers,
    _permute_teachers,
    _partial,
    _extreme,
    _per_sample,
)


def _same(gradient: Tensor, expected: Tensor) -> bool:
    return bool((gradient - expected).norm() <= SAME_GRADIENT * expected.norm())
