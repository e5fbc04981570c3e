"""Try common input specifications on a teacher, and name the one it was probably trained with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.interfaces import InputSpec, Model, Task
from mtkd_cli.interfaces.missing_outputs import has_nonfinite
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.teachers.validation import Doubt

SAMPLES = 64
"""Maximum number of validation samples per specification."""

MIN_STANDARD_ERRORS = 3.0
"""Minimum decrease of the mean loss, in standard errors."""

MIN_GAIN, MAX_ERROR_RATIO = 0.1, 0.8
"""Minimum gain of a score, or maximum ratio of an error to the present one, to be reported."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CAFFE_MEAN = (103.939, 116.779, 123.68)


@dataclass(frozen=True)
class Alternative:
    """An input specification with a name for messages."""

    name: str
    spec: InputSpec

    def key(self, present: InputSpec) -> str:
        """Return the recipe key that replaces ``present`` by this specification."""
        keys = {"mean": _list_text(self.spec.mean), "std": _list_text(self.spec.std)}
        if self.spec.range != (0.0, 1.0) or self.spec.range != present.range:
            keys = {"range": _list_text(self.spec.range), **keys}
        if self.spec.order != "rgb" or self.spec.order != present.order:
            keys = {"order": self.spec.order, **keys}
        return f"input: {{{', '.join(f'{name}: {value}' for name, value in keys.items())}}}"


def alternatives(spec: InputSpec, data: InputSpec) -> Iterator[Alternative]:
    """Yield common specifications that differ from ``spec``; none for tables."""
    if spec.columns or spec.raw or data.columns:
        return
    channels = spec.channels or 1
    own = replace(spec, order="rgb", range=(0.0, 1.0))
    means = {"the data's mean and std": (data.mean, data.std)}
    if channels == 3:
        means["ImageNet's mean and std"] = (IMAGENET_MEAN, IMAGENET_STD)
    means |= {"values from -1 to 1": ((0.5,), (0.5,)), "no normalization": ((0.0,), (1.0,))}
    found = {
        name: replace(own, mean=_per_channel(mean, channels), std=_per_channel(std, channels))
        for name, (mean, std) in means.items()
    }
    bytes_range = replace(own, range=(0.0, 255.0), mean=(0.0,) * channels, std=(1.0,) * channels)
    found["values from 0 to 255"] = bytes_range
    if channels == 3:
        other = "rgb" if spec.order == "bgr" else "bgr"
        found[f"channels in {other} order"] = replace(
            spec, order=other, mean=spec.mean[::-1], std=spec.std[::-1]
        )
        found["bgr from 0 to 255 less ImageNet's mean (Caffe)"] = replace(
            bytes_range, order="bgr", mean=CAFFE_MEAN
        )
    yield from (Alternative(name, other) for name, other in found.items() if other != spec)


def better_input(
    model: Model,
    data: InputSpec,
    task: Task,
    compute_outputs: Callable[[Model], Tensor],
    target: Tensor,
) -> Doubt | None:
    """Return a doubt if another input specification gives a much better score.

    Args:
        model: the teacher.
        data: input specification of the data.
        task: task of the outputs.
        compute_outputs: function from a model to its outputs ``[N, C, *]`` on fixed samples, aligned to the
            task's classes; samples with non-finite outputs are skipped.
        target: labels of these samples.
    """
    present_outputs = compute_outputs(model)
    is_finite = ~has_nonfinite(present_outputs)
    if not is_finite.any():
        return None
    present_outputs, target = present_outputs[is_finite], target[is_finite]
    metric, score = task.primary, _score(present_outputs, target, task)
    losses, best = _losses(present_outputs, target, task), None
    for other in alternatives(model.input, data):
        outputs = compute_outputs(replace(model, input=other.spec))[is_finite]
        if not torch.isfinite(outputs).all():
            continue
        other_score = _score(outputs, target, task)
        if metric.higher_is_better:
            is_better = other_score >= score + MIN_GAIN
        else:
            is_better = other_score <= MAX_ERROR_RATIO * score
        gain = losses - _losses(outputs, target, task)
        error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.inf
        is_clear = gain.mean() > MIN_STANDARD_ERRORS * error
        if is_better and is_clear and (best is None or metric.is_better(other_score, best[0])):
            best = other_score, other
    if best is None:
        return None
    return Doubt(
        f"its input specification looks wrong: {best[1].name} would give {spelt(metric.name)} "
        f"{best[0]:.3g} instead of {score:.3g} on {len(target)} labels",
        f"if so, set {best[1].key(model.input)}",
    )


def _score(outputs: Tensor, target: Tensor, task: Task) -> float:
    return task.metrics(task.statistics(outputs, target))[task.primary.name]


def _losses(outputs: Tensor, target: Tensor, task: Task) -> NDArray[np.float64]:
    """Return the mean evaluation loss of each sample, ``[N]``."""
    labeled = task.labeled(target)
    loss = torch.where(labeled, task.evaluation_loss(outputs, target), 0).double().reshape(len(labeled), -1)
    counts = labeled.reshape(len(labeled), -1).sum(dim=1).clamp(min=1)
    return np.asarray((loss.sum(dim=1) / counts).numpy(), dtype=np.float64)


def _per_channel(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    return values if len(values) == channels else (sum(values) / len(values),) * channels


def _list_text(values: tuple[float, ...]) -> str:
    return f"[{', '.join(f'{value:.4g}' for value in values)}]"
