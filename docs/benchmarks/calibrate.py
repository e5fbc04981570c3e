"""Measure the effect of `calibrate` on three teachers, of which the weakest is overconfident.

python docs/benchmarks/calibrate.py --seeds 10

Digits, 200 labels, 40 of them for validation. Each teacher is a logistic regression of the pixels: one is
trained on all training labels, one on 120 of them, the weakest on 60, and its logits are multiplied by 10.
Writes calibrate.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch
from in_process import distil, loaded
from sklearn.linear_model import LogisticRegression
from tables import interval, spread, write

HERE = Path(__file__).parent
SAW = {"many": None, "some": 120, "few": 60}
FACTOR = 10
RECIPE = """
task: classification
data: {name: digits, labels: 200, val: 0.2}
views: 1
teachers:
  - {name: many, model: "predictions:many.npz", outputs: logits}
  - {name: some, model: "predictions:some.npz", outputs: logits}
  - {name: few, model: "predictions:few.npz", outputs: logits}
strategy: mean
student: mlp:16
train: {epochs: 15, lr: 1e-2}
"""
STRATEGIES = ("mean", "entropy", "confidence")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    found: dict[tuple[str, str], list[dict[str, dict[str, float]]]] = {}
    temperatures: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("recipe.yaml").write_text(RECIPE)
        for seed in range(seeds):
            changes = [f"data.seed={seed}", f"train.seed={seed}"]
            write_teachers(changes)
            for strategy in STRATEGIES:
                for calibrate in ("false", "true"):
                    overrides = [*changes, f"strategy={strategy}", f"calibrate={calibrate}"]
                    report = distil("recipe.yaml", overrides, baseline=False)
                    found.setdefault((strategy, calibrate), []).append(report["scores"])
                    print(seed, strategy, calibrate, report["scores"]["student"]["accuracy"], flush=True)
            for teacher in report["teachers"]:
                temperatures.setdefault(teacher["name"], []).append(teacher["calibration"]["temperature"])
    rows = []
    for (strategy, calibrate), scores in found.items():
        plain = found[strategy, "false"]
        gains = [
            a["student"]["accuracy"] - b["student"]["accuracy"] for a, b in zip(scores, plain, strict=True)
        ]
        low, high = interval(gains)
        rows.append(
            [
                strategy,
                calibrate,
                spread([each["ensemble"]["accuracy"] for each in scores]),
                spread([each["ensemble"]["nll"] for each in scores], ".3f"),
                spread([each["student"]["accuracy"] for each in scores]),
                f"{statistics.mean(gains):+.4f} ({low:+.4f} to {high:+.4f})" if calibrate == "true" else "",
            ]
        )
    shown = "; ".join(f"{name} {spread(values, '.2f')}" for name, values in temperatures.items())
    alone = "; ".join(
        f"{name} {spread([each['teachers'][name]['accuracy'] for each in found['mean', 'false']])}"
        for name in SAW
    )
    write(
        HERE / "calibrate.md",
        "Overconfident teachers",
        f"python docs/benchmarks/calibrate.py --seeds {seeds}",
        [
            "strategy",
            "`calibrate`",
            "ensemble's test accuracy",
            "its NLL",
            "student's test accuracy",
            "student's gain (95 % interval)",
        ],
        rows,
        "Digits, 200 labels, 40 of them for validation; mean ± standard deviation over the seeds, which "
        "also change the splits. The interval is Student's t over paired differences. The teachers' "
        f"test accuracy: {alone}. Their temperatures: {shown}. The logits of `few` are multiplied by "
        f"{FACTOR}.",
    )


def write_teachers(changes: list[str]) -> None:
    """Write the outputs of each teacher on every sample."""
    data = loaded("recipe.yaml", changes).data
    samples = data.all_labels.samples
    x, y = pixels(samples.read(slice(None))), samples.targets
    splits = [split.samples for split in data.splits]
    ids = np.array([sample for split in splits for sample in split.ids])
    inputs = np.concatenate([pixels(split.read(slice(None))) for split in splits])
    for name, count in SAW.items():
        rows = np.flatnonzero(y >= 0)[:count]
        model = LogisticRegression(max_iter=2000).fit(x[rows], y[rows])
        logits = model.decision_function(inputs) * (FACTOR if name == "few" else 1)
        np.savez(f"{name}.npz", ids=ids, predictions=logits.astype(np.float32))


def pixels(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1) / 255.0


if __name__ == "__main__":
    main()
