"""Two teachers that know different classes: the loss on shared classes against padding with zeros.

python docs/benchmarks/label_spaces.py --seeds 3

Digits; teacher A knows the classes 0 to 5, B 4 to 9, each trained on all training images of its own
classes; the student sees 300 labels, the other training images have none. "Padded" takes both
teachers as if they knew every class, with probability 0 for those they do not.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from in_process import distil
from safetensors.torch import save_file
from tables import interval, write

from mtkd_cli import counters, dataset, pipeline
from mtkd_cli.interfaces import ModelRequest
from mtkd_cli.recipe import Data
from mtkd_data.digits import Digits
from mtkd_teachers.convnet import ConvNetProvider

HERE = Path(__file__).parent
KNOWN = {"a": range(6), "b": range(4, 10)}
LABELS = 300
CASES = (("mean", 0.9), ("mean", 0.5), ("entropy", 0.5))
RECIPE = """
task: classification
data: {{name: digits, labels: {labels}, val: 0.2, test: 0.3}}
augment: {{shift: 0.1, rotate: 10, zoom: 0.1}}
teachers:
  - name: a
    model: "convnet:32-64"
    checkpoint: {folder}/a.safetensors
    classes: ["0", "1", "2", "3", "4", "5"]
  - name: b
    model: "convnet:32-64"
    checkpoint: {folder}/b.safetensors
    classes: ["4", "5", "6", "7", "8", "9"]
strategy: mean
student: convnet:8-16
loss: {{temperature: 1, kd_ratio: 0.9}}
train: {{epochs: 40, batch_size: 64, lr: [3e-3, 1e-2, 3e-2]}}
"""


def train_teacher(name: str, path: Path) -> None:
    """Train one teacher on the training images of its classes, hidden labels included."""
    data = dataset.load(Digits().load(path.parent), Data(name="digits", labels=LABELS, val=0.2, test=0.3))
    samples, classes = data.all_labels.samples, KNOWN[name]
    rows = np.flatnonzero(np.isin(samples.targets, classes))
    images = torch.from_numpy(samples.read(rows)).float() / 255
    mean, std = data.input.mean[0], data.input.std[0]
    images = (images - mean) / std
    target = torch.from_numpy(samples.targets[rows]) - classes[0]
    counters.seed_torch("teacher", name)
    net = ConvNetProvider().build(ModelRequest("32-64", 1, 8, len(classes), False)).module.train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    for epoch in range(20):
        order = counters.permutation(len(rows), "order", name, epoch)
        for start in range(0, len(rows) - 1, 64):
            part = order[start : start + 64]
            loss = F.cross_entropy(net(images[part]), target[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    save_file(net.state_dict(), path)


def padded(recipe: str, overrides: list[str]) -> dict[str, Any]:
    """Run the recipe as if every teacher knew every class."""
    known, pipeline.known_classes = pipeline.known_classes, lambda _: None
    try:
        return distil(recipe, overrides, baseline=False)
    finally:
        pipeline.known_classes = known


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    scores: dict[str, list[float]] = {}
    ensembles: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in KNOWN:
            train_teacher(name, Path(folder) / f"{name}.safetensors")
        recipe = Path(folder) / "recipe.yaml"
        recipe.write_text(RECIPE.format(labels=LABELS, folder=folder))
        for seed, (strategy, ratio) in itertools.product(range(arguments.seeds), CASES):
            given = [f"train.seed={seed}", f"strategy={strategy}", f"loss.kd_ratio={ratio}"]
            setting = f"{strategy}, kd_ratio {ratio}"
            reports = {f"padded, {setting}": padded(str(recipe), given)}
            reports[f"restricted, {setting}"] = distil(
                str(recipe), given, baseline=(strategy, ratio) == CASES[0]
            )
            for name, report in reports.items():
                alone = report["scores"]["alone"]
                if alone:
                    scores.setdefault("student alone", []).append(alone["accuracy"])
                scores.setdefault(name, []).append(report["scores"]["student"]["accuracy"])
                ensembles[name] = report["scores"]["ensemble"]["accuracy"]
                print(name, scores[name], flush=True)
    rows = [
        [
            name,
            f"{statistics.mean(found):.4f} ± {statistics.stdev(found):.4f}",
            " ".join(f"{score:.4f}" for score in found),
            f"{ensembles[name]:.4f}" if name in ensembles else "",
        ]
        for name, found in scores.items()
    ]
    gains = []
    for strategy, ratio in CASES:
        pair = (scores[f"{kind}, {strategy}, kd_ratio {ratio}"] for kind in ("restricted", "padded"))
        difference = [ours - theirs for ours, theirs in zip(*pair, strict=True)]
        low, high = interval(difference)
        gains.append(f"{strategy}, {ratio}: {statistics.mean(difference):+.4f} ({low:+.4f} to {high:+.4f})")
    write(
        HERE / "label_spaces.md",
        "Two teachers that know different classes",
        f"python docs/benchmarks/label_spaces.py --seeds {arguments.seeds}",
        ["target", "student's test accuracy", "each seed", "the ensemble itself"],
        rows,
        "Digits; teacher A knows 0 to 5, B 4 to 9; the student sees 300 labels (240 to train on), the rest "
        "of the training images have none. Mean ± standard deviation over seeds of training. Restricted "
        f"against padded, with 95 % interval: {'; '.join(gains)}.",
    )


if __name__ == "__main__":
    main()
