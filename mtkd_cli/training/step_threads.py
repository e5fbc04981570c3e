"""Choose the CPU threads of the steps of a training by their work.

The rule is in `mtkd_cli.distributed.threads`.
"""

from __future__ import annotations

import numpy as np
from torch import nn

from mtkd_cli.distributed import group
from mtkd_cli.models.cost import STEP_PER_FORWARD, count_macs
from mtkd_cli.training.context import Context
from mtkd_cli.training.loop import Step
from mtkd_cli.training.training_data import TrainingData


def choose_threads(
    context: Context, name: str, module: nn.Module, data: TrainingData, batch_size: int
) -> int:
    """Return the number of threads of the steps of a training, and log it if it is not the limit.

    Args:
        context: the run.
        name: name of the phase.
        module: module that is trained.
        data: training samples.
        batch_size: number of samples in a batch of all processes.
    """
    if not context.threads.automatic or context.threads.limit == 1:
        return context.threads.limit
    views = data.views(Step(0, 0, 0.0, np.arange(min(2, len(data)))))
    beside = sum(count_macs(teacher, views) for teacher in data.live_teachers)
    macs = step_macs(count_macs(module, views), beside, batch_size, group.size())
    count = threads_of_step(context, macs)
    if count != context.threads.limit:
        context.progress.events.line_logged(f"{name}: {count} of {context.threads.limit} threads")
    return count


def threads_of_step(context: Context, macs: float) -> int:
    """Return the number of threads of a step with a number of multiply-adds; another device does the work."""
    return context.threads.of_step(macs) if context.device.type == "cpu" else context.threads.limit


def step_macs(student: float, live_teachers: float, batch_size: int, processes: int) -> float:
    """Return the multiply-adds of a training step in one process.

    Args:
        student: multiply-adds of one sample in a forward pass of the module that is trained.
        live_teachers: those of all teachers that run in every step.
        batch_size: number of samples in a batch of all processes.
        processes: number of processes.
    """
    return (STEP_PER_FORWARD * student + live_teachers) * batch_size / processes
