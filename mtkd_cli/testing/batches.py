"""Batches of made-up teachers for any task: the same numbers each time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli import counter_rng
from mtkd_cli.errors import PluginError
from mtkd_cli.interfaces import AggregationBatch, InputSpec, LossOptions, Task, TaskData
from mtkd_cli.plugin.registry import installed
from mtkd_cli.specs import TaskSpec
from mtkd_cli.testing.broken import NotCheckedError

CLASSES = ("ant", "bee", "cat", "dog", "eel")
NAMES = ("first", "second", "third")
SOURCES = ("photo", "sketch")
"""Values of the metadata column ``source``, in turn."""

SAMPLES = 8
SIDE = 4
"""Pixels of a made-up input's side."""

TEMPERATURE = 2.0


def numbers(*shape: int, of: tuple[str | int, ...] = ()) -> Tensor:
    """Return outputs from -4 to 4, a function of ``of``."""
    return counter_rng.torch_uniform(shape, "check", *of) * 8 - 4


def task_of(name: str) -> Task:
    """Return an installed task, made for five classes (or values)."""
    spec = installed().find("tasks", name).spec
    if not isinstance(spec, TaskSpec):
        raise TypeError(spec)
    return make_task(spec, {option.name: option.default for option in spec.options})


def make_task(spec: TaskSpec, options: dict[str, Any]) -> Task:
    """Return a task for five classes, or five values where its labels are no classes.

    Raises:
        NotCheckedError: its labels are neither, so none can be made up.
        PluginError: methods or attributes are missing.
    """
    factory, shown = spec.load(), InputSpec(SIDE, (0.5,), (0.25,), 1)
    reasons = []
    for targets in (np.arange(40) % len(CLASSES), _values(40)):
        try:
            task: Task = factory(data=TaskData(CLASSES, targets, shown), loss=LossOptions(), **options)
            target = targets_for(task)
            outputs = tuple(outputs_for(task, k) for k in range(2))
            if task.error(outputs, target).shape == (2, SAMPLES, *task.elements):
                return task
            reasons.append("error() is not [K, B, *]")
        except PluginError:  # an incomplete task, whatever its labels
            raise
        except Exception as error:
            reasons.append(f"{type(error).__name__}: {error}")
    why = "; ".join(dict.fromkeys(reasons))
    raise NotCheckedError(f"the task {spec.name!r} takes neither class numbers nor values as labels: {why}")


def outputs_for(task: Task, teacher: int | str) -> Tensor:
    """Return one teacher's outputs ``[B, C, *]``."""
    return numbers(SAMPLES, task.outputs, *task.elements, of=("teacher", teacher))


def targets_for(task: Task, every: int = 1) -> Tensor:
    """Return labels of which every ``every``-th sample's are there."""
    if task.over_classes:
        count = SAMPLES * int(np.prod(task.elements, dtype=int))
        labels = torch.arange(count).view(SAMPLES, *task.elements) % task.outputs
    else:
        labels = torch.from_numpy(_values(SAMPLES))
    hidden = -1 if task.over_classes else torch.nan
    there = (torch.arange(SAMPLES) % every == 0).view(-1, *(1,) * (labels.dim() - 1))
    return torch.where(there, labels, hidden)


def batch_for(task: Task, teachers: int = 3, **changes: Any) -> AggregationBatch:
    """Return a batch of which every other sample is labelled; ``changes`` replaces fields of it."""
    target = targets_for(task, every=2)
    batch = AggregationBatch(
        outputs=tuple(outputs_for(task, k) for k in range(teachers)),
        teacher_names=NAMES[:teachers],
        sample_ids=tuple(f"sample-{i}" for i in range(SAMPLES)),
        temperature=TEMPERATURE,
        progress=0.5,
        task=task,
        target=target,
        labelled=task.labelled(target),
        student_output=outputs_for(task, "student"),
        metadata={"source": np.array(SOURCES * (SAMPLES // len(SOURCES)))},
        draw=lambda name, shape: counter_rng.torch_uniform(shape, "check", name),
    )
    return replace(batch, **changes)


def _values(samples: int) -> NDArray[np.float32]:
    """Return labels that are values, ``[N, 5]``: 0 or 1, so they may be yes and no as well."""
    return counter_rng.generator("check", "labels").integers(0, 2, (samples, len(CLASSES))).astype(np.float32)
