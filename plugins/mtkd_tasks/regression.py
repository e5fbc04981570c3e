"""Regression: one or several numbers per sample. Outputs ``[B, T]`` are in the user's units.

Losses and errors are in standard units, in which each target has a standard deviation of 1 over the
training labels. So all targets have equal weight, and models that mtkd trains start at the labels' mean.
Values in the user's units are float64, because float32 cannot distinguish labels that differ by 1 in 1.7e9.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import (
    Alignment,
    Columns,
    Details,
    Labels,
    LossOptions,
    Merged,
    Metric,
    Task,
    TaskData,
)
from mtkd_cli.interfaces.label_space import align_logits
from mtkd_cli.interfaces.missing_labels import any_per_sample, label_mask
from mtkd_cli.reading.moments import mean_and_deviation
from mtkd_tasks.gaussian import MAX_VARIANCE, MIN_VARIANCE, mixture, nll

if TYPE_CHECKING:
    from PIL.Image import Image

TINY, MOST = 1e-300, 690.0
"""Lower bound of variances, and upper bound of their logarithms, in float64."""

POINTS = 500
"""Maximum number of pairs (label, prediction) in a report."""


class Regression(Task):
    """Learns values, or values and their variances.

    Args:
        data: names of the targets, and labels for their mean and standard deviation.
        loss: loss options of the recipe; options for classes are rejected.
        objective: ``squared``; ``huber``; or ``nll``, the Gaussian likelihood of outputs of T means and T
            log-variances.
        delta: error above which ``huber`` is linear, in standard deviations.
        gate: error above which a teacher is ignored on a labeled sample, in standard deviations (Chen et al.,
            NIPS 2017; Takamoto et al., 2020); None: never.
    """

    precision = "fp64"
    pictured_samples = 300
    any_label_space = False
    columns: Columns

    def __init__(
        self,
        data: TaskData,
        loss: LossOptions,
        objective: str = "squared",
        delta: float = 1.0,
        gate: float | None = None,
    ) -> None:
        _reject_class_options(loss)
        self.names, self.objective, self.delta, self.gate = data.classes, objective, delta, gate
        self.mean, self.deviation = _moments(data.targets, data.classes)
        self.parts = 2 if objective == "nll" else 1
        self.outputs = self.parts * len(self.names)
        self.columns = Columns(wide={"label": len(self.names), "answer": len(self.names)})
        shift = tuple(2 * math.log(d) for d in self.deviation)
        more = (shift, (1.0,) * len(shift)) if objective == "nll" else ((), ())
        self.scale = (self.mean + more[0], self.deviation + more[1])
        self.primary = Metric("rmse" if len(self.names) == 1 else "nrmse", higher_is_better=False)

    def to_task_shape(self, output: Any) -> Tensor:
        """Return values ``[B, T]``, or with ``nll`` means and log-variances ``[B, 2T]``.

        A module may return a pair (mean, variance); missing variances are 0.
        """
        variance: Tensor | None = None
        if isinstance(output, tuple | list) and len(output) == 2:
            output, variance = (_as_columns(part) for part in output)
        values = _as_columns(output)
        if self.objective != "nll" or values.shape[1] == self.outputs:
            return values
        if variance is None and values.shape[1] != len(self.names):
            wanted = f"{len(self.names)} values, or as many and the logarithms of their variances"
            raise ValueError(f"{tuple(values.shape)}; the task needs (samples, {wanted})")
        variance = torch.zeros_like(values) if variance is None else variance
        return torch.cat([values, variance.clamp(min=TINY).log()], dim=1)

    def class_count(self, outputs: int) -> int:
        """Return the number of targets for a number of outputs."""
        return outputs // self.parts

    def align(self, outputs: Tensor, alignment: Alignment) -> Tensor:
        """Return a teacher's outputs in the order of the data's targets.

        Raises:
            DataError: several values are mapped to one target.
        """
        if any(len(group) > 1 for group in alignment.groups):
            raise DataError("several values are mapped to one target", "map", "map one value to each target")
        return torch.cat([align_logits(part, alignment) for part in outputs.chunk(self.parts, dim=1)], dim=1)

    def labeled(self, target: Tensor) -> Tensor:
        """Return which samples have a label of any target, ``[B]``."""
        return any_per_sample(label_mask(target))

    def can_mix(self, kind: str) -> bool:
        """Whether values of two samples can be mixed: with mixup; a cut image has no known value."""
        return kind == "mixup"

    def mix_labels(self, first: Tensor, second: Tensor, share: Tensor) -> Labels:
        """Return the mixed values; where one value is missing, the other has its own share."""
        own = share.to(first.dtype).unsqueeze(1)  # [B] -> [B, 1]
        mixed = own * first + (1 - own) * second  # NaN where one is missing
        only_first, only_second = (
            value.masked_fill(label_mask(other), torch.nan)
            for value, other in ((first, second), (second, first))
        )
        parts = ((mixed, torch.ones_like(share)), (only_first, share), (only_second, 1 - share))
        return Labels(mixed, parts)

    def usage_mask(self, outputs: Sequence[Tensor], target: Tensor, known: Tensor | None) -> Tensor | None:
        """Return which teachers are within the gate of the label, ``[K, B]``; None without a gate."""
        if self.gate is None:
            return None
        return self.error(outputs, target).sqrt() <= self.gate

    def error(self, outputs: Sequence[Tensor], target: Tensor) -> Tensor:
        """Return each teacher's squared error in standard units, ``[K, B]``: its mean is a variance."""
        return torch.stack([_over_targets(self._off(o, target).square(), target) for o in outputs])

    def uncertainty(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return the teachers' variances, scaled to 0 to 1, ``[K, B]``; 0 if they have none."""
        if self.objective != "nll":
            return torch.stack([torch.zeros_like(output[:, 0], dtype=torch.float32) for output in outputs])
        variances = torch.stack(
            [self._log_variance(o.double()).clamp(max=MOST).exp().mean(dim=1) for o in outputs]
        )
        return variances / (1 + variances)

    def to_averageable(self, output: Tensor) -> Tensor:
        """Return values ``[B, T]``; with ``nll`` values and variances ``[B, 2T]``."""
        if self.objective != "nll":
            return output.double()
        mean, log_variance = output.double().chunk(2, dim=1)
        return torch.cat([mean, log_variance.clamp(max=MOST).exp()], dim=1)

    def from_averageable(self, averaged: Tensor) -> Tensor:
        """Return values ``[B, T]``; with ``nll`` values and log-variances ``[B, 2T]``."""
        if self.objective != "nll":
            return averaged
        mean, variance = averaged.chunk(2, dim=1)
        return torch.cat([mean, variance.clamp(min=TINY).log()], dim=1)

    def mix(self, merged: Merged) -> Tensor:
        """Return the weighted mean; with ``nll`` the mixture's mean and log-variance."""
        if merged.combined is not None:
            return merged.combined
        weights = merged.weights.double()[..., None]  # type: ignore[union-attr]
        total = weights.sum(dim=0)
        # In float32 the sum is off by 1e-7, and the mixture by so much of the values.
        weights = weights / torch.where(total > 0, total, 1)
        outputs = torch.stack([self.to_averageable(output) for output in merged.outputs])
        if self.objective != "nll":
            return (weights * outputs).sum(dim=0)
        mean, variance = outputs.chunk(2, dim=2)
        return self.from_averageable(torch.cat(mixture(mean, variance, weights), dim=1))

    def kd_loss(self, student_output: Tensor, merged: Merged, temperature: float) -> Tensor:
        """Return the loss to the teachers, ``[B]``; values are not softened, so the temperature is 1.

        ``squared`` and ``nll`` are one loss to the mixture, ``huber`` the weighted sum over teachers.
        """
        if self.objective == "huber" and merged.combined is None:
            losses = [self._loss(student_output, output).mean(dim=1) for output in merged.outputs]
            return (merged.weights * torch.stack(losses)).sum(dim=0)  # type: ignore[operator]
        return self._loss(student_output, self.mix(merged)).mean(dim=1)

    def task_loss(self, student_output: Tensor, target: Tensor) -> Tensor:
        """Return the loss to the labels, ``[B]``, the mean over the labeled targets."""
        return _over_targets(self._loss(student_output, target), target)

    def statistics(self, output: Tensor, target: Tensor) -> Tensor:
        """Return T labels and T predictions of each sample, ``[B, 2T]``."""
        return self.columns.pack(label=target.double(), answer=output[:, : len(self.names)].double())

    def metrics(self, statistics: Tensor) -> dict[str, float]:
        """Return RMSE, MAE and R2; for several targets the RMSE in standard units, R2, and the RMSE of each.

        R2 is the mean over the targets that are not constant; NaN if all are.
        """
        unit = torch.tensor(self.deviation, dtype=torch.float64)  # avoids overflow and underflow of squares
        found = self.columns.unpack(statistics.double())
        label = found["label"]
        off = (found["answer"] - label) / unit
        mse = off.square().nanmean(dim=0)
        centered = (label - _first(label)) / unit
        spread = (centered - centered.nanmean(dim=0)).square().nanmean(dim=0)
        # undefined for a constant target
        r2 = torch.where(spread > 0, 1 - mse / spread, math.nan).nanmean().item()
        if len(self.names) == 1:
            mae = (off.abs().nanmean(dim=0) * unit).item()
            return {"rmse": (mse.sqrt() * unit).item(), "mae": mae, "r2": r2}
        each = {f"rmse {n}": value.item() for n, value in zip(self.names, mse.sqrt() * unit, strict=True)}
        return {"nrmse": mse.nanmean().sqrt().item(), "r2": r2, **each}

    def details(self, statistics: Tensor) -> Details:
        """Return pairs (label, prediction) of each target."""
        found = self.columns.unpack(statistics[:: max(1, -(-len(statistics) // POINTS))])
        columns = zip(self.names, found["label"].T.tolist(), found["answer"].T.tolist(), strict=True)
        pairs = {n: zip(label, answer, strict=True) for n, label, answer in columns}
        return Details(points={n: tuple((x, y) for x, y in p if not math.isnan(x)) for n, p in pairs.items()})

    def picture(self, inputs: NDArray[Any], answers: Mapping[str, Tensor], target: Tensor) -> Image | None:
        """Return plots of predictions and residuals against labels."""
        from mtkd_tasks.scatter import scatter

        columns = len(self.names)
        return scatter({n: o[:, :columns].numpy() for n, o in answers.items()}, target.numpy(), self.names)

    def _off(self, output: Tensor, target: Tensor) -> Tensor:
        """Return prediction minus target in standard units, ``[B, T]``; 0 where there is no label."""
        count = len(self.names)
        answer, wanted = output[:, :count], target[:, :count]
        # Mask before the arithmetic: gradients through NaN are NaN, even if multiplied by 0.
        off = torch.where(label_mask(wanted), answer.double() - wanted.double().nan_to_num(), 0)
        return off / _like(self.deviation, off)

    def _log_variance(self, output: Tensor) -> Tensor:
        """Return the log-variances of an output in standard units, ``[B, T]``."""
        return output[:, len(self.names) :] - 2 * _like(self.deviation, output).log()

    def _loss(self, student: Tensor, target: Tensor) -> Tensor:
        """Return the loss ``[B, T]`` to labels ``[B, T]`` or to another output."""
        off = self._off(student, target)
        if self.objective == "squared":
            return off.square()
        if self.objective == "huber":
            return F.huber_loss(off, torch.zeros_like(off), reduction="none", delta=self.delta)
        spread: Tensor | float = 0.0
        if target.shape[1] == self.outputs:
            spread = self._log_variance(target).exp().clamp(MIN_VARIANCE, MAX_VARIANCE)
        return nll(off, self._log_variance(student), torch.zeros_like(off), spread)


def _reject_class_options(loss: LossOptions) -> None:
    """Raise `UsageError` if the recipe sets loss options that only apply to classes."""
    default = LossOptions()
    for key in ("temperature", "label_smoothing", "class_weights"):
        if getattr(loss, key) != getattr(default, key):
            raise UsageError(
                f"loss.{key} requires classes; a regression has none", f"loss.{key}", "remove it"
            )


def _moments(targets: NDArray[Any], names: tuple[str, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each target; a deviation of 0 becomes 1.

    Raises:
        DataError: the targets are not numbers, or a target has no label.
    """
    if targets.ndim != 2 or targets.shape[1] != len(names) or targets.dtype.kind != "f":
        raise DataError(
            f"targets are {targets.dtype} of shape {targets.shape}; a regression needs one number for each "
            f"of {', '.join(names)}",
            where="data",
            hint="use a data source with values, such as table",
        )
    for name, column in zip(names, targets.T, strict=True):
        if not np.isfinite(column).any():
            raise DataError(
                f"no training label of {name!r}", "data", "increase data.labels, or remove the target"
            )
    mean, deviation = mean_and_deviation(targets.astype(np.float64))
    return tuple(map(float, mean)), tuple(map(float, deviation))


def _like(values: tuple[float, ...], output: Tensor) -> Tensor:
    """Return values ``[T]`` as a tensor with the type and device of ``output``."""
    return torch.tensor(values, dtype=output.dtype, device=output.device)


def _first(label: Tensor) -> Tensor:
    """Return the first label of each target, ``[T]``; 0 if there is none."""
    has_label = label_mask(label)
    first = label.gather(0, has_label.int().argmax(dim=0, keepdim=True))[0]
    return first.nan_to_num()


def _over_targets(values: Tensor, target: Tensor) -> Tensor:
    """Return the mean over the labeled targets, ``[B]``; 0 if there are none."""
    has_label = label_mask(target)
    total: Tensor = torch.where(has_label, values, 0).sum(dim=1)
    return total / has_label.sum(dim=1).clamp(min=1)


def _as_columns(output: Any) -> Tensor:
    """Return an output as ``[B, T]`` float64.

    Raises:
        ValueError: it is not a tensor of one or two dimensions.
    """
    if not isinstance(output, Tensor):
        raise ValueError(f"a {type(output).__name__}; the task needs a tensor (samples, values)")
    if output.dim() not in (1, 2):
        raise ValueError(f"{tuple(output.shape)}; the task needs (samples, values)")
    return output.double().reshape(output.shape[0], -1)  # not len(), which tracing would fix
