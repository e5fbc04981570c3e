"""A task for counts of events. Outputs are log-rates ``[B, C]``, one per kind of event."""

import torch
from torch import Tensor

from mtkd_cli.interfaces import LossOptions, Merged, Metric, Task, TaskData

LARGEST = 20.0
"""Maximum log-rate; it allows 485 million events per sample."""

SMALLEST = 1e-9
"""Minimum rate, so that its logarithm is finite."""


class Counts(Task):
    """Learns Poisson rates. Labels are counts ``[N, C]`` as floats; NaN means no label."""

    primary = Metric("deviance", higher_is_better=False, mean_of=0)
    precision = "fp32"
    any_label_space = False

    def __init__(self, data: TaskData, loss: LossOptions) -> None:
        self.outputs = len(data.classes)

    def to_averageable(self, output: Tensor) -> Tensor:
        """Return rates, which may be averaged; log-rates may not."""
        return output.float().clamp(-LARGEST, LARGEST).exp()

    def from_averageable(self, averaged: Tensor) -> Tensor:
        """Return log-rates."""
        return averaged.clamp(min=SMALLEST).log()

    def kd_loss(self, student_output: Tensor, merged: Merged, temperature: float) -> Tensor:
        """Return the deviance from the teachers' mean rate, ``[B]``."""
        return deviance(student_output, self.to_averageable(self.mix(merged)))

    def task_loss(self, student_output: Tensor, target: Tensor) -> Tensor:
        """Return the deviance from the labels, ``[B]``; 0 without a label."""
        return deviance(student_output, target)

    def statistics(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the deviance and mean absolute error of each sample, ``[B, 2]``; NaN without a label."""
        errors = (self.to_averageable(output) - target).abs().nanmean(dim=1)
        losses = torch.where(self.labeled(target), self.task_loss(output, target), torch.nan)
        return torch.stack([losses, errors], dim=1)

    def metrics(self, statistics: Tensor) -> dict[str, float]:
        """Return the mean deviance and the mean absolute error, in events."""
        loss, error = statistics.double().nanmean(dim=0).tolist()
        return {"deviance": loss, "mae": error}


def deviance(output: Tensor, count: Tensor) -> Tensor:
    """Return ``2 (y log(y / rate) - y + rate)``, averaged over the labeled counts, ``[B]``."""
    has_label, count = count.isfinite(), count.nan_to_num().clamp(min=0)
    log_rate = output.float().clamp(-LARGEST, LARGEST)
    losses = torch.special.xlogy(count, count) - count * log_rate - count + log_rate.exp()
    return 2 * (losses * has_label).sum(dim=1) / has_label.sum(dim=1).clamp(min=1)
