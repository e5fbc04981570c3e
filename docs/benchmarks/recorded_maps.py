"""Measure the loss from recording fewer classes per pixel, or a lower resolution.

python docs/benchmarks/recorded_maps.py

The recipe digit-scenes-seg: the mean of its teachers on the test scenes, from complete and reduced outputs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from in_process import loaded
from tables import write
from torch import Tensor

from mtkd_cli.data.views import PLAIN
from mtkd_cli.losses import kl_divergence
from mtkd_cli.store.row_format import Layout
from mtkd_cli.teachers.prepare import prepare_teachers

HERE = Path(__file__).parent
RECIPE = "digit-scenes-seg"


def main() -> None:
    torch.set_num_threads(1)
    context = loaded(RECIPE, ["store.top_k=null"])
    task, test = context.task, context.data.test
    outputs = [t.recorded_outputs("test", PLAIN, np.arange(len(test))) for t in prepare_teachers(context, 1)]
    target = torch.from_numpy(test.samples.targets)
    shape, side = tuple(outputs[0].shape[1:]), outputs[0].shape[-1]

    def kept(top_k: int) -> tuple[list[Tensor], int]:
        layout = Layout(shape, "fp16", top_k, "classes")
        return [layout.decode(layout.encode(o)) for o in outputs], layout.dtype.itemsize

    def coarse(step: int) -> tuple[list[Tensor], int]:
        small = [F.avg_pool2d(o, step) for o in outputs]
        back = [F.interpolate(o, (side, side), mode="bilinear", align_corners=False) for o in small]
        return back, 2 * small[0][0].numel()

    cases = {
        "all classes": (outputs, Layout(shape, "fp16", None, "classes").dtype.itemsize),
        **{f"{k} classes" if k > 1 else "1 class": kept(k) for k in (6, 4, 2, 1)},
        "half the resolution, all classes": coarse(2),
        "a quarter of the resolution, all classes": coarse(4),
    }
    whole = torch.stack([o.softmax(1) for o in outputs]).mean(0)
    rows = []
    for name, (answers, size) in cases.items():
        mean = torch.stack([o.softmax(1) for o in answers]).mean(0)
        distance = kl_divergence(mean.clamp(min=1e-30).log(), whole, 1.0).mean().item()
        miou = task.metrics(task.statistics(mean, target))["miou"]
        rows.append([name, f"{size:,}", f"{miou:.4f}", f"{max(distance, 0.0):.5f}"])
        print(rows[-1], flush=True)
    write(
        HERE / "recorded_maps.md",
        "Recording fewer classes per pixel",
        "python docs/benchmarks/recorded_maps.py",
        [
            "recorded",
            "bytes per scene and teacher",
            "ensemble's test mIoU",
            "KL divergence from all classes, nats",
        ],
        rows,
        f"{RECIPE}, {len(test)} test scenes, {side} x {side} pixels, {shape[0]} classes, fp16; mean of three "
        "teachers. Lower resolutions are average-pooled and resized bilinearly. No student is trained.",
    )


if __name__ == "__main__":
    main()
