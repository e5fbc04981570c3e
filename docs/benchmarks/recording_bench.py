"""Data, teachers and student of the recording benchmark, prepared once."""

from __future__ import annotations

import copy
import itertools
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mtkd_cli.data.views import view
from mtkd_cli.models.preprocess import Prepared
from mtkd_cli.plugin.registry import discover
from mtkd_cli.recipe.reader import read
from mtkd_cli.recipe.resolve import resolve
from mtkd_cli.runs import pipeline
from mtkd_cli.store.recorded_outputs import RecordedArray
from mtkd_cli.store.row_format import Layout
from mtkd_cli.teachers import recording, recording_module
from mtkd_cli.teachers.fine_tuning import fit_teacher
from mtkd_cli.teachers.inference import outputs_by_view
from mtkd_cli.teachers.load import load_teacher
from mtkd_cli.teachers.resolved_teacher import ResolvedTeacher, resolve_teachers
from mtkd_cli.training.context import Context
from mtkd_cli.training.progress import Progress

HERE = Path(__file__).resolve().parent
ARCHITECTURES = ("resnet:20-8", "resnet:32-8", "resnet:56-8")
COUNTS = (1, 2, 3, 4, 8)
EPOCHS = (1, 5, 30)
BATCH = 128

RECIPE = """
task: classification
data: {{name: fashion-mnist, path: "{path}", samples: {samples}, val: 0.2}}
fit: {{train: all, labels: all, epochs: 1, batch_size: 64, lr: 5e-3}}
teachers:
{teachers}
strategy: mean
student: resnet:8-8
augment: {augment}
views: {views}
loss: {{temperature: 2, kd_ratio: 0.5}}
train: {{epochs: 30, batch_size: {batch}, lr: 3e-3}}
"""


@dataclass(frozen=True)
class Bench:
    """The data, each teacher as a plain, recording and ONNX Runtime module, and the recorded outputs."""

    context: Context
    views: int
    teachers: tuple[ResolvedTeacher, ...]
    models: list[nn.Module]
    fast: list[nn.Module]
    converted: list[nn.Module]
    arrays: list[dict[tuple[str, int], RecordedArray]]
    clock: Callable[[], float]

    def timed(self, call: Callable[[], object]) -> float:
        started = self.clock()
        call()
        return self.clock() - started

    @property
    def samples(self) -> int:
        return len(self.context.data.train)

    def shown(self, indices: np.ndarray, epoch: int) -> Tensor:
        """Return the views of an epoch."""
        split, recipe = self.context.data.train, self.context.recipe
        images, ids = split.samples.read(indices), split.id_numbers[indices]
        return view(images, ids, epoch % self.views, recipe.views.seed, recipe.augment)


def prepare(path: str, samples: int, views: int, count: int, clock: Callable[[], float]) -> Bench:
    """Fit some teachers, one epoch each, and record every view that the student will see."""
    lines = [
        f"  - {{name: t{k}, model: '{ARCHITECTURES[k % 3]}', fit: {{seed: {k // 3}}}}}" for k in range(count)
    ]
    text = RECIPE.format(
        path=path,
        samples=samples * 5 // 4,
        teachers="\n".join(lines),
        augment="{flip: true, shift: 0.1}" if views > 1 else "{}",
        views=views,
        batch=BATCH,
    )
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "recipe.yaml"
        recipe.write_text(text)
        registry = discover(third_party=False)
        parts = resolve(read(str(recipe), [], registry)[0], registry, str(recipe))
    context = pipeline.prepare(parts, "cpu", Progress())
    teachers, models, fast, converted = resolve_teachers(context), [], [], []
    for teacher in teachers:
        untouched = load_teacher(teacher.part, teacher.entry, context.data, context.task)
        model = fit_teacher(untouched, teacher, context)
        # A copy in the default memory format, as a loop without mtkd would have it.
        plain = copy.deepcopy(model.module).to(memory_format=torch.contiguous_format)
        models.append(Prepared(plain, model.input).eval().requires_grad_(False))
        fast.append(recording_module.in_torch(model, some_views(context), context.device)[0])
        if len(converted) < len(ARCHITECTURES):
            converted.append(recording_module.in_onnx_runtime(model, some_views(context))[0])
    bench = Bench(context, views, teachers, models, fast, converted, [{} for _ in fast], clock)
    for k, number in itertools.product(range(len(fast)), range(views)):
        bench.arrays[k]["train", number] = recorded_by(bench, k, number, bench.fast)
    return bench


def some_views(context: Context) -> Tensor:
    split = context.data.val
    return view(split.samples.read(slice(4)), split.id_numbers[:4], 0, 0, context.recipe.augment)


def recorded_by(bench: Bench, k: int, number: int, modules: list[nn.Module]) -> RecordedArray:
    """Record one view of the training samples by module k, into a new array."""
    context = bench.context
    key = recording.key(
        {**bench.teachers[k].key, "again": time.time_ns()},
        context.data.train,
        number,
        context.recipe,
        context.task,
    )
    job = recording.RecordingJob(
        f"t{k}",
        outputs_by_view(modules[k], context.recipe, context.device),
        Layout((context.task.outputs,), "fp16", kind="classes"),
        context.data.train,
        number,
        key,
        recording.batch_size(context.data.input.size or 28, context.device),
        context.device,
    )
    return recording.record(job, Progress())
