"""Counts: how often something happens. Outputs are logarithms of rates, ``[B, C]``, one a kind of event."""

import torch
from torch import Tensor

from mtkd_cli.interfaces import LossOptions, Merged, Metric, Task, TaskData

LARGEST = 20.0
"""Largest logarithm of a rate; nothing happens more often than 485 million times."""

SMALLEST = 1e-9
"""Smallest rate that has a logarithm here."""


class Counts(Task):
    """Learns Poisson rates. Labels are counts ``[N, C]`` as floats, NaN where unknown."""

    primary = Metric("deviance", higher_is_better=False, mean_of=0)
    precision = "fp32"
    any_label_space = False

    def __init__(self, data: TaskData, loss: LossOptions) -> None:
        self.outputs = len(data.classes)

    def averageable(self, output: Tensor) -> Tensor:
        """Return rates: they may be averaged, their logarithms may not."""
        return output.float().clamp(-LARGEST, LARGEST).exp()

    def as_output(self, averaged: Tensor) -> Tensor:
        """Return logarithms of rates."""
        return averaged.clamp(min=SMALLEST).log()

    def kd_loss(self, student_output: Tensor, merged: Merged, temperature: float) -> Tensor:
        """Return the deviance from the teachers' rate, ``[B]``."""
        return deviance(student_output, self.averageable(self.mix(merged)))

    def task_loss(self, student_output: Tensor, target: Tensor) -> Tensor:
        """Return the deviance from the labels, ``[B]``; 0 where there is none."""
        return deviance(student_output, target)

    def statistics(self, output: Tensor, target: Tensor) -> Tensor:
        """Return deviance and mean absolute error of each sample, ``[B, 2]``; NaN without a label."""
        off = (self.averageable(output) - target).abs().nanmean(dim=1)
        lost = torch.where(self.labelled(target), self.task_loss(output, target), torch.nan)
        return torch.stack([lost, off], dim=1)

    def metrics(self, statistics: Tensor) -> dict[str, float]:
        """Return the mean deviance, and the mean absolute error in events."""
        lost, off = statistics.double().nanmean(dim=0).tolist()
        return {"deviance": lost, "mae": off}


def deviance(output: Tensor, count: Tensor) -> Tensor:
    """Return ``2 (y log(y / rate) - y + rate)``, the mean over the counts that are known, ``[B]``."""
    known, count = count.isfinite(), count.nan_to_num().clamp(min=0)
    log_rate = output.float().clamp(-LARGEST, LARGEST)
    lost = torch.special.xlogy(count, count) - count * log_rate - count + log_rate.exp()
    return 2 * (lost * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)
