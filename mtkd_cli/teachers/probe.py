"""Probe a teacher on a few samples before anything trains, and report what is wrong with its outputs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtkd_cli.data.dataset import Split
from mtkd_cli.data.subset import sample_rows
from mtkd_cli.data.views import PLAIN, views_of
from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import Model, Task
from mtkd_cli.interfaces.missing_outputs import has_nonfinite
from mtkd_cli.models.preprocess import Prepared, prepare, with_preprocessing
from mtkd_cli.recipe.schema import Augment, Teacher
from mtkd_cli.teachers.background import lists_background, number_classes
from mtkd_cli.teachers.inference import outputs_by_id
from mtkd_cli.teachers.recording import nonfinite_error
from mtkd_cli.teachers.repeatability import doubt_repeatability
from mtkd_cli.teachers.validation import Doubt
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import batches

SAMPLES = 4
"""Number of samples in a probe."""

MORE_SAMPLES = 32
"""Maximum number of samples for a detector, if a few do not show how it numbers its classes."""

ANY_BATCH = "it must take a batch of any size, also of one sample; does its code call eval()?"


def sample_views(split: Split) -> Tensor:
    """Return the plain views of a few samples, evenly spaced in a split."""
    rows = sample_view_rows(split)
    return views_of(split, rows, PLAIN, 0, Augment())


def sample_view_rows(split: Split) -> NDArray[np.int64]:
    """Return the rows of the samples in `sample_views`."""
    return sample_rows(np.arange(len(split)), SAMPLES)


@dataclass(frozen=True)
class ProbeResult:
    """The result of probing a teacher.

    Attributes:
        model: the teacher; for a detector, ``classes`` has a name for each class number.
        shape: shape of the output for one sample, ``(C, *)``.
        remarks: lines to show to the user.
    """

    model: Model
    shape: tuple[int, ...]
    remarks: tuple[str, ...] = ()


def probe_teacher(model: Model, teacher: Teacher, splits: Sequence[Split], context: Context) -> ProbeResult:
    """Run a teacher on a few samples, and check that its outputs fit the task.

    Predictions by sample id are checked for every sample of the splits; other teachers run on `sample_views`
    of the first split, and detectors on more if these do not show how they number their classes.

    Raises:
        DataError: the teacher fails, or its outputs do not fit the task; the hint names the key to set.
    """
    model = with_output_form(model, teacher, splits[0], context)
    shape, number_sets, doubt = _run_probe(model, teacher.name, splits, context)
    remarks = list(model.notes)
    if doubt:
        remarks.append(f"warning: teacher {teacher.name}: {doubt}")
    if model.normalizes and (teacher.input.mean or teacher.input.std):
        remarks.append(
            f"teacher {teacher.name}: the module normalizes its images itself, after input: mean and std are "
            "applied; remove them unless the weights were trained with both"
        )
    if not context.task.has_class_numbers or teacher.fit:
        return ProbeResult(model, shape, tuple(remarks))
    data = context.data.classes
    names = model.classes or data
    listed = lists_background(names, data)
    seen: set[int] = set()
    for numbers in number_sets:
        seen |= numbers
        numbering = number_classes(
            names[listed:],
            listed,
            teacher.background,
            model.outputs,
            model.has_background,
            seen,
            f"teacher {teacher.name!r}",
        )
        if numbering.is_sure:
            break
    if numbering.remark:
        remarks.append(f"teacher {teacher.name}: {numbering.remark}")
    if numbering.classes != names:
        model = replace(model, classes=numbering.classes)
    return ProbeResult(model, shape, tuple(remarks))


def with_output_form(model: Model, teacher: Teacher, split: Split, context: Context) -> Model:
    """Return a detector that reads its raw outputs as they are laid out, with a note about that.

    Raises:
        DataError: the layout is unknown, or differs from the declared one.
    """
    if not context.task.has_class_numbers or model.predictions is not None or teacher.fit:
        return model
    where, declared = f"teacher {teacher.name!r}", teacher.output_layout
    views = sample_views(split)
    with torch.inference_mode():
        raw = _raw_output(with_preprocessing(model).cpu().eval(), views, where)
    try:
        size = model.input.size or (views.shape[2], views.shape[3])
        form = context.task.output_form(raw, declared, size, model.classes)
    except ValueError as error:
        raise DataError(
            f"the teacher gives {error}",
            where,
            "set outputs: {layout: ...}, or wrap it in a python: function",
        ) from error
    if form is None:
        return model
    to_task_shape, convert = context.task.to_task_shape, form.convert
    return replace(
        model,
        to_task_shape=lambda output: to_task_shape(convert(output)),
        notes=(*model.notes, f"teacher {teacher.name}: {form.remark}"),
        outputs=form.outputs,
        has_background=form.has_background,
    )


def _run_probe(
    model: Model, name: str, splits: Sequence[Split], context: Context
) -> tuple[tuple[int, ...], Iterator[set[int]], Doubt | None]:
    """Return the shape of a teacher's outputs, the class numbers in batches of them, and a doubt."""
    where, split = f"teacher {name!r}", splits[0]
    if model.predictions is not None:
        shape, numbers = _check_predictions(model, splits, where, context)
        return shape, iter([numbers]), None
    module, views = with_preprocessing(model).cpu().eval(), sample_views(split)
    with torch.inference_mode():
        raw = _raw_output(module, views, where)
        _require_classes_first(raw, model, context.task, where)
        output = _to_task_form(module, raw, context.task, where)
    if not isinstance(output, Tensor) or output.dim() < 2 or len(output) != len(views):
        raise DataError(
            f"the teacher gives {_describe(output)} for {len(views)} samples; the task needs one output each",
            where=where,
            hint="is it made for this task?",
        )
    first = _class_numbers(output, context.task, where)
    gaps = has_nonfinite(output)
    if context.recipe.store.on_nan == "error" and gaps.any():
        raise nonfinite_error(name, split.samples.ids[sample_view_rows(split)[int(gaps.nonzero()[0])]])

    def answer(some: Tensor) -> Tensor:
        try:
            with torch.inference_mode():
                again: Tensor = _to_task_form(module, _raw_output(module, some, where), context.task, where)
        except DataError as error:
            raise DataError(error.what, where, ANY_BATCH) from error
        return again

    doubt = doubt_repeatability(answer, views, output, context.task.has_class_numbers)
    more = _more_numbers(module, split, context.task, where)
    return tuple(output.shape[1:]), itertools.chain([first], more), doubt


def _more_numbers(module: Prepared, split: Split, task: Task, where: str) -> Iterator[set[int]]:
    """Yield the class numbers in a teacher's outputs for further samples of a split."""
    rows = sample_rows(np.arange(len(split)), MORE_SAMPLES)
    for start in range(0, len(rows), SAMPLES):
        batch = rows[start : start + SAMPLES]
        views = views_of(split, batch, PLAIN, 0, Augment())
        with torch.inference_mode():
            output = _to_task_form(module, _raw_output(module, views, where), task, where)
        yield _class_numbers(output, task, where)


def _class_numbers(output: Any, task: Task, where: str) -> set[int]:
    """Return the class numbers in outputs; empty if outputs have one position per class."""
    try:
        numbers = task.class_numbers(output)
    except ValueError as error:
        raise DataError(
            f"the teacher gives {error}", where, "wrap the model in a python: function"
        ) from error
    return set() if numbers is None else set(numbers.tolist())


def _check_predictions(
    model: Model, splits: Sequence[Split], where: str, context: Context
) -> tuple[tuple[int, ...], set[int]]:
    """Look up the prediction of every sample; return their shape and class numbers."""
    look_up = outputs_by_id(model, splits, where, context.recipe.store.on_nan)
    shape: tuple[int, ...] = ()
    numbers: set[int] = set()
    for split in splits:
        for rows in batches(np.arange(len(split))):
            try:
                output = look_up(split, rows, PLAIN)
                found = context.task.class_numbers(output)
            except ValueError as error:  # raised by `Task.to_task_shape`
                raise DataError(f"the file gives {error}", where, "is it made for this task?") from error
            shape = tuple(output.shape[1:])
            numbers |= set() if found is None else set(found.tolist())
    return shape, numbers


def _raw_output(module: Prepared, views: Tensor, where: str) -> Any:
    """Return the unprocessed output of a module."""
    inputs = prepare(views, module.spec)
    try:
        raw = module.module(inputs)
    except Exception as error:  # a model may raise anything
        message = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            f"the teacher fails on inputs {_describe(inputs)}: {message}",
            where=where,
            hint=_input_hint(module.module, inputs),
        ) from error
    if raw is None:
        raise DataError("the teacher returned None", where, "return a tensor from its forward method")
    return raw


def _input_hint(module: nn.Module, inputs: Tensor) -> str:
    """Return a hint at the key of ``input:`` that is probably wrong."""
    first = next((layer for layer in module.modules() if isinstance(layer, nn.Conv2d)), None)
    channels = first.in_channels if first else None
    if inputs.dim() == 4 and channels in (1, 3) and channels != inputs.shape[1]:
        return f"set input: {{channels: {channels}}}"
    return "set its input: size and channels" if inputs.dim() == 4 else "does it expect these columns?"


def _to_task_form(module: Prepared, raw: Any, task: Task, where: str) -> Any:
    """Convert an output to the task's form."""
    try:
        return module.to_task_form(raw)
    except DataError:
        raise
    except Exception as error:  # a ValueError comes from `Task.to_task_shape`
        details = str(error).partition("; ")[2] or (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            f"the teacher gives {_describe(raw)}; {details}", where, _form_hint(raw, task)
        ) from error


def _form_hint(raw: Any, task: Task) -> str:
    if isinstance(raw, Mapping | tuple | list):
        return "return one of its entries: wrap the model in a python: function"
    if isinstance(raw, Tensor) and raw.dim() == 4 and task.over_classes and not task.elements:
        return "it outputs maps: pool them, or is it made for another task?"
    return "is it made for this task?"


def _require_classes_first(raw: Any, model: Model, task: Task, where: str) -> None:
    """Raise if the classes of a map are the last dimension, as in other libraries than PyTorch."""
    if not isinstance(raw, Tensor) or raw.dim() != 4 or not (task.over_classes and task.elements):
        return
    expected = {task.outputs, len(model.classes or ())}
    if raw.shape[1] not in expected and raw.shape[3] in expected:
        raise DataError(
            f"the teacher gives {_describe(raw)}, classes last; "
            "the task needs (samples, classes, height, width)",
            where=where,
            hint="apply permute(0, 3, 1, 2) to its output: wrap the model in a python: function",
        )


def _describe(output: Any) -> str:
    """Describe an output in a few words."""
    if isinstance(output, Tensor):
        return str(tuple(output.shape))
    if isinstance(output, Mapping):
        return f"a {type(output).__name__} of {', '.join(map(str, output)) or 'nothing'}"
    if isinstance(output, tuple | list):
        return f"a {type(output).__name__} of {len(output)}"
    return f"a {type(output).__name__}"
