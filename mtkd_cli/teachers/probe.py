"""Ask a teacher about a few samples before anything trains, and say what is wrong with its answer."""

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
from mtkd_cli.data.views import PLAIN, view
from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import Model, Task
from mtkd_cli.interfaces.missing_outputs import has_nonfinite
from mtkd_cli.models.preprocess import Prepared, prepare, with_preprocessing
from mtkd_cli.recipe.schema import Augment, Teacher
from mtkd_cli.teachers.background import is_listed, number_classes
from mtkd_cli.teachers.inference import by_id
from mtkd_cli.teachers.recording import no_answer
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import batches

SAMPLES = 4

MORE = 32
"""Samples that a detector is asked about at most where a few do not tell how it numbers its classes."""


def some_views(split: Split) -> Tensor:
    """Return the plain views of a few samples from all over a split."""
    few = some_rows(split)
    return view(split.samples.read(few), split.id_numbers[few], PLAIN, 0, Augment())


def some_rows(split: Split) -> NDArray[np.int64]:
    """Return the rows of `some_views`."""
    return sample_rows(np.arange(len(split)), SAMPLES)


@dataclass(frozen=True)
class Probed:
    """What a teacher's answers to a few samples say of it.

    Attributes:
        model: the teacher; of a detector, ``classes`` has a name for each class number.
        shape: of its answer to one sample, ``(C, *)``.
        remarks: what the user should know, a line each.
    """

    model: Model
    shape: tuple[int, ...]
    remarks: tuple[str, ...] = ()


def probed(model: Model, teacher: Teacher, splits: Sequence[Split], context: Context) -> Probed:
    """Return what a teacher's answers to a few samples say of it.

    One with predictions is asked about every sample of the splits, others about `some_views` of the first. A
    detector is asked about more where these do not tell how it numbers its classes.

    Raises:
        DataError: the teacher fails, or its answer is none of the task's; says which key to set.
    """
    shape, numbers = _asked(model, teacher.name, splits, context)
    remarks = []
    if model.normalizes and (teacher.input.mean or teacher.input.std):
        remarks.append(
            f"teacher {teacher.name}: the module normalizes its images itself, and input: mean, std are "
            "applied before that; leave them out unless the weights were trained so"
        )
    if not context.task.numbered or teacher.fit:
        return Probed(model, shape, tuple(remarks))
    data = context.data.classes
    names = model.classes or data
    listed = is_listed(names, data)
    seen: set[int] = set()
    for some in numbers:
        seen |= some
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
    return Probed(model, shape, tuple(remarks))


def _asked(
    model: Model, name: str, splits: Sequence[Split], context: Context
) -> tuple[tuple[int, ...], Iterator[set[int]]]:
    """Return the shape of a teacher's answer, and the class numbers in it, some samples at a time."""
    where, few = f"teacher {name!r}", splits[0]
    if model.predictions is not None:
        shape, numbers = _looked_up(model, splits, where, context)
        return shape, iter([numbers])
    module, views = with_preprocessing(model).cpu().eval(), some_views(few)
    with torch.inference_mode():
        raw = _raw(module, views, where)
        _refuse_classes_last(raw, model, context.task, where)
        output = _finished(module, raw, context.task, where)
    if not isinstance(output, Tensor) or output.dim() < 2 or len(output) != len(views):
        raise DataError(
            f"the teacher gives {_what(output)} for {len(views)} samples; the task needs one answer for each",
            where=where,
            hint="is it made for this task?",
        )
    first = _class_numbers(output, context.task, where)
    gaps = has_nonfinite(output)
    if context.recipe.store.on_nan == "error" and gaps.any():
        raise no_answer(name, few.samples.ids[some_rows(few)[int(gaps.nonzero()[0])]])
    return tuple(output.shape[1:]), itertools.chain([first], _more_numbers(module, few, context.task, where))


def _more_numbers(module: Prepared, split: Split, task: Task, where: str) -> Iterator[set[int]]:
    """Yield the class numbers in a teacher's answers to samples from everywhere in a split."""
    rows = sample_rows(np.arange(len(split)), MORE)
    for start in range(0, len(rows), SAMPLES):
        some = rows[start : start + SAMPLES]
        shown = view(split.samples.read(some), split.id_numbers[some], PLAIN, 0, Augment())
        with torch.inference_mode():
            output = _finished(module, _raw(module, shown, where), task, where)
        yield _class_numbers(output, task, where)


def _class_numbers(output: Any, task: Task, where: str) -> set[int]:
    """Return the class numbers in answers; none where outputs go by their place."""
    try:
        numbers = task.class_numbers(output)
    except ValueError as error:
        raise DataError(
            f"the teacher gives {error}", where, "wrap the model in a python: function"
        ) from error
    return set() if numbers is None else set(numbers.tolist())


def _looked_up(
    model: Model, splits: Sequence[Split], where: str, context: Context
) -> tuple[tuple[int, ...], set[int]]:
    ask = by_id(model, splits, where, context.recipe.store.on_nan)
    shape: tuple[int, ...] = ()
    numbers: set[int] = set()
    for split in splits:
        for rows in batches(np.arange(len(split))):
            try:
                answer = ask(split, rows, PLAIN)
                found = context.task.class_numbers(answer)
            except ValueError as error:  # what `Task.shaped` says
                raise DataError(f"the file gives {error}", where, "is it made for this task?") from error
            shape = tuple(answer.shape[1:])
            numbers |= set() if found is None else set(found.tolist())
    return shape, numbers


def _raw(module: Prepared, views: Tensor, where: str) -> Any:
    """Return what a module answers, as it answers it."""
    shown = prepare(views, module.spec)
    try:
        raw = module.module(shown)
    except Exception as error:  # whatever the model raises
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            f"the teacher fails on inputs {_what(shown)}: {said}",
            where=where,
            hint=_input_hint(module.module, shown),
        ) from error
    if raw is None:
        raise DataError("the teacher answers nothing (None)", where, "let its forward return a tensor")
    return raw


def _input_hint(module: nn.Module, shown: Tensor) -> str:
    """Return which key of ``input:`` is likely to be wrong."""
    first = next((layer for layer in module.modules() if isinstance(layer, nn.Conv2d)), None)
    wanted = first.in_channels if first else None
    if shown.dim() == 4 and wanted in (1, 3) and wanted != shown.shape[1]:
        return f"set input: {{channels: {wanted}}}"
    return "set its input: size and channels" if shown.dim() == 4 else "does it take these columns?"


def _finished(module: Prepared, raw: Any, task: Task, where: str) -> Any:
    """Return an answer in the task's form."""
    try:
        return module.to_task_form(raw)
    except DataError:
        raise
    except Exception as error:  # a ValueError is what `Task.shaped` says
        needs = str(error).partition("; ")[2] or (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"the teacher gives {_what(raw)}; {needs}", where, _form_hint(raw, task)) from error


def _form_hint(raw: Any, task: Task) -> str:
    if isinstance(raw, Mapping | tuple | list):
        return "return one entry of it: wrap the model in a python: function"
    if isinstance(raw, Tensor) and raw.dim() == 4 and task.over_classes and not task.elements:
        return "it answers with maps: pool them, or is it made for another task?"
    return "is it made for this task?"


def _refuse_classes_last(raw: Any, model: Model, task: Task, where: str) -> None:
    """Raise if a map's classes stand last, as other libraries than PyTorch have them."""
    if not isinstance(raw, Tensor) or raw.dim() != 4 or not (task.over_classes and task.elements):
        return
    expected = {task.outputs, len(model.classes or ())}
    if raw.shape[1] not in expected and raw.shape[3] in expected:
        raise DataError(
            f"the teacher gives {_what(raw)}, classes last; the task needs (samples, classes, height, width)",
            where=where,
            hint="turn its answer with permute(0, 3, 1, 2): wrap the model in a python: function",
        )


def _what(answer: Any) -> str:
    """Return an answer in a few words."""
    if isinstance(answer, Tensor):
        return str(tuple(answer.shape))
    if isinstance(answer, Mapping):
        return f"a {type(answer).__name__} of {', '.join(map(str, answer)) or 'nothing'}"
    if isinstance(answer, tuple | list):
        return f"a {type(answer).__name__} of {len(answer)}"
    return f"a {type(answer).__name__}"
