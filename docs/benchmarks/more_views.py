"""Compare augmentations with long schedules: the recipe's, and RandAugment, mixup, cutmix and erasing on top.

    python docs/benchmarks/more_views.py --data FOLDER --seeds 3

Digits with 100 labels, 120 epochs, 8 views; Fashion-MNIST with 600 labels, the first 3,000 images, 30 epochs,
4 views. One learning rate. The teachers are fitted on the same kind of views as the student.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import torch
from in_process import distil
from tables import interval, spread, write

HERE = Path(__file__).parent
CASES = {
    "digits": ("shift: 0.1, rotate: 10, zoom: 0.1", ("views=8", "train.epochs=120", "train.lr=3e-2")),
    "fashion-mnist": (
        "shift: 0.08, rotate: 5, zoom: 0.1",
        ("views=4", "train.epochs=30", "train.lr=1e-2", "data.samples=3000"),
    ),
}
MORE = {
    "the recipe's": "",
    "RandAugment": "randaugment: {operations: 2, magnitude: 0.3}",
    "erasing": "erase: 0.2",
    "mixup": "mixup: 0.2",
    "cutmix": "cutmix: 1",
    "mixup or cutmix": "mixup: 0.2, cutmix: 1",
}


def main() -> None:
    """Run all cases, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, help="folder of the four IDX files of Fashion-MNIST")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cases", nargs="+", default=[*CASES])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for recipe in arguments.cases:
        plain, settings = CASES[recipe]
        place = [f"data.path={arguments.data}"] if recipe == "fashion-mnist" else []
        scores: dict[str, list[float]] = {name: [] for name in MORE}
        for name, more in MORE.items():
            views = "{" + ", ".join(filter(None, (plain, more))) + "}"
            for seed in range(arguments.seeds):
                changes = [*place, *settings, f"augment={views}", f"train.seed={seed}"]
                report = distil(recipe, changes, baseline=False)
                scores[name].append(report["scores"]["student"]["accuracy"])
                print(recipe, name, seed, scores[name][-1], flush=True)
            gains = [one - base for one, base in zip(scores[name], scores["the recipe's"], strict=True)]
            low, high = interval(gains)
            ensemble = report["scores"]["ensemble"]["accuracy"]
            gain = f"{statistics.mean(gains):+.4f} ({low:+.4f} to {high:+.4f})" if more else "-"
            rows.append([recipe, name, f"{ensemble:.4f}", spread(scores[name]), gain])
    write(
        HERE / "more_views.md",
        "What more views buy",
        f"python docs/benchmarks/more_views.py --data FOLDER --seeds {arguments.seeds} --cases "
        + " ".join(arguments.cases),
        ["recipe", "views", "ensemble", "student", "gain over the recipe's views"],
        rows,
        "Test accuracy, mean ± standard deviation over the seeds of the student; gains with Student's 95 % "
        "interval over the paired differences. The teachers are fitted once for each kind of views, so their "
        "ensemble differs too. All of them are off by default.",
    )


if __name__ == "__main__":
    main()
