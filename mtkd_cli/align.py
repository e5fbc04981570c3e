"""Align a teacher's label space to the task's, by class name."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtkd_cli.errors import DataError, nearest
from mtkd_cli.interfaces import Alignment

UNKNOWN = -1e9
"""The logit of a class that a teacher does not know: softmax gives it exactly 0, and nothing is NaN."""


def on_classes(outputs: Tensor, alignment: Alignment) -> Tensor:
    """Return a teacher's logits ``[B, C', *]`` over the task's classes, ``[B, C, *]``.

    Several outputs that answer one class are summed as probabilities; a class that none answers is
    `UNKNOWN`. So the softmax is the teacher's distribution over the classes that it knows.
    """
    if alignment.is_identity(outputs.shape[1]):
        return outputs
    if all(len(group) == 1 for group in alignment.groups):
        return outputs[:, [group[0] for group in alignment.groups]]
    unknown = torch.full_like(outputs[:, 0], UNKNOWN)
    columns = [outputs[:, list(group)].logsumexp(dim=1) if group else unknown for group in alignment.groups]
    return torch.stack(columns, dim=1)


def speaks(target: Tensor, known: Tensor) -> Tensor:
    """Return where each teacher may be heard, ``[K, B, *]``: not on a label of a class it does not know.

    Args:
        target: class numbers ``[B, *]``, -1 where there is no label.
        known: ``[K, C]`` bool.
    """
    return known[:, target.clamp(min=0).long()] | (target < 0)


def targets_known(target: Tensor, teachers: int, known: Tensor | None) -> list[Tensor]:
    """Return for each teacher the labels ``[B, *]`` of the classes that it knows, -1 for the others."""
    if known is None:
        return [target] * teachers
    return [torch.where(heard, target, -1) for heard in speaks(target, known)]


def aligned_to(teacher: Sequence[str] | None, task: Sequence[str], outputs: int, name: str) -> Alignment:
    """Return which of the teacher's outputs answer each of the task's classes.

    Args:
        teacher: the teacher's class names in its order, None if it declares none.
        task: the task's class names.
        outputs: how many outputs the teacher gives.
        name: the teacher's, for messages.

    Raises:
        DataError: the counts differ, or the teacher does not know a class, or knows two of its name.
    """
    where = f"teacher {name!r}"
    if teacher is None:
        if outputs == len(task):
            return Alignment(tuple((place,) for place in range(outputs)))
        raise DataError(
            f"the teacher gives {outputs} outputs, the data has {len(task)} classes",
            where=where,
            hint="give its class names with classes:, or adapt it with fit: head",
        )
    if len(teacher) != outputs:
        raise DataError(
            f"the teacher gives {outputs} outputs but has {len(teacher)} class names",
            where=where,
            hint="mend classes:",
        )
    place = {label: index for index, label in enumerate(teacher)}
    unknown = [label for label in task if label not in place]
    if unknown:
        shown = ", ".join(unknown[:3]) + (", ..." if len(unknown) > 3 else "")
        raise DataError(
            f"the teacher does not know {len(unknown)} of the data's {len(task)} classes: {shown}",
            where=where,
            hint=nearest(unknown[0], teacher) or "adapt it to this data with fit: head",
        )
    twice = [label for label in task if teacher.count(label) > 1]
    if twice:
        raise DataError(
            f"the teacher has {teacher.count(twice[0])} classes called {twice[0]!r}",
            where=where,
            hint="give its outputs different names with classes:",
        )
    return Alignment(tuple((place[label],) for label in task))
