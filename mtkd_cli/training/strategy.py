"""Ask a strategy how much each teacher counts, and check its answer."""

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

GIVEN = ("labels", "student")
TOLERANCE = 1e-3
"""How far a sum of weights may be from 1; fp16 outputs need some."""


class Strategy:
    """A strategy in use: given only what its spec needs, its answers checked, its failures named."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.aggregator: Any = self._guarded("created", part.create)
        self.withheld = tuple(need for need in GIVEN if need not in part.spec.needs)
        wanted: list[tuple[str, tuple[str, ...]]] = [("weights or combine", ("weights", "combine"))]
        wanted += [("fit", ("fit",))] if "validation" in part.spec.needs else []
        for said, methods in wanted:
            if not any(hasattr(self.aggregator, method) for method in methods):
                raise self._wrong(f"has no {said}")

    def fit(self, validation: AggregationBatch) -> None:
        """Let the strategy learn from the validation split, if its spec needs it."""
        if "validation" in self.part.spec.needs:
            self._guarded("fitted", self.aggregator.fit, validation)

    def merge(self, batch: AggregationBatch) -> Merged:
        """Return the teachers' answers with their weights, or the combined answer.

        Raises:
            PluginError: the strategy raises, or its answer is no weighting.
        """
        given = batch.without(*self.withheld)
        before = [output._version for output in batch.outputs]
        merged = self._merged(given)
        if batch.any_unheard:
            weights = silenced(self._weights_of(merged), batch.heard, batch.declared_weights)
            merged = replace(merged, weights=weights)
        if before != [output._version for output in batch.outputs]:
            raise self._wrong("changed the teachers' outputs in place")
        return merged

    def _weights_of(self, merged: Merged) -> Tensor:
        if merged.weights is None:
            raise UsageError(
                f"the strategy {self.part.spec.name!r} is no weighting, so it can silence no teacher",
                where="strategy",
                hint="use a strategy that weighs teachers; or leave out the task's gate, store.on_nan: drop",
            )
        return merged.weights

    def refuse_partial(self, known: Tensor | None, gaps: bool = False) -> None:
        """Raise if the strategy is no weighting and teachers know some classes, or answer some samples, only.

        Raises:
            UsageError: what is combined class by class needs every teacher's answer on every class.
        """
        if (known is not None or gaps) and hasattr(self.aggregator, "combine"):
            needs = "answer every sample (store.on_nan: error)" if known is None else "know every class"
            raise UsageError(
                f"the strategy {self.part.spec.name!r} needs teachers that {needs}",
                where="strategy",
                hint=use_a_weighing_strategy(),
            )

    def _merged(self, batch: AggregationBatch) -> Merged:
        if hasattr(self.aggregator, "combine"):
            self.refuse_partial(batch.known)
            combined = self._guarded("asked for its target", self.aggregator.combine, batch)
            self._shaped(combined, tuple(batch.outputs[0].shape), "an output")
            return Merged(batch.outputs, combined=self._finite(combined), known=batch.known)
        weights = self._guarded("asked for weights", self.aggregator.weights, batch)
        return Merged(batch.outputs, weights=self._checked(weights, batch), known=batch.known)

    def _checked(self, weights: Tensor, batch: AggregationBatch) -> Tensor:
        of_samples = (len(batch.outputs), len(batch.sample_ids))
        of_elements = (*of_samples, *batch.task.elements)
        if not isinstance(weights, Tensor) or tuple(weights.shape) != of_samples:
            self._shaped(weights, of_elements, "weights")
        weights = weights.float()
        weights = weights.reshape(*weights.shape, *(1,) * (len(of_elements) - weights.dim()))
        total = weights.sum(dim=0)
        silent = total == 0
        if not ((weights >= 0).all() & (silent | ((total - 1).abs() < TOLERANCE)).all()):
            self._finite(weights)
            if (weights < 0).any():
                raise self._wrong("returned a negative weight")
            worst = total[(total - 1).masked_fill(silent, 0).abs().argmax()].item()
            raise self._wrong(f"returned weights that sum to {worst:.4g}, not to 1")
        return (weights / total.masked_fill(silent, 1)).expand(of_elements)

    def _shaped(self, answer: object, shape: tuple[int, ...], what: str) -> None:
        if not isinstance(answer, Tensor):
            raise self._wrong(f"returned {type(answer).__name__}; it must be a tensor")
        if tuple(answer.shape) != shape:
            raise self._wrong(f"returned {what} of shape {tuple(answer.shape)}; it must be {shape}")

    def _finite(self, answer: Tensor) -> Tensor:
        if not torch.isfinite(answer).all():
            raise self._wrong("returned NaN or infinity")
        return answer

    def _wrong(self, what: str) -> PluginError:
        return PluginError(
            f"the strategy {self.part.spec.name!r} {what}",
            where=self._where(),
            hint=self._hint(),
        )

    def _guarded(self, action: str, call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except MtkdError:
            raise
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"the strategy {self.part.spec.name!r} failed when it was {action}: "
                f"{type(error).__name__}: {error}",
                where=f"{self._where()} {_last_line(error)}".strip(),
                hint=self._hint(),
            ) from error

    def _where(self) -> str:
        return f"{self.part.plugin.distribution} {self.part.plugin.version}".strip()

    def _hint(self) -> str:
        mine = self.part.plugin.name == PREFIX
        return "mend it" if mine else "choose another strategy, or report it to its author"


def silenced(weights: Tensor, heard: Tensor, declared: Tensor | None = None) -> Tensor:
    """Return the weights of the teachers that are heard, sum 1 again; all 0 where none is.

    Where the strategy gave all the weight to teachers that are not heard, those that are share it
    equally: a label that some teacher knows is taught by a teacher. One to which the recipe gives
    weight 0 takes no share.

    Args:
        weights: ``[K, B, *]``.
        heard: ``[K, B, *]`` bool, see `AggregationBatch.heard`.
        declared: ``[K]`` of the recipe's ``weight`` keys, or None.
    """
    kept = weights * heard
    stand_in = heard if declared is None else heard & (declared > 0).view(-1, *(1,) * (heard.dim() - 1))
    unheard = (kept.sum(dim=0) == 0) & (weights.sum(dim=0) > 0)
    kept = torch.where(unheard, stand_in.to(kept.dtype), kept)
    total = kept.sum(dim=0)
    return kept / total.masked_fill(total == 0, 1)


def _last_line(error: BaseException) -> str:
    """Return ``file:line`` where an error was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def mixture(task: Task, merged: Merged) -> Tensor:
    """Return what the ensemble answers, ``[B, C, *]``."""
    return task.mix(merged) if merged.combined is None else merged.combined
