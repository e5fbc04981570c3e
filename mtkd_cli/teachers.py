"""Make the teachers ready: load, fit, probe and record each in turn, one in memory at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli import atomic, record, store
from mtkd_cli.align import columns
from mtkd_cli.context import Context
from mtkd_cli.dataset import Split
from mtkd_cli.errors import DataError, MtkdError
from mtkd_cli.fit import fitted
from mtkd_cli.fit import key as fit_key
from mtkd_cli.interfaces import Model
from mtkd_cli.models import facts, identity, load_teacher, prepared
from mtkd_cli.preprocess import Prepared
from mtkd_cli.recipe import Teacher
from mtkd_cli.resolve import ModelPart
from mtkd_cli.views import PLAIN


@dataclass(frozen=True)
class ReadyTeacher:
    """A teacher whose answers can be read.

    Attributes:
        name: the recipe's.
        hash: stands for everything that decides its answers.
        columns: for each of the task's classes, the output that answers it.
        facts: parameters, bytes, latency in milliseconds of one sample, and its input size.
        folders: folder of each recorded (split name, view number).
        live: the loaded teacher, only where views are not recorded.

    """

    name: str
    hash: str
    columns: tuple[int, ...]
    facts: Mapping[str, Any]
    folders: Mapping[tuple[str, int], Path]
    live: Prepared | None = None

    def recorded(self, split: str, number: int) -> Tensor:
        """Return the aligned answers on a view of a split, ``[N, C]`` float32."""
        rows = torch.from_numpy(np.array(record.read(self.folders[split, number]), dtype=np.float32))
        return self.aligned(rows)

    def aligned(self, outputs: Tensor) -> Tensor:
        """Return raw outputs in the order of the task's classes."""
        return outputs if self.columns == tuple(range(outputs.shape[1])) else outputs[:, list(self.columns)]


def train_view(epoch: int, views: int | None) -> int:
    """Return the number of the view that an epoch shows: cycled over ``views``, or new each time if None."""
    return epoch + 1 if views is None else epoch % views


def ready(context: Context, views: int | None) -> list[ReadyTeacher]:
    """Return the teachers with what a run needs of them recorded.

    Args:
        context: the run.
        views: recorded views of the training samples; None where teachers answer live.

    Raises:
        MtkdError: a teacher that cannot be loaded, fitted or understood; it is named.

    """
    wanted = [(split, PLAIN) for split in (context.data.val, context.data.test)]
    wanted += [(context.data.train, number) for number in range(views or 0)]
    pairs = zip(context.recipe.teachers, context.parts.teachers, strict=True)
    return [_ready(teacher, part, wanted, views is None, context) for teacher, part in pairs]


def who_is(teacher: Teacher, part: ModelPart, context: Context) -> dict[str, Any]:
    """Return everything that decides a teacher's answers, without loading it."""
    data = context.data.input
    who: dict[str, Any] = {
        "model": identity(part, teacher),
        "channels": data.channels,
        "size": data.size,
        "mean": data.mean,
        "std": data.std,
    }
    return {**who, "fit": fit_key(who, teacher, context) if teacher.fit else None}


def _ready(
    teacher: Teacher, part: ModelPart, wanted: list[tuple[Split, int]], live: bool, context: Context
) -> ReadyTeacher:
    who = who_is(teacher, part, context)
    keys = {(split.name, number): record.key(who, split, number, context.recipe) for split, number in wanted}
    folders = {place: store.find("outputs", key) for place, key in keys.items()}
    about = store.find("teachers", who)
    module: Prepared | None = None
    if live or about is None or None in folders.values():
        model = fitted(
            load_teacher(part, teacher, context.data, context.task.outputs), who["fit"], teacher, context
        )
        outputs = _probe(model, teacher, context)
        about = store.keep("teachers", who, lambda folder: _describe(folder, model, outputs, context))
        module = prepared(model).to(context.device).eval().requires_grad_(False)
        missing = [place for place, folder in folders.items() if folder is None]
        if missing:
            samples = {split.name: split for split, _ in wanted}
            with context.progress.phase(
                f"record {teacher.name}", sum(len(samples[name]) for name, _ in missing)
            ) as bar:
                for name, number in missing:
                    folders[name, number] = record.record(
                        teacher.name,
                        module,
                        keys[name, number],
                        samples[name],
                        number,
                        context.recipe,
                        context.device,
                        bar.advance,
                    )
    known = json.loads((about / "facts.json").read_text())
    return ReadyTeacher(
        teacher.name,
        store.digest(who),
        columns(known["classes"], context.data.classes, known["outputs"], teacher.name),
        known,
        {place: folder for place, folder in folders.items() if folder},
        module if live else None,
    )


def _probe(model: Model, teacher: Teacher, context: Context) -> int:
    """Return the number of outputs, from two validation samples.

    Raises:
        DataError: the teacher fails, or its answer is no ``[B, C]``.

    """
    where, split = f"teacher {teacher.name!r}", context.data.val
    rows = np.arange(min(2, len(split)))
    views = torch.from_numpy(split.samples.inputs[rows]).float() / 255
    module = prepared(model).cpu().eval()
    try:
        with torch.inference_mode():
            output = module(views)
    except MtkdError:
        raise
    except Exception as error:
        raise DataError(
            f"the teacher fails on an image: {str(error).splitlines()[0]}",
            where=where,
            hint="check its input: size, channels",
        ) from error
    if not isinstance(output, Tensor) or output.dim() != 2 or len(output) != len(rows):
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise DataError(
            f"the teacher answers {shape} to {len(rows)} images; the task needs ({len(rows)}, classes)",
            where=where,
            hint="is it a classifier?",
        )
    columns(model.classes, context.data.classes, output.shape[1], teacher.name)
    return int(output.shape[1])


def _describe(folder: Path, model: Model, outputs: int, context: Context) -> None:
    size, channels = context.data.input.size or 1, context.data.input.channels or 1
    measured = facts(model, torch.zeros(1, channels, size, size))
    atomic.write_json(
        folder / "facts.json",
        {
            **measured.as_dict(),
            "input_size": model.input.size,
            "outputs": outputs,
            "classes": list(model.classes) if model.classes else None,
        },
    )


def answers(teachers: list[ReadyTeacher], views: int | None, device: torch.device) -> Any:
    """Return a function from a training step to the teachers' aligned outputs, K of ``[B, C]``."""
    recorded: list[list[NDArray[Any]]] = [
        [record.read(teacher.folders["train", number]) for number in range(views or 0)]
        for teacher in teachers
    ]

    def of(step: Any) -> tuple[Tensor, ...]:
        if views is None:
            with torch.no_grad():
                return tuple(t.aligned(t.live(step.views).float()) for t in teachers if t.live is not None)
        number = train_view(step.epoch, views)
        rows = (torch.from_numpy(arrays[number][step.indices].astype(np.float32)) for arrays in recorded)
        return tuple(t.aligned(r.to(device)) for t, r in zip(teachers, rows, strict=True))

    return of
