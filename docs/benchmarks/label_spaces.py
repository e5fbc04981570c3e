"""Two teachers that know different classes: the loss on known classes compared with padding with zeros.

python docs/benchmarks/label_spaces.py --seeds 3
python docs/benchmarks/label_spaces.py --seeds 3 --fashion FOLDER

Digits, or 6,000 images of Fashion-MNIST. Teacher A knows the classes 0 to 5, B 4 to 9. Each is trained on all
training images of its classes. The student has 300 labels; the other training images are unlabeled.
"Padded" treats both teachers as if they knew every class, with probability 0 for unknown classes.
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
from tables import interval, spread, write

from mtkd_cli import counter_rng
from mtkd_cli.data import dataset
from mtkd_cli.data.dataset import Dataset
from mtkd_cli.files import yaml12
from mtkd_cli.interfaces import ModelRequest
from mtkd_cli.plugin.registry import discover
from mtkd_cli.recipe.schema import Data
from mtkd_cli.runs import preflight, strategy_batches
from mtkd_teachers.convnet import ConvNetProvider

HERE = Path(__file__).parent
KNOWN = {"a": range(6), "b": range(4, 10)}
CASES = (("mean", 0.9), ("mean", 0.5), ("entropy", 0.5))
DIGITS = "{name: digits, labels: 300, val: 0.2, test: 0.3}"
FASHION = "{{name: fashion-mnist, path: {folder}, samples: 6000, labels: 300, val: 0.2}}"
RECIPE = """
task: classification
data: {data}
augment: {{shift: 0.1, rotate: 10, zoom: 0.1}}
teachers:
  - {{name: a, model: "convnet:32-64", checkpoint: {folder}/a.safetensors, classes: {a}}}
  - {{name: b, model: "convnet:32-64", checkpoint: {folder}/b.safetensors, classes: {b}}}
strategy: mean
student: convnet:8-16
loss: {{temperature: 1, kd_ratio: 0.9}}
train: {{epochs: {epochs}, batch_size: 64, lr: {lr}}}
"""


def train_teacher(name: str, data: Dataset, path: Path) -> None:
    """Train one teacher on the training images of its classes, hidden labels included."""
    samples, classes = data.all_labels.samples, KNOWN[name]
    rows = np.flatnonzero(np.isin(samples.targets, classes))
    images = torch.from_numpy(samples.read(rows)).float() / 255
    images = (images - data.input.mean[0]) / data.input.std[0]
    target = torch.from_numpy(samples.targets[rows]) - classes[0]
    counter_rng.seed_torch("teacher", name)
    request = ModelRequest("32-64", 1, data.input.size or 8, len(classes), False)
    net = ConvNetProvider().build(request).module.train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    for epoch in range(20):
        order = counter_rng.permutation(len(rows), "order", name, epoch)
        for start in range(0, len(rows) - 1, 64):
            part = order[start : start + 64]
            loss = F.cross_entropy(net(images[part]), target[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    save_file(net.state_dict(), path)


def recipe_in(folder: str, fashion: str | None) -> str:
    """Train the teachers, write the recipe, and return its path."""
    registry = discover(third_party=False)
    spec = "data: " + (FASHION.format(folder=fashion) if fashion else DIGITS)
    options = yaml12.load(spec, "data")["data"]
    entry = registry.find("data", options["name"])
    own = {option.name: options.get(option.name) for option in entry.spec.options}
    plain = {key: value for key, value in options.items() if key not in own}
    data = dataset.load(entry.spec.load()(**own).load(Path(folder)), Data(**plain))
    for name in KNOWN:
        train_teacher(name, data, Path(folder) / f"{name}.safetensors")
    names = {name: [data.classes[number] for number in numbers] for name, numbers in KNOWN.items()}
    text = RECIPE.format(
        data=spec.removeprefix("data: "),
        folder=folder,
        epochs=12 if fashion else 40,
        lr="1e-2" if fashion else "[3e-3, 1e-2, 3e-2]",
        **names,
    )
    path = Path(folder) / "recipe.yaml"
    path.write_text(text)
    return str(path)


def padded(recipe: str, overrides: list[str]) -> dict[str, Any]:
    """Run the recipe as if every teacher knew every class."""
    known = preflight.known_class_mask
    preflight.known_class_mask = strategy_batches.known_class_mask = lambda _: None
    try:
        return distil(recipe, overrides, baseline=False)
    finally:
        preflight.known_class_mask = strategy_batches.known_class_mask = known


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fashion", help="folder of the four IDX files; default: digits")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    scores: dict[str, list[float]] = {}
    ensembles: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        recipe = recipe_in(folder, arguments.fashion)
        for seed, (strategy, ratio) in itertools.product(range(arguments.seeds), CASES):
            given = [f"train.seed={seed}", f"strategy={strategy}", f"loss.kd_ratio={ratio}"]
            setting = f"{strategy}, kd_ratio {ratio}"
            reports = {f"padded, {setting}": padded(recipe, given)}
            reports[f"restricted, {setting}"] = distil(recipe, given, baseline=(strategy, ratio) == CASES[0])
            for name, report in reports.items():
                alone = report["scores"]["baselines"].get("alone")
                if alone:
                    scores.setdefault("baseline", []).append(alone["accuracy"])
                scores.setdefault(name, []).append(report["scores"]["student"]["accuracy"])
                ensembles[name] = report["scores"]["ensemble"]["accuracy"]
                print(name, scores[name], flush=True)
    rows = [
        [
            name,
            spread(found),
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
    what = "Fashion-MNIST, 6,000 images" if arguments.fashion else "Digits"
    write(
        HERE / f"label_spaces-{'fashion-mnist' if arguments.fashion else 'digits'}.md",
        "Two teachers that know different classes",
        f"python docs/benchmarks/label_spaces.py --seeds {arguments.seeds}"
        + (" --fashion FOLDER" if arguments.fashion else ""),
        ["target", "student's test accuracy", "each seed", "ensemble's test accuracy"],
        rows,
        f"{what}. Teacher A knows classes 0 to 5, teacher B classes 4 to 9. The student has 300 "
        "labels (240 for training); the other training images are unlabeled. Padded: unknown classes "
        "get probability 0. Restricted: mtkd's loss on the known classes. Mean ± standard deviation "
        f"over training seeds. Gain of restricted over padded, with 95 % interval: {'; '.join(gains)}.",
    )


if __name__ == "__main__":
    main()
