"""Synthetic batches of teacher outputs for any task, the same at every call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli import counter_rng
from mtkd_cli.errors import PluginError, type_and_first_line
from mtkd_cli.interfaces import AggregationBatch, InputSpec, LossOptions, Task, TaskData
from mtkd_cli.plugin.registry import load_registry
from mtkd_cli.specs import TaskSpec
from mtkd_cli.testing.broken import NotCheckedError

CLASSES = ("ant", "bee", "cat", "dog", "eel")
NAMES = ("first", "second", "third")
SOURCES = ("photo", "sketch")
"""Values of the metadata column ``source``, alternating."""

SAMPLES = 8
SIDE = 4
"""Side of a synthetic input in pixels."""

TEMPERATURE = 2.0


def random_outputs(*shape: int, key: tuple[str | int, ...] = ()) -> Tensor:
    """Return uniform outputs from -4 to 4, a function of shape and ``key``."""
    return counter_rng.torch_uniform(shape, "check", *key) * 8 - 4


def task_of(name: str) -> Task:
    """Return an installed task for five classes (or values)."""
    spec = load_registry().find("tasks", name).spec
    if not isinstance(spec, TaskSpec):
        raise TypeError(spec)
    return make_task(spec, {option.name: option.default for option in spec.options})


def make_task(spec: TaskSpec, options: dict[str, Any]) -> Task:
    """Return a task for five classes, or for five values if its labels are not classes.

    Raises:
        NotCheckedError: the task takes other labels, which cannot be synthesized.
        PluginError: methods or attributes are missing.
    """
    factory, input_spec = spec.load(), InputSpec(SIDE, (0.5,), (0.25,), 1)
    reasons = []
    for targets in (np.arange(40) % len(CLASSES), _values(40)):
        try:
            task: Task = factory(data=TaskData(CLASSES, targets, input_spec), loss=LossOptions(), **options)
            target = targets_for(task)
            outputs = tuple(outputs_for(task, k) for k in range(2))
            if task.error(outputs, target).shape == (2, SAMPLES, *task.elements):
                return task
            reasons.append("error() is not [K, B, *]")
        except PluginError:  # an incomplete task, whatever its labels
            raise
        except Exception as error:
            reasons.append(type_and_first_line(error))
    reason = "; ".join(dict.fromkeys(reasons))
    raise NotCheckedError(
        f"the task {spec.name!r} takes neither class numbers nor values as labels: {reason}"
    )


def outputs_for(task: Task, teacher: int | str) -> Tensor:
    """Return one teacher's outputs ``[B, C, *]``."""
    return random_outputs(SAMPLES, task.outputs, *task.elements, key=("teacher", teacher))


def targets_for(task: Task, every: int = 1) -> Tensor:
    """Return labels ``[B, *]``; only every ``every``-th sample is labeled."""
    if task.over_classes:
        count = SAMPLES * int(np.prod(task.elements, dtype=int))
        labels = torch.arange(count).view(SAMPLES, *task.elements) % task.outputs
    else:
        labels = torch.from_numpy(_values(SAMPLES))
    hidden = -1 if task.over_classes else torch.nan
    is_labeled = (torch.arange(SAMPLES) % every == 0).view(-1, *(1,) * (labels.dim() - 1))  # [B, 1, ...]
    return torch.where(is_labeled, labels, hidden)


def batch_for(task: Task, teachers: int = 3, **changes: Any) -> AggregationBatch:
    """Return a batch in which every other sample is labeled; ``changes`` replaces fields of it."""
    target = targets_for(task, every=2)
    batch = AggregationBatch(
        outputs=tuple(outputs_for(task, k) for k in range(teachers)),
        teacher_names=NAMES[:teachers],
        sample_ids=tuple(f"sample-{i}" for i in range(SAMPLES)),
        temperature=TEMPERATURE,
        progress=0.5,
        task=task,
        target=target,
        labeled=task.labeled(target),
        student_output=outputs_for(task, "student"),
        metadata={"source": np.array(SOURCES * (SAMPLES // len(SOURCES)))},
        draw=lambda name, shape: counter_rng.torch_uniform(shape, "check", name),
    )
    return replace(batch, **changes)


def _values(samples: int) -> NDArray[np.float32]:
    """Return labels ``[N, 5]`` that are 0 or 1, so that they are valid as values and as yes or no."""
    return counter_rng.generator("check", "labels").integers(0, 2, (samples, len(CLASSES))).astype(np.float32)
