"""A strategy under test: its weights or combined output, and the resulting gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch, Merged, Task
from mtkd_cli.specs import AggregatorSpec
from mtkd_cli.testing.batches import SAMPLES, TEMPERATURE, batch_for, outputs_for, targets_for
from mtkd_cli.testing.broken import BrokenRuleError
from mtkd_cli.training.strategy import OPTIONAL_INPUTS, TOLERANCE

SAME_WEIGHT = 1e-5
"""Tolerance of a weight in float32."""


@dataclass(frozen=True)
class Bench:
    """A strategy under test, and the batches for it.

    Attributes:
        create: returns a new strategy.
        spec: its spec.
        task: task of the batches.
        declared: ``weight`` keys of the teachers, if the strategy uses them.
    """

    create: Callable[[], Any]
    spec: AggregatorSpec
    task: Task
    declared: tuple[float, ...] | None = None

    def broken(self, rule: str, how: str) -> BrokenRuleError:
        """Return the error that names ``rule``."""
        return BrokenRuleError(f"the strategy {self.spec.name!r} breaks the rule {rule!r}: {how}")

    def batch(self, teachers: int = 3, **changes: Any) -> AggregationBatch:
        """Return a batch in which every other sample is labeled; ``changes`` replaces fields of it."""
        declared = None if self.declared is None else torch.tensor(self.declared[:teachers])
        return batch_for(self.task, teachers, **{"declared_weights": declared, **changes})

    def answer(self, batch: AggregationBatch, withheld: tuple[str, ...] | None = None) -> Any:
        """Return the result of a new strategy, fitted on the batch if it needs validation."""
        return self.ask(self.fitted(batch), batch, withheld)

    def fitted(self, batch: AggregationBatch) -> Any:
        """Return a new strategy, fitted on the batch if it needs validation."""
        strategy = self.create()
        if "validation" in self.spec.needs:
            target = targets_for(self.task)
            labeled = self.task.labeled(target)
            strategy.fit(replace(batch, target=target, labeled=labeled, progress=0.0, student_output=None))
        return strategy

    def ask(self, strategy: Any, batch: AggregationBatch, withheld: tuple[str, ...] | None = None) -> Any:
        """Return a strategy's weights or combined output.

        Args:
            strategy: the strategy.
            batch: the batch.
            withheld: fields that the strategy does not get; default: all that its spec does not declare.
        """
        undeclared = tuple(need for need in OPTIONAL_INPUTS if need not in self.spec.needs)
        batch = batch.without(*(undeclared if withheld is None else withheld))
        return strategy.combine(batch) if self.combines else strategy.weights(batch)

    @property
    def combines(self) -> bool:
        """Whether the strategy returns a combined output instead of weights."""
        return hasattr(self.create(), "combine")

    def checked(self, batch: AggregationBatch, inputs: str, silence: bool = False) -> Tensor:
        """Return the weights or combined output in float64 after checking shape, range and sum.

        Args:
            batch: the batch.
            inputs: description of the batch, for messages.
            silence: whether all weights of an element may be 0.
        """
        answer = self.answer(batch)
        first = batch.outputs[0]
        teachers = len(batch.outputs)
        shapes = [(teachers, len(first)), (teachers, len(first), *self.task.elements)]
        if self.combines:
            shapes = [tuple(first.shape)]
        if not isinstance(answer, Tensor) or tuple(answer.shape) not in shapes:
            got = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
            raise self.broken(
                "one result for each sample", f"with {inputs} it returns {got}, not {shapes[-1]}"
            )
        tolerance = SAME_WEIGHT if answer.dtype.itemsize >= 4 else TOLERANCE
        answer = answer.double()
        if not torch.isfinite(answer).all():
            raise self.broken("finite", f"with {inputs} it returns NaN or infinity")
        if self.combines:
            return answer
        if (answer < 0).any():
            raise self.broken("weights are >= 0", f"with {inputs} one is {answer.min().item():.4g}")
        total = answer.sum(dim=0)  # [K, B, *] -> [B, *]
        error = (total - 1).abs().masked_fill((total == 0) & silence, 0)
        if (error > tolerance).any():
            worst = total.flatten()[error.argmax()].item()
            raise self.broken("weights sum to 1 for each sample", f"with {inputs} they sum to {worst:.6g}")
        return answer

    def gradient(self, batch: AggregationBatch, inputs: str) -> Tensor:
        """Return the gradient of ``kd_loss`` at the student's output, for the strategy's unchanged result."""
        answer = self.checked(batch, inputs).float()
        if self.combines:
            return self.gradient_to(Merged(batch.outputs, combined=answer))
        return self.gradient_to(self.weighted(batch.outputs, answer))

    def weighted(self, outputs: tuple[Tensor, ...], weights: Tensor) -> Merged:
        """Return outputs with weights ``[K, B]`` or ``[K, B, *]`` expanded to every element."""
        elements = self.task.elements
        # [K, B] -> [K, B, 1, ...] -> [K, B, *]
        weights = weights.reshape(*weights.shape, *(1,) * (2 + len(elements) - weights.dim()))
        return Merged(outputs, weights.expand(len(outputs), SAMPLES, *elements))

    def gradient_to(self, merged: Merged) -> Tensor:
        """Return the gradient of ``kd_loss`` at the student's output."""
        student = outputs_for(self.task, "student").requires_grad_()
        loss = self.task.kd_loss(student, merged, TEMPERATURE).sum()
        (gradient,) = torch.autograd.grad(loss, student)
        return gradient

    @property
    def gradient_to_one(self) -> Tensor:
        """The gradient with the first teacher as the only one."""
        return self.gradient_to(self.weighted(self.batch(teachers=1).outputs, torch.ones(1, SAMPLES)))
