"""Regression: one or several numbers per sample. Outputs ``[B, T]`` are in the user's units.

Losses and errors are taken in standard units: a target's deviation over the training labels is 1.
So several targets count the same, and models that are trained here start from the labels' mean.
Values in the user's units are float64: float32 tells no two labels apart that are 1 in 1.7e9.
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
from mtkd_cli.interfaces import Alignment, Details, LossOptions, Merged, Metric, Task, TaskData
from mtkd_cli.interfaces.label_space import on_classes
from mtkd_cli.interfaces.missing_labels import any_of, present
from mtkd_cli.reading.moments import mean_and_deviation
from mtkd_tasks.gaussian import LARGEST, SMALLEST, mixture, nll

if TYPE_CHECKING:
    from PIL.Image import Image

TINY, MOST = 1e-300, 690.0
"""Smallest variance that has a logarithm, largest logarithm of one that has a variance."""

POINTS = 500
"""Pairs of label and answer that a report shows at most."""


class Regression(Task):
    """Learns values, or values and their variances.

    Args:
        data: names of the values, and the labels that give their mean and deviation.
        loss: the recipe's; what is particular to classes is refused.
        objective: ``squared``; ``huber``; ``nll``: outputs are T means and T logarithms of
            variances, learnt by the Gaussian likelihood.
        delta: of ``huber``, where it turns linear, in deviations of the target.
        gate: a teacher that is further from a label than this, in deviations, is not heard on that
            sample (Chen et al., NIPS 2017; Takamoto et al., 2020); None: all are.
    """

    precision = "fp64"
    pictured = 300
    any_label_space = False

    def __init__(
        self,
        data: TaskData,
        loss: LossOptions,
        objective: str = "squared",
        delta: float = 1.0,
        gate: float | None = None,
    ) -> None:
        _refuse_class_settings(loss)
        self.names, self.objective, self.delta, self.gate = data.classes, objective, delta, gate
        self.mean, self.deviation = _moments(data.targets, data.classes)
        self.parts = 2 if objective == "nll" else 1
        self.outputs = self.parts * len(self.names)
        shift = tuple(2 * math.log(d) for d in self.deviation)
        more = (shift, (1.0,) * len(shift)) if objective == "nll" else ((), ())
        self.scale = (self.mean + more[0], self.deviation + more[1])
        self.primary = Metric("rmse" if len(self.names) == 1 else "nrmse", higher_is_better=False)

    def shaped(self, output: Any) -> Tensor:
        """Return values ``[B, T]``, or with ``nll`` means and log-variances ``[B, 2T]``.

        A module may answer a pair (mean, variance). Of one that gives no variances they are 0.
        """
        variance: Tensor | None = None
        if isinstance(output, tuple | list) and len(output) == 2:
            output, variance = (_columns(part) for part in output)
        values = _columns(output)
        if self.objective != "nll" or values.shape[1] == self.outputs:
            return values
        if variance is None and values.shape[1] != len(self.names):
            wanted = f"{len(self.names)} values, or as many and the logarithms of their variances"
            raise ValueError(f"{tuple(values.shape)}; the task needs (samples, {wanted})")
        variance = torch.zeros_like(values) if variance is None else variance
        return torch.cat([values, variance.clamp(min=TINY).log()], dim=1)

    def counted(self, outputs: int) -> int:
        """Return how many values so many outputs answer."""
        return outputs // self.parts

    def aligned(self, outputs: Tensor, alignment: Alignment) -> Tensor:
        """Return a teacher's values in the data's order."""
        if any(len(group) > 1 for group in alignment.groups):
            raise DataError("several values cannot stand for one", "map", "name one of them for each target")
        return torch.cat([on_classes(part, alignment) for part in outputs.chunk(self.parts, dim=1)], dim=1)

    def labelled(self, target: Tensor) -> Tensor:
        """Return which samples have a label of any target, ``[B]``."""
        return any_of(present(target))

    def heard(self, outputs: Sequence[Tensor], target: Tensor, known: Tensor | None) -> Tensor | None:
        """Return which teachers are near enough to the label, ``[K, B]``."""
        if self.gate is None:
            return None
        return self.error(outputs, target).sqrt() <= self.gate

    def error(self, outputs: Sequence[Tensor], target: Tensor) -> Tensor:
        """Return each teacher's squared error in standard units, ``[K, B]``: its mean is a variance."""
        return torch.stack([_over_targets(self._off(o, target).square(), target) for o in outputs])

    def uncertainty(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return the teachers' variances on a scale from 0 to 1, ``[K, B]``; all 0 where they give none."""
        if self.objective != "nll":
            return torch.stack([torch.zeros_like(output[:, 0], dtype=torch.float32) for output in outputs])
        variances = torch.stack(
            [self._log_variance(o.double()).clamp(max=MOST).exp().mean(dim=1) for o in outputs]
        )
        return variances / (1 + variances)

    def averageable(self, output: Tensor) -> Tensor:
        """Return values, and variances."""
        if self.objective != "nll":
            return output.double()
        mean, log_variance = output.double().chunk(2, dim=1)
        return torch.cat([mean, log_variance.clamp(max=MOST).exp()], dim=1)

    def as_output(self, averaged: Tensor) -> Tensor:
        """Return values, and log-variances."""
        if self.objective != "nll":
            return averaged
        mean, variance = averaged.chunk(2, dim=1)
        return torch.cat([mean, variance.clamp(min=TINY).log()], dim=1)

    def mix(self, merged: Merged) -> Tensor:
        """Return the weighted mean, with ``nll`` the mixture's mean and log-variance."""
        if merged.combined is not None:
            return merged.combined
        weights = merged.weights[..., None]  # type: ignore[index]
        outputs = torch.stack([self.averageable(output) for output in merged.outputs])
        if self.objective != "nll":
            return (weights * outputs).sum(dim=0)
        mean, variance = outputs.chunk(2, dim=2)
        return self.as_output(torch.cat(mixture(mean, variance, weights), dim=1))

    def kd_loss(self, student_output: Tensor, merged: Merged, temperature: float) -> Tensor:
        """Return the loss to the teachers, ``[B]``; values are not softened, so the temperature is 1.

        ``squared`` and ``nll`` are one loss to the mixture, ``huber`` the weighted sum over teachers.
        """
        if self.objective == "huber" and merged.combined is None:
            losses = [self._loss(student_output, output).mean(dim=1) for output in merged.outputs]
            return (merged.weights * torch.stack(losses)).sum(dim=0)  # type: ignore[operator]
        return self._loss(student_output, self.mix(merged)).mean(dim=1)

    def task_loss(self, student_output: Tensor, target: Tensor) -> Tensor:
        """Return the loss to the labels, ``[B]``, the mean over the targets that have one."""
        return _over_targets(self._loss(student_output, target), target)

    def statistics(self, output: Tensor, target: Tensor) -> Tensor:
        """Return T labels and T answers of each sample, ``[B, 2T]``."""
        return torch.cat([target.double(), output[:, : len(self.names)].double()], dim=1)

    def metrics(self, statistics: Tensor) -> dict[str, float]:
        """Return RMSE, MAE and R2; of several targets the RMSE in their deviations, and each one's own.

        R2 is the mean over the targets that vary; NaN if none does.
        """
        unit = torch.tensor(self.deviation, dtype=torch.float64)  # no square of tiny or huge values is lost
        label, answer = statistics.double().chunk(2, dim=1)
        off = (answer - label) / unit
        mse = off.square().nanmean(dim=0)
        centered = (label - _first(label)) / unit
        spread = (centered - centered.nanmean(dim=0)).square().nanmean(dim=0)
        # of a constant target undefined
        r2 = torch.where(spread > 0, 1 - mse / spread, math.nan).nanmean().item()
        if len(self.names) == 1:
            mae = (off.abs().nanmean(dim=0) * unit).item()
            return {"rmse": (mse.sqrt() * unit).item(), "mae": mae, "r2": r2}
        each = {f"rmse {n}": value.item() for n, value in zip(self.names, mse.sqrt() * unit, strict=True)}
        return {"nrmse": mse.nanmean().sqrt().item(), "r2": r2, **each}

    def details(self, statistics: Tensor) -> Details:
        """Return pairs of label and answer of each target."""
        labels, answers = statistics[:: max(1, -(-len(statistics) // POINTS))].chunk(2, dim=1)
        columns = zip(self.names, labels.T.tolist(), answers.T.tolist(), strict=True)
        pairs = {n: zip(label, answer, strict=True) for n, label, answer in columns}
        return Details(points={n: tuple((x, y) for x, y in p if not math.isnan(x)) for n, p in pairs.items()})

    def picture(self, inputs: NDArray[Any], answers: Mapping[str, Tensor], target: Tensor) -> Image | None:
        """Return answers and residuals against labels."""
        from mtkd_tasks.scatter import scatter

        columns = len(self.names)
        return scatter({n: o[:, :columns].numpy() for n, o in answers.items()}, target.numpy(), self.names)

    def _off(self, output: Tensor, target: Tensor) -> Tensor:
        """Return answer minus target in standard units, ``[B, T]``; 0 where there is no label."""
        count = len(self.names)
        answer, wanted = output[:, :count], target[:, :count]
        # Not masked afterwards: the gradient of what comes of NaN is NaN, even times 0.
        off = torch.where(present(wanted), answer.double() - wanted.double().nan_to_num(), 0)
        return off / _like(self.deviation, off)

    def _log_variance(self, output: Tensor) -> Tensor:
        """Return the log-variances of an output in standard units, ``[B, T]``."""
        return output[:, len(self.names) :] - 2 * _like(self.deviation, output).log()

    def _loss(self, student: Tensor, target: Tensor) -> Tensor:
        """Return the loss to labels ``[B, T]`` or to another output, ``[B, T]``."""
        off = self._off(student, target)
        if self.objective == "squared":
            return off.square()
        if self.objective == "huber":
            return F.huber_loss(off, torch.zeros_like(off), reduction="none", delta=self.delta)
        spread: Tensor | float = 0.0
        if target.shape[1] == self.outputs:
            spread = self._log_variance(target).exp().clamp(SMALLEST, LARGEST)
        return nll(off, self._log_variance(student), torch.zeros_like(off), spread)


def _refuse_class_settings(loss: LossOptions) -> None:
    """Raise if the recipe's loss has keys that have a meaning for classes only."""
    default = LossOptions()
    for key in ("temperature", "label_smoothing", "class_weights"):
        if getattr(loss, key) != getattr(default, key):
            raise UsageError(
                f"loss.{key} is for classes; a regression has none", f"loss.{key}", "leave it out"
            )


def _moments(targets: NDArray[Any], names: tuple[str, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation of each target's labels; a deviation of 0 counts as 1."""
    if targets.ndim != 2 or targets.shape[1] != len(names) or targets.dtype.kind != "f":
        raise DataError(
            f"targets are {targets.dtype} of shape {targets.shape}; a regression needs one number for each "
            f"of {', '.join(names)}",
            where="data",
            hint="use a data source that has values, such as table",
        )
    for name, column in zip(names, targets.T, strict=True):
        if not np.isfinite(column).any():
            raise DataError(f"no training label of {name!r}", "data", "raise data.labels, or leave it out")
    mean, deviation = mean_and_deviation(targets.astype(np.float64))
    return tuple(map(float, mean)), tuple(map(float, deviation))


def _like(values: tuple[float, ...], output: Tensor) -> Tensor:
    return torch.tensor(values, dtype=output.dtype, device=output.device)


def _first(label: Tensor) -> Tensor:
    """Return the first label of each target, ``[T]``; 0 where there is none."""
    there = present(label)
    first = label.gather(0, there.int().argmax(dim=0, keepdim=True))[0]
    return first.nan_to_num()


def _over_targets(values: Tensor, target: Tensor) -> Tensor:
    """Return the mean over the targets that have a label, ``[B]``; 0 where none has."""
    there = present(target)
    total: Tensor = torch.where(there, values, 0).sum(dim=1)
    return total / there.sum(dim=1).clamp(min=1)


def _columns(output: Any) -> Tensor:
    """Return an answer as ``[B, T]`` float64.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(output, Tensor):
        raise ValueError(f"a {type(output).__name__}; the task needs a tensor (samples, values)")
    if output.dim() not in (1, 2):
        raise ValueError(f"{tuple(output.shape)}; the task needs (samples, values)")
    return output.double().reshape(output.shape[0], -1)  # not len(): a traced one is no fixed number
