"""Ask a strategy how much each teacher counts, and check its answer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mtkd_cli.errors import MtkdError, PluginError
from mtkd_cli.interfaces import AggregationBatch, Merged
from mtkd_cli.resolve import Part

GIVEN = ("labels", "student")


class Strategy:
    """A strategy in use: given only what its spec needs, its answers checked, its failures named."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.aggregator: Any = self._guarded("created", part.create)
        self.withheld = tuple(need for need in GIVEN if need not in part.spec.needs)

    def fit(self, validation: AggregationBatch) -> None:
        """Let the strategy learn from the validation split, if its spec needs it."""
        if "validation" in self.part.spec.needs:
            self._guarded("fitted", self.aggregator.fit, validation)

    def merge(self, batch: AggregationBatch) -> Merged:
        """Return the teachers' answers with their weights, or the combined answer.

        Raises:
            PluginError: the strategy raises, or its answer is no weighting.

        """
        batch = batch.without(*self.withheld)
        if hasattr(self.aggregator, "combine"):
            combined = self._guarded("asked for its target", self.aggregator.combine, batch)
            return Merged(batch.outputs, combined=self._finite(combined))
        weights = self._guarded("asked for weights", self.aggregator.weights, batch)
        return Merged(batch.outputs, weights=self._checked(weights, len(batch.outputs), batch.outputs[0]))

    def _checked(self, weights: Tensor, teachers: int, output: Tensor) -> Tensor:
        shape = (teachers, output.shape[0])
        if tuple(weights.shape) != shape:
            raise self._wrong(f"returned weights of shape {tuple(weights.shape)}; they must be {shape}")
        weights = self._finite(weights.float())
        total = weights.sum(dim=0)
        if (weights < 0).any():
            raise self._wrong("returned a negative weight")
        if not torch.isclose(total[total > 0], torch.ones(()), atol=1e-3).all():
            raise self._wrong(f"returned weights that sum to {total.max().item():.4g}, not to 1")
        return weights / total.clamp(min=torch.finfo(weights.dtype).tiny)

    def _finite(self, answer: Tensor) -> Tensor:
        if not torch.isfinite(answer).all():
            raise self._wrong("returned NaN or infinity")
        return answer

    def _wrong(self, what: str) -> PluginError:
        return PluginError(
            f"the strategy {self.part.spec.name!r} {what}",
            where=self._where(),
            hint="choose another strategy, or report it to its author",
        )

    def _guarded(self, action: str, call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except MtkdError:
            raise
        except Exception as error:
            raise PluginError(
                f"the strategy {self.part.spec.name!r} failed when it was {action}: "
                f"{type(error).__name__}: {error}",
                where=self._where(),
                hint="choose another strategy, or report it to its author",
            ) from error

    def _where(self) -> str:
        return f"{self.part.plugin.distribution} {self.part.plugin.version}".strip()
