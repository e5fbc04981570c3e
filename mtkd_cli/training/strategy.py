"""Call a strategy for the weights of the teachers, and validate what it returns."""

from __future__ import annotations

import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtkd_cli.errors import MtkdError, PluginError, UsageError
from mtkd_cli.interfaces import AggregationBatch, Merged, Task
from mtkd_cli.plugin.alternatives import use_a_weighing_strategy
from mtkd_cli.recipe.resolve import Part
from mtkd_cli.safe_loading.local_code import PREFIX

OPTIONAL_INPUTS = ("labels", "student")
"""Inputs that a strategy receives only if its spec needs them."""
TOLERANCE = 1e-3
"""Largest allowed deviation of a sum of weights from 1; fp16 outputs need some."""


class Strategy:
    """A strategy: receives only what its spec needs; what it returns is validated, and errors name it.

    Args:
        part: the strategy in the recipe and its plugin.
    """

    def __init__(self, part: Part) -> None:
        self.part = part
        self.aggregator: Any = self._call("create", part.create)
        self.per_sample, self.weighs = part.spec.per_sample, not hasattr(self.aggregator, "combine")
        self.withheld = tuple(need for need in OPTIONAL_INPUTS if need not in part.spec.needs)
        required: list[tuple[str, ...]] = [("weights", "combine")]
        required += [("fit",)] if "validation" in part.spec.needs else []
        for methods in required:
            if not any(hasattr(self.aggregator, method) for method in methods):
                raise self._error(f"has no method {' or '.join(methods)}")

    def fit(self, validation: AggregationBatch) -> None:
        """Fit the strategy to the validation split, if its spec needs it."""
        if "validation" in self.part.spec.needs:
            self._call("fit", self.aggregator.fit, validation)

    def merge(self, batch: AggregationBatch) -> Merged:
        """Return the teachers' outputs with their weights, or the combined output.

        Raises:
            PluginError: the strategy raises, or returns invalid weights or outputs.
        """
        given = batch.without(*self.withheld)
        before = [output._version for output in batch.outputs]
        merged = self._call_strategy(given)
        if batch.has_unused_teacher:
            weights = mask_weights(self._weights_of(merged), batch.usage_mask, batch.declared_weights)
            merged = replace(merged, weights=weights)
        if before != [output._version for output in batch.outputs]:
            raise self._error("changed the teachers' outputs in place")
        return merged

    def _weights_of(self, merged: Merged) -> Tensor:
        if merged.weights is None:
            raise UsageError(
                f"the strategy {self.part.spec.name!r} combines all outputs, so it cannot ignore a teacher",
                where="strategy",
                hint="use a strategy with weights, or remove the task's gate and store.on_nan: drop",
            )
        return merged.weights

    def require_full_outputs(self, known: Tensor | None, gaps: bool = False) -> None:
        """Raise if the strategy combines outputs and a teacher lacks classes or samples.

        Args:
            known: mask of the classes that each teacher knows, ``[K, C]``; None if all know all.
            gaps: whether a teacher may have no output for some samples.

        Raises:
            UsageError: a combined output needs every teacher's output for every class and sample.
        """
        if (known is not None or gaps) and not self.weighs:
            needs = "answer every sample (store.on_nan: error)" if known is None else "know every class"
            raise UsageError(
                f"the strategy {self.part.spec.name!r} needs teachers that {needs}",
                where="strategy",
                hint=use_a_weighing_strategy(),
            )

    def _call_strategy(self, batch: AggregationBatch) -> Merged:
        if not self.weighs:
            self.require_full_outputs(batch.known)
            combined = self._call("combine", self.aggregator.combine, batch)
            self._check_shape(combined, tuple(batch.outputs[0].shape), "an output")
            return Merged(batch.outputs, combined=self._check_finite(combined), known=batch.known)
        weights = self._call("weights", self.aggregator.weights, batch)
        return Merged(batch.outputs, weights=self._normalize(weights, batch), known=batch.known)

    def _normalize(self, weights: Tensor, batch: AggregationBatch) -> Tensor:
        """Validate weights ``[K, B]`` or ``[K, B, *]``; return ``[K, B, *]`` with sums of exactly 1, or 0."""
        per_sample = (len(batch.outputs), len(batch.sample_ids))
        per_element = (*per_sample, *batch.task.elements)
        if not isinstance(weights, Tensor) or tuple(weights.shape) != per_sample:
            self._check_shape(weights, per_element, "weights")
        weights = weights.float()
        # [K, B] -> [K, B, 1, ...]
        weights = weights.reshape(*weights.shape, *(1,) * (len(per_element) - weights.dim()))
        total = weights.sum(dim=0)  # [B, *]
        if is_normalized(weights, total):
            return (weights / total).expand(per_element)
        silent = total == 0
        if not ((weights >= 0).all() & (silent | ((total - 1).abs() < TOLERANCE)).all()):
            self._check_finite(weights)
            if (weights < 0).any():
                raise self._error("returned a negative weight")
            worst = total[(total - 1).masked_fill(silent, 0).abs().argmax()].item()
            raise self._error(f"returned weights that sum to {worst:.4g}, not to 1")
        return (weights / total.masked_fill(silent, 1)).expand(per_element)

    def _check_shape(self, output: object, shape: tuple[int, ...], what: str) -> None:
        if not isinstance(output, Tensor):
            raise self._error(f"returned {type(output).__name__}; it must be a tensor")
        if tuple(output.shape) != shape:
            raise self._error(f"returned {what} of shape {tuple(output.shape)}; it must be {shape}")

    def _check_finite(self, output: Tensor) -> Tensor:
        if not torch.isfinite(output).all():
            raise self._error("returned NaN or infinity")
        return output

    def _error(self, what: str) -> PluginError:
        return PluginError(
            f"the strategy {self.part.spec.name!r} {what}",
            where=self._where(),
            hint=self._hint(),
        )

    def _call(self, method: str, function: Any, *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except MtkdError:
            raise
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"the strategy {self.part.spec.name!r} failed in {method}: {type(error).__name__}: {error}",
                where=f"{self._where()} {_last_line(error)}".strip(),
                hint=self._hint(),
            ) from error

    def _where(self) -> str:
        return f"{self.part.plugin.distribution} {self.part.plugin.version}".strip()

    def _hint(self) -> str:
        is_local = self.part.plugin.name == PREFIX
        return "fix your code" if is_local else "use another strategy, or report the bug to its author"


def is_normalized(weights: Tensor, total: Tensor) -> bool:
    """Whether no weight is negative and no total far from 1, with one look at the numbers. False for NaN.

    Args:
        weights: weights, ``[K, B, *]``.
        total: their sum, ``[B, *]``.
    """
    if not weights.numel():
        return False
    least, smallest, largest = torch.stack([weights.min(), *total.aminmax()]).tolist()
    return bool(least >= 0 and smallest > 1 - TOLERANCE / 2 and largest < 1 + TOLERANCE / 2)


def mask_weights(weights: Tensor, usage_mask: Tensor, declared: Tensor | None = None) -> Tensor:
    """Set the weights of ignored teachers to 0 and rescale the others to sum to 1; all 0 if none is left.

    Where all the weight is on ignored teachers, the others share it equally, so that a label which some
    teacher knows is taught by a teacher. A teacher with weight 0 in the recipe gets no share.

    Args:
        weights: weights of the strategy, ``[K, B, *]``.
        usage_mask: mask of teachers that are not ignored, ``[K, B, *]``, see `AggregationBatch.usage_mask`.
        declared: ``weight`` keys of the recipe, ``[K]``, or None.
    """
    masked = weights * usage_mask
    # [K] -> [K, 1, ...]: teachers that may replace the ignored ones
    fallback = (
        usage_mask
        if declared is None
        else usage_mask & (declared > 0).view(-1, *(1,) * (usage_mask.dim() - 1))
    )
    # [B, *]: positions where all the weight was on ignored teachers
    unheard = (masked.sum(dim=0) == 0) & (weights.sum(dim=0) > 0)
    masked = torch.where(unheard, fallback.to(masked.dtype), masked)
    total = masked.sum(dim=0)
    return masked / total.masked_fill(total == 0, 1)


def _last_line(error: BaseException) -> str:
    """Return ``file:line`` where an error was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def mixture(task: Task, merged: Merged) -> Tensor:
    """Return the output of the ensemble, ``[B, C, *]``."""
    return task.mix(merged) if merged.combined is None else merged.combined
