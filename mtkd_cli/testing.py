"""Checks that every strategy must pass: for plugin authors' tests, and our own.

from mtkd_cli.testing import check_strategy

def test_mine_is_a_strategy() -> None:
    check_strategy(Mine, SPEC)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtkd_cli import counters
from mtkd_cli.aggregate import GIVEN, TOLERANCE
from mtkd_cli.interfaces import AggregationBatch, InputSpec, Merged, Task, TaskData
from mtkd_cli.plugins import discover
from mtkd_cli.recipe import Loss
from mtkd_cli.specs import AggregatorSpec

CLASSES = ("ant", "bee", "cat", "dog", "eel")
NAMES = ("first", "second", "third")
SAMPLES = 8
TEMPERATURE = 2.0
EXTREME = 1e4
NEARLY = 95.0
"""A margin at which an entropy is a subnormal number."""


SAME_WEIGHT = 1e-5
"""How far a weight in float32 may be from what it must be."""

SAME_GRADIENT = 1e-6
"""How far a gradient may be from what it must be, as a share of its length."""


class BrokenRuleError(AssertionError):
    """A strategy does not do what every strategy promises; the message names the rule."""


def check_strategy(
    aggregator_factory: Callable[[], Any],
    spec: AggregatorSpec,
    task: Task | None = None,
    declared_weights: tuple[float, float, float] | None = None,
) -> None:
    """Check that a strategy keeps every rule.

    Args:
        aggregator_factory: makes a fresh strategy, its options chosen: ``lambda: Mine(power=2.0)``.
        spec: its spec.
        task: a task of five classes; default: the first that the spec serves, else classification.
        declared_weights: the three teachers' ``weight`` keys, for strategies that use them.

    Raises:
        BrokenRuleError: the first rule that is broken, and how.
    """
    bench = Bench(aggregator_factory, spec, task or _task(spec), declared_weights)
    for rule in RULES:
        rule(bench)


@dataclass(frozen=True)
class Bench:
    """A strategy under test, and the batches it is asked about."""

    create: Callable[[], Any]
    spec: AggregatorSpec
    task: Task
    declared: tuple[float, ...] | None = None

    def broken(self, rule: str, how: str) -> BrokenRuleError:
        """Return the error that names ``rule``."""
        return BrokenRuleError(f"the strategy {self.spec.name!r} breaks the rule {rule!r}: {how}")

    def batch(self, teachers: int = 3, **changes: Any) -> AggregationBatch:
        """Return a batch of which every other sample is labelled; ``changes`` replaces fields of it."""
        outputs = tuple(_numbers(SAMPLES, self.task.outputs, "teacher", k) for k in range(teachers))
        labels = np.arange(SAMPLES) % self.task.outputs
        target = torch.from_numpy(np.where(np.arange(SAMPLES) % 2, -1, labels))
        full = AggregationBatch(
            outputs=outputs,
            teacher_names=NAMES[:teachers],
            sample_ids=tuple(f"sample-{i}" for i in range(SAMPLES)),
            temperature=TEMPERATURE,
            progress=0.5,
            task=self.task,
            declared_weights=None if self.declared is None else torch.tensor(self.declared[:teachers]),
            target=target,
            labelled=target >= 0,
            student_output=_numbers(SAMPLES, self.task.outputs, "student"),
            draw=lambda name, shape: counters.torch_uniform(shape, "check", name),
        )
        return replace(full, **changes)

    def answer(self, batch: AggregationBatch, withheld: tuple[str, ...] | None = None) -> Any:
        """Return what a fresh strategy, fitted on the batch's teachers, answers."""
        strategy = self.create()
        if "validation" in self.spec.needs:
            target = torch.arange(SAMPLES) % self.task.outputs
            strategy.fit(
                replace(batch, target=target, labelled=target >= 0, progress=0.0, student_output=None)
            )
        undeclared = tuple(need for need in GIVEN if need not in self.spec.needs)
        batch = batch.without(*(undeclared if withheld is None else withheld))
        return strategy.combine(batch) if self.combines else strategy.weights(batch)

    @property
    def combines(self) -> bool:
        """Whether the strategy is no weighting."""
        return hasattr(self.create(), "combine")

    def checked(self, batch: AggregationBatch, of: str) -> Tensor:
        """Return the answer, having checked all that holds for any answer."""
        answer = self.answer(batch)
        first = batch.outputs[0]
        shape = tuple(first.shape) if self.combines else (len(batch.outputs), len(first))
        if not isinstance(answer, Tensor) or tuple(answer.shape) != shape:
            got = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
            raise self.broken("one answer for each sample", f"with {of} it gives {got}, not {shape}")
        near = SAME_WEIGHT if answer.dtype.itemsize >= 4 else TOLERANCE
        answer = answer.double()
        if not torch.isfinite(answer).all():
            raise self.broken("finite", f"with {of} it answers NaN or infinity")
        if self.combines:
            return answer
        if (answer < 0).any():
            raise self.broken("weights are >= 0", f"with {of} one is {answer.min().item():.4g}")
        total = answer.sum(dim=0)
        if ((total - 1).abs() > near).any():
            worst = total[(total - 1).abs().argmax()].item()
            raise self.broken("weights sum to 1 for each sample", f"with {of} they sum to {worst:.6g}")
        return answer

    def gradient(self, batch: AggregationBatch, of: str) -> Tensor:
        """Return the gradient of ``kd_loss`` at the student's output, the answer taken as it is."""
        answer = self.checked(batch, of).float()
        if self.combines:
            return self.gradient_to(Merged(batch.outputs, combined=answer))
        return self.gradient_to(Merged(batch.outputs, weights=answer))

    def gradient_to(self, merged: Merged) -> Tensor:
        """Return the gradient of ``kd_loss`` at the student's output."""
        student = _numbers(SAMPLES, self.task.outputs, "student").requires_grad_()
        loss = self.task.kd_loss(student, merged, TEMPERATURE).sum()
        (gradient,) = torch.autograd.grad(loss, student)
        return gradient

    @property
    def gradient_to_one(self) -> Tensor:
        """The gradient to the first teacher alone."""
        return self.gradient_to(Merged(self.batch(teachers=1).outputs, weights=torch.ones(1, SAMPLES)))


def _one_answer(bench: Bench) -> None:
    strategy = bench.create()
    if hasattr(strategy, "combine") == hasattr(strategy, "weights"):
        raise bench.broken("either weights or combine", "it has both, or neither")


def _declared_needs(bench: Bench) -> None:
    rule = "declared needs are true"
    if hasattr(bench.create(), "fit") != ("validation" in bench.spec.needs):
        raise bench.broken(rule, "it has fit() exactly if it needs 'validation'")
    try:
        bench.answer(bench.batch())
    except Exception as error:
        for need in GIVEN:
            rest = tuple(g for g in GIVEN if g not in (need, *bench.spec.needs))
            if need not in bench.spec.needs and _works(bench, rest):
                raise bench.broken(rule, f"it uses {need!r} but does not declare it") from error
        raise bench.broken("it answers", f"{type(error).__name__}: {error}") from error


def _works(bench: Bench, withheld: tuple[str, ...]) -> bool:
    try:
        bench.answer(bench.batch(), withheld)
    except Exception:
        return False
    return True


def _weighting(bench: Bench) -> None:
    nothing = torch.full((SAMPLES,), -1)
    half = tuple(output.half() for output in bench.batch().outputs)
    bench.checked(bench.batch(), "plain logits")
    bench.checked(bench.batch(outputs=half), "fp16 logits")
    bench.checked(bench.batch(target=nothing, labelled=nothing >= 0), "unlabelled samples")


def _extreme(bench: Bench) -> None:
    plain = bench.batch().outputs
    certain = tuple(torch.where(output > 0, EXTREME, -EXTREME) for output in plain)
    nearly = tuple(torch.where(output == output.amax(1, keepdim=True), NEARLY, 0.0) for output in plain)
    same = tuple(certain[0] for _ in plain)
    half = tuple(output.half() for output in certain)
    for outputs in (certain, nearly, same, half, (certain[0], *plain[1:])):
        batch = bench.batch(outputs=outputs)
        if not torch.isfinite(bench.gradient(batch, "extreme logits")).all():
            raise bench.broken("finite", "with extreme logits the gradient is NaN or infinity")


def _one_teacher(bench: Bench) -> None:
    gradient = bench.gradient(bench.batch(teachers=1), "one teacher")
    if not _same(gradient, bench.gradient_to_one):
        raise bench.broken("K = 1 works", "one teacher's gradient is not that teacher's own")


def _identical_teachers(bench: Bench) -> None:
    batch = bench.batch(outputs=bench.batch(teachers=1).outputs * 3)
    gradient, of_one = bench.gradient(batch, "identical teachers"), bench.gradient_to_one
    if not _same(gradient, of_one):
        strength = (gradient.norm() / of_one.norm()).item()
        raise bench.broken(
            "K identical teachers give the gradient of one at the same strength",
            f"three give {strength:.6g} times that of one",
        )


def _permuted(bench: Bench) -> None:
    batch = bench.batch()
    answer = bench.checked(batch, "plain logits")
    for order in ([2, 0, 1], [1, 0, 2]):
        turned = replace(
            batch,
            outputs=tuple(batch.outputs[k] for k in order),
            teacher_names=tuple(batch.teacher_names[k] for k in order),
            declared_weights=None if batch.declared_weights is None else batch.declared_weights[order],
        )
        expected = answer if bench.combines else answer[order]
        if not torch.allclose(bench.checked(turned, "permuted teachers"), expected, atol=SAME_WEIGHT):
            raise bench.broken(
                "permuting teachers with their names permutes the weights", f"not for the order {order}"
            )


def _repeatable(bench: Bench) -> None:
    batch = bench.batch()
    before = tuple(output.clone() for output in batch.outputs)
    with _global_random_state(bench):
        first, second = bench.answer(batch), bench.answer(batch)
    if not torch.equal(first, second):
        raise bench.broken("the same batch gives the same answer", "draw with batch.random(name, shape)")
    if not all(torch.equal(old, new) for old, new in zip(before, batch.outputs, strict=True)):
        raise bench.broken("the teachers' outputs are left as they are", "it changes them in place")


@contextmanager
def _global_random_state(bench: Bench) -> Iterator[None]:
    before = _random_states()
    yield
    for library, old, new in zip(("torch", "numpy", "random"), before, _random_states(), strict=True):
        if old != new:
            raise bench.broken(
                "no global random state is touched",
                f"it uses {library}'s; draw with batch.random(name, shape)",
            )


def _random_states() -> tuple[object, object, object]:
    kind, keys, *rest = np.random.get_state()
    return (
        torch.get_rng_state().numpy().tobytes(),
        (kind, np.asarray(keys).tobytes(), *rest),
        random.getstate(),
    )


RULES: tuple[Callable[[Bench], None], ...] = (
    _one_answer,
    _declared_needs,
    _weighting,
    _repeatable,
    _one_teacher,
    _identical_teachers,
    _permuted,
    _extreme,
)


def _task(spec: AggregatorSpec) -> Task:
    name = spec.tasks[0] if spec.tasks else "classification"
    task: Task = (
        discover()
        .find("tasks", name)
        .spec.load()(data=TaskData(CLASSES, np.arange(len(CLASSES)), InputSpec(8)), loss=Loss())
    )
    return task


def _numbers(rows: int, columns: int, *parts: str | int) -> Tensor:
    """Return logits from -4 to 4, the same each time."""
    return counters.torch_uniform((rows, columns), "check", *parts) * 8 - 4


def _same(gradient: Tensor, expected: Tensor) -> bool:
    return bool((gradient - expected).norm() <= SAME_GRADIENT * expected.norm())
